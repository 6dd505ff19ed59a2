// SPDX-License-Identifier: Apache-2.0
//
// Pools whose threads are all busy with loops or bulks, and what is due meanwhile.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <numeric>
#include <ranges>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/busy_loop.h"
#include "tests/fuse.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

class BusyPools : public testing::TestWithParam<int> {
 protected:
  taskctx::JobPool pool_{{.concurrency = GetParam()}};
  const Watchdog watchdog_{"a test of due jobs"};
};

INSTANTIATE_TEST_SUITE_P(Threads, BusyPools, testing::Values(2, 4, 8));

// J67
TEST_P(BusyPools, LeaveALoopItsCancellation) {
  ctbb::task_group_context context;
  Leaves leaves;
  Indices indices;
  std::thread::id owner;
  auto job = pool_.submit([&] {
    owner = std::this_thread::get_id();
    ctbb::parallel_for(
        0, kIndices,
        [&](int i) {
          indices.add(i);
          leaves.step(i);
        },
        context);
  });
  leaves.wait_for(static_cast<std::size_t>(GetParam()));
  std::atomic<bool> has_begun{false};
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] {
    context.cancel_group_execution();
    has_begun = true;
    leaves.tell();
  });
  let_timer_fire();
  int left = kIndices;  // What the thread that is let go would have begun next, mostly.
  bool is_known = false;
  for (const std::thread::id thread : leaves.threads()) {
    if (thread != owner) {
      left = leaves.index_of(thread) + 1;
      is_known = left < kIndices && !indices.was_there(left);
      leaves.let_go(thread, [&] { return has_begun.load(); });
      break;
    }
  }
  leaves.open();
  timed.get();
  job.get();
  EXPECT_TRUE(context.is_group_execution_cancelled());
  EXPECT_FALSE(is_known && indices.was_there(left));
}

taskctx::Task<void> sleep_a_little_for(absl::Duration time, std::atomic<int>& woken) {
  co_await taskctx::sleep_for(time);
  ++woken;
}
taskctx::Task<void> sleep_a_little(std::function<void()> then) {
  co_await taskctx::sleep_for(absl::Milliseconds(20));
  then();
}

// J66
TEST_P(BusyPools, BeginWhatHasSleptAsWell) {
  for (int before = -1; before != 0;) {
    std::atomic<BusyPool*> place{nullptr};
    std::atomic<int> leaves{-1};
    auto sleeper = pool_.spawn(sleep_a_little([&] {
      if (BusyPool* const busy = place) {
        busy->begin(leaves);
      }
    }));
    while (pool_.stats().waiting == 0 && !sleeper.ready()) {
      std::this_thread::yield();
    }
    BusyPool busy(pool_, &index_loop<>);
    leaves = busy.leaves().total();
    place = &busy;
    const bool is_asleep = pool_.stats().waiting != 0;
    while (pool_.stats().waiting != 0) {
      std::this_thread::yield();
    }
    let_timer_fire();
    if (is_asleep) {  // Or else this machine was slow, and it was awake before the loop.
      before = busy.let_one_go();
      EXPECT_EQ(before, 0);
      before = 0;
    }
    place = nullptr;
    busy.leaves().open();
    sleeper.get();
    busy.end();
  }
}

// J66
TEST_P(BusyPools, TakeNoElementOfABulkBeforeWhatIsDue) {
  Leaves leaves;
  Indices indices;
  auto bulk = pool_.submit_bulk(std::views::iota(0, kIndices), [&](int i) {
    indices.add(i);
    leaves.step(i);
    return i;
  });
  leaves.wait_for(static_cast<std::size_t>(GetParam()));
  std::atomic<int> begun{-1};
  const int before = leaves.total();
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] {
    begun = leaves.total() - before;
    leaves.tell();
  });
  let_timer_fire();
  leaves.let_go(leaves.threads().front(), [&] { return begun != -1; });
  EXPECT_EQ(begun, 0);
  leaves.open();
  std::vector<int> expected(kIndices);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(bulk.get(), expected);
  EXPECT_TRUE(indices.were_all_there_once());
  timed.get();
}

// J68
TEST_P(BusyPools, LetWhatIsDueWaitForABulkThatGaveItsThreadUp) {
  for (int round = 0; round < 20; ++round) {
    Leaves leaves;
    auto bulk =
        pool_.submit_bulk(std::views::iota(0, kIndices), [&](int i) { leaves.step(i); }).shared();
    auto waiter = pool_.submit([bulk] { bulk.get(); }).shared();
    leaves.wait_for(1);
    auto timed = pool_.submit_after(absl::ZeroDuration(), [waiter] { waiter.get(); });
    let_timer_fire();
    leaves.open();
    timed.get();
  }
}

// J66
TEST_P(BusyPools, BeginWhatIsDueBeforeWhatIsQueued) {
  std::vector<taskctx_test::Latch> latches(static_cast<std::size_t>(GetParam()));
  std::atomic<int> running{0};
  std::vector<taskctx::Job<void>> jobs;
  for (Latch& latch : latches) {
    jobs.push_back(pool_.submit([&] {
      ++running;
      latch.wait();
    }));
  }
  while (running != GetParam()) {
    std::this_thread::yield();
  }
  std::atomic<int> begun{0};
  std::atomic<int> place{-1};
  for (int i = 0; i < 100; ++i) {
    jobs.push_back(pool_.submit([&] { ++begun; }));
  }
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] { place = begun.load(); });
  auto cancelled = pool_.submit_after(absl::ZeroDuration(), [&] { ADD_FAILURE(); });
  let_timer_fire();
  EXPECT_EQ(pool_.stats().queued, 102U);
  EXPECT_TRUE(cancelled.cancel());
  EXPECT_EQ(pool_.stats().queued, 101U);
  latches[0].open();
  timed.get();
  EXPECT_EQ(place, 0);
  for (Latch& latch : latches) {
    latch.open();
  }
  for (auto& job : jobs) {
    job.get();
  }
}

// J66
TEST_P(BusyPools, OverAnArenaOfTheUsersAreTheSame) {
  const taskctx::JobPool spare{{.concurrency = 8}};  // For the threads that it brings.
  oneapi::tbb::task_arena arena(GetParam(), 0);
  taskctx::JobPool pool{arena};
  BusyPool busy(pool, &index_loop<>);
  EXPECT_EQ(busy.leaves_before([] {}), 0);
  busy.end();
}

// J67
TEST_P(BusyPools, RunOutOfMemoryAndTheirLoopsGoOn) {
  BusyPool busy(pool_, &index_loop<>, [](int) { taskctx_test::allocations.disarm(); });
  busy.leaves().after_step([] { taskctx_test::allocations.arm(0); });
  EXPECT_EQ(busy.leaves_before([] {}), -1);  // The next leaf was first.
  busy.leaves().after_step([] {});
  busy.end();
  EXPECT_TRUE(busy.indices().were_all_there_once());
}

// J68
TEST_P(BusyPools, DoEverythingOnceWhateverIsDueMeanwhile) {
  constexpr int kRounds = 20;
  constexpr int kTimers = 20;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> timers{0};
    std::atomic<int> indices{0};
    std::vector<taskctx::Job<void>> timed;
    auto loop = pool_
                    .submit([&] {
                      ctbb::parallel_for(0, kIndices, [&](int) {
                        ctbb::parallel_for(0, 10, [&](int) { ++indices; });
                      });
                    })
                    .shared();
    auto bulk = pool_.submit_bulk(std::views::iota(0, kIndices), [&](int) { ++indices; }).shared();
    for (int i = 0; i < kTimers; ++i) {
      timed.push_back(pool_.submit_after(absl::Microseconds(20 * i), [&, i] {
        ++timers;
        if (i % 8 == 1) {
          loop.get();
        } else if (i % 8 == 2) {
          bulk.get();
        } else {
          ctbb::parallel_for(0, 10, [&](int) { ++indices; });
        }
      }));
      timed.push_back(pool_.spawn(sleep_a_little_for(absl::Microseconds(20 * i), timers)));
    }
    for (auto& job : timed) {
      job.get();
    }
    loop.get();
    bulk.get();
    EXPECT_EQ(timers, 2 * kTimers);
    EXPECT_EQ(indices, 11 * kIndices + 10 * 14);
  }
  EXPECT_EQ(pool_.stats().queued, 0U);
}

}  // namespace
