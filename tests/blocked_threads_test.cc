// SPDX-License-Identifier: Apache-2.0
//
// Plain tasks of oneTBB that wait for a pool: they may keep all threads that oneTBB has, or all of
// the pool's own, and the pool works all the same.

#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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

// Counts the workers that have left an arena.
class Leavers : public oneapi::tbb::task_scheduler_observer {
 public:
  explicit Leavers(oneapi::tbb::task_arena& arena) : task_scheduler_observer(arena) {
    observe(true);
  }
  ~Leavers() override { observe(false); }

  void wait_for_one() const { count_.wait(0); }

 private:
  void on_scheduler_exit(bool is_worker) override {
    if (is_worker) {
      ++count_;
      count_.notify_all();
    }
  }

  std::atomic<int> count_{0};
};

// Calls `function` on this thread while all others that oneTBB has wait for a job, but one. That
// one has left their arena: from then on oneTBB believes that nobody needs a thread there, while
// they are, and that any other arena has as many as it asks for.
template <typename F>
void while_onetbb_wakes_nobody(const F& function) {
  JobPool pool{{.concurrency = 1}};
  auto job = pool.submit_after(absl::Hours(1), [] {}).shared();
  const auto here = std::this_thread::get_id();
  const int threads = std::max(3, static_cast<int>(thread_limit()));
  const Control limit(Control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  oneapi::tbb::task_arena arena(threads);
  const Leavers leavers(arena);
  std::barrier all_there(threads);
  std::atomic<bool> is_one_free{false};
  arena.execute([&] {
    oneapi::tbb::parallel_for(
        0, threads,
        [&](int) {
          all_there.arrive_and_wait();
          if (std::this_thread::get_id() == here) {
            leavers.wait_for_one();
            function();
            (void)job.cancel();
          } else if (is_one_free.exchange(true)) {
            EXPECT_THROW(job.get(), taskctx::JobCancelled);
          }
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

// J25. Hung in the first rounds, if oneTBB alone gives the pool its threads.
TEST_P(BlockedThreads, ThatOneTbbTakesForIdleDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("a thread that waits for jobs while oneTBB wakes nobody");
  JobPool pool{{.concurrency = GetParam(), .queue_capacity = 4}};
  while_onetbb_wakes_nobody([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(pool.submit([i] { return i; }).get(), i);
      EXPECT_EQ(taskctx::sync_wait(one_later()), 1);
      EXPECT_TRUE(pool.spawn(one_later()).wait_for(absl::Hours(1)));
      for (int k = 0; k < 10; ++k) {
        pool.post([] {});  // May find no room.
      }
      EXPECT_TRUE(pool.drain());
    }
  });
}

// J25.
TEST_P(BlockedThreads, DoNotGetThePoolMoreThreadsThanItHas) {
  const Watchdog watchdog("jobs that count themselves while oneTBB wakes nobody");
  JobPool pool{{.concurrency = GetParam()}};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  while_onetbb_wakes_nobody([&] {
    for (int i = 0; i < 20; ++i) {
      for (int k = 0; k < 200; ++k) {
        pool.post([&] {
          const int now = ++running;
          for (int known = most; now > known && !most.compare_exchange_weak(known, now);) {
          }
          std::this_thread::yield();
          --running;
        });
      }
      EXPECT_TRUE(pool.drain());
    }
  });
  EXPECT_GE(most, 1);
  EXPECT_LE(most, GetParam());
}

// J25: the thread that comes to help leaves in time, for the pool's end and the arena's.
TEST_P(BlockedThreads, EndThePoolsThatTheyGotAThreadFor) {
  const Watchdog watchdog("pools that end while oneTBB wakes nobody");
  for (int i = 0; i < 5; ++i) {
    oneapi::tbb::task_arena arena(GetParam());
    auto pool_there = std::make_unique<JobPool>(arena);
    auto pool = std::make_unique<JobPool>(taskctx::JobPoolOptions{.concurrency = GetParam()});
    std::atomic<int> ended{0};
    while_onetbb_wakes_nobody([&] {
      pool_there->post([&] { pool->post([&] { ++ended; }); });
      pool_there.reset();
      pool.reset();
    });
    EXPECT_EQ(ended, 1);
  }
}

// J25: jobs of one pool that wait for those of another.
TEST_P(BlockedThreads, ThatAreAnotherPoolsDoNotKeepThePoolsThreads) {
  const Watchdog watchdog("a job that waits for another pool's jobs");
  const int threads = GetParam() + 1;
  const JobPool their_threads{{.concurrency = threads}};  // An arena gets none for itself.
  oneapi::tbb::task_arena arena(threads, 0);
  const Leavers leavers(arena);
  JobPool others{arena};
  JobPool pool{{.concurrency = 1}};
  taskctx_test::Gate both(2);
  auto waiting = others.submit([&] {
    both.arrive_and_wait();
    leavers.wait_for_one();
    for (int i = 0; i < 100; ++i) {
      pool.submit([] {}).get();
    }
  });
  others.post([both]() mutable { both.arrive_and_wait(); });
  waiting.get();
}

INSTANTIATE_TEST_SUITE_P(Concurrency, BlockedThreads, testing::Values(1, 2, 4, 8));

}  // namespace
