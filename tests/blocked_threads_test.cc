// SPDX-License-Identifier: Apache-2.0
//
// Plain tasks of oneTBB that wait for a pool: they may keep all threads that oneTBB has, or all of
// the pool's own, and the pool works all the same.

#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <barrier>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/support.h"

namespace {

using taskctx::JobPool;
using taskctx_test::Watchdog;
using Control = oneapi::tbb::global_control;

std::size_t thread_limit() { return Control::active_value(Control::max_allowed_parallelism); }

// Calls `function` at once on all threads that oneTBB has, the calling one among them.
template <typename F>
void on_all_threads(const F& function) {
  const int threads = static_cast<int>(thread_limit());
  std::barrier all_there(threads);
  oneapi::tbb::task_arena arena(threads);
  arena.execute([&] {
    oneapi::tbb::parallel_for(
        0, threads,
        [&](int) {
          all_there.arrive_and_wait();
          function();
        },
        oneapi::tbb::simple_partitioner{});
  });
}

class BlockedThreads : public testing::TestWithParam<int> {};

// J25.
TEST_P(BlockedThreads, ThatWaitForAJobDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("leaves that wait for a job");
  JobPool pool{{.concurrency = GetParam()}};
  std::atomic<int> sum{0};
  on_all_threads([&] { sum += pool.submit([] { return 1; }).get(); });
  EXPECT_GE(sum, 2);
}

// J25.
TEST_P(BlockedThreads, ThatWaitWithATimeOutDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("leaves that wait with a time-out");
  JobPool pool{{.concurrency = GetParam()}};
  on_all_threads([&] { EXPECT_TRUE(pool.submit([] {}).wait_for(absl::Hours(1))); });
}

taskctx::Task<int> one_later() {
  co_await taskctx::yield();
  co_return 1;
}

// J25.
TEST_P(BlockedThreads, ThatWaitForACoroutineDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("leaves that wait for a coroutine");
  JobPool pool{{.concurrency = GetParam()}};
  on_all_threads([&] {
    EXPECT_EQ(pool.spawn(one_later()).get(), 1);
    EXPECT_EQ(taskctx::sync_wait(one_later()), 1);
  });
}

// J25.
TEST_P(BlockedThreads, ThatDrainOrFindNoRoomDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("leaves that drain");
  JobPool pool{{.concurrency = GetParam(), .queue_capacity = 1}};
  on_all_threads([&] {
    for (int i = 0; i < 4; ++i) {
      pool.post([] {});
    }
    EXPECT_TRUE(pool.drain());
  });
}

// J25: a job's own plain tasks, on all of the pool's other threads.
TEST_P(BlockedThreads, ThatAreThePoolsOwnRunWhatTheyWaitFor) {
  const Watchdog watchdog("plain tasks on all of a pool's threads");
  JobPool pool{{.concurrency = GetParam()}};
  std::atomic<int> sum{0};
  pool.submit([&] {
        std::atomic<int> missing{GetParam() - 1};
        oneapi::tbb::task_group group;
        for (int i = 1; i < GetParam(); ++i) {
          group.run([&] {
            --missing;
            while (missing != 0) {
              std::this_thread::yield();
            }
            sum += pool.submit([] { return 1; }).get();
            EXPECT_TRUE(pool.submit([&sum] { ++sum; }).wait_for(absl::Hours(1)));
          });
        }
        while (missing != 0) {  // Not on this thread.
          std::this_thread::yield();
        }
        group.wait();
      })
      .get();
  EXPECT_EQ(sum, 2 * (GetParam() - 1));
}

// J25.
TEST_P(BlockedThreads, AreNotCountedWhenTheyGoOn) {
  const std::size_t before = thread_limit();
  {
    JobPool pool{{.concurrency = GetParam()}};
    on_all_threads([&] { pool.submit([] {}).get(); });
  }
  EXPECT_EQ(thread_limit(), before);
}

INSTANTIATE_TEST_SUITE_P(Concurrency, BlockedThreads, testing::Values(1, 2, 4, 8));

}  // namespace
