// SPDX-License-Identifier: Apache-2.0
//
// The memory of task scopes: what they keep, and what happens where there is none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/task_scope.h"
#include "tests/fuse.h"
#include "tests/pools.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::SizeIs;

using TaskScopeMemory = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeMemory, testing::Values(1, 2, 4, 8));

// K13
TEST_P(TaskScopeMemory, AJobThatThereIsNoMemoryForIsNotThere) {
  pool.submit([] {}).get();
  std::atomic<int> ended{0};
  int started = 0;
  TaskScope scope{pool};
  const int thrown = with_each_allocation_failing([&] {
    scope.post({.name = "a name that is too long for the string itself"},
               [&, argument = Tracked(1)] { ++ended; });
    ++started;
  });
  EXPECT_GT(thrown, 0);
  EXPECT_GT(with_each_allocation_failing([&] {
              (void)scope.spawn([&ended]() -> Task<> {
                ++ended;
                co_return;
              });
              ++started;
            }),
            0);
  scope.join();
  EXPECT_EQ(ended, started);
  EXPECT_EQ(Tracked::alive(), 0);
}

// K13
TEST_P(TaskScopeMemory, AScopeThatThereIsNoMemoryForIsNotThere) {
  const long before = live_allocations();
  EXPECT_GT(with_each_allocation_failing([&] {
              const TaskScope scope{pool,
                                    {.timeout = absl::Hours(1),
                                     .name = "a name that is too long for the string itself"}};
            }),
            0);
  EXPECT_LE(live_allocations(), before + 20) << "the timer's thread, once";
}

// K13: the error is thrown later, or goes to the handler.
TEST_P(TaskScopeMemory, AJoinWithoutMemoryLosesNoError) {
  const auto fail = [] { throw std::runtime_error("no"); };
  {
    TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
    for (int i = 0; i < 3; ++i) {
      scope.submit(fail).wait();
    }
    const int thrown = with_each_allocation_failing([&] {
      try {
        scope.join();
        ADD_FAILURE();
      } catch (const TaskScopeError& error) {
        allocations.disarm();
        EXPECT_THAT(error.errors(), SizeIs(3));
      }
    });
    EXPECT_GT(thrown, 3);
  }
  EXPECT_EQ(handled, 0);
  {
    TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
    for (int i = 0; i < 3; ++i) {
      scope.submit(fail).wait();
    }
    allocations.arm(0);
    EXPECT_THROW(scope.join(), std::bad_alloc);
    allocations.disarm();
  }
  EXPECT_EQ(handled, 3);
}

// K13: waiting needs no memory, in a job as well.
TEST_P(TaskScopeMemory, TheEndOfAScopeNeedsNoMemory) {
  const Watchdog watchdog{"the end of a scope without memory"};
  for (int n = 0; n < 10; ++n) {
    std::atomic<int> ended{0};
    pool.submit([&] {
          {
            TaskScope scope{pool};
            for (int i = 0; i < 5; ++i) {
              scope.post([&] { ++ended; });
            }
            allocations.arm(n);
          }
          allocations.disarm();
        })
        .get();
    ASSERT_EQ(ended, 5);
  }
}

// K15: one that starts the next one, and many at once.
TEST_P(TaskScopeMemory, AScopeForgetsJobsThatHaveEnded) {
  constexpr int kJobs = kThreadSanitizer ? 50'000 : 200'000;
  long at_most = 0;
  TaskScope scope{pool};
  std::atomic<int> ended{0};
  const long before = live_allocations();
  const std::function<void()> next = [&] {
    const int number = ++ended;
    if (number % 1000 == 0) {
      at_most = std::max(at_most, live_allocations() - before);
    }
    if (number < kJobs) {
      scope.post(std::cref(next));
    }
  };
  scope.post(std::cref(next));
  scope.join();
  EXPECT_EQ(ended, kJobs);
  EXPECT_LT(at_most, 200);
}

// K15
TEST_P(TaskScopeMemory, AJobCanJoinVeryManyJobs) {
  const Watchdog watchdog{"a scope of very many jobs"};
  constexpr int kJobs = kThreadSanitizer ? 20'000 : 300'000;
  std::atomic<int> ended{0};
  pool.submit([&] {
        TaskScope scope{pool};
        for (int i = 0; i < kJobs; ++i) {
          scope.post([&] { ++ended; });
        }
        scope.join();
        ended += kJobs;
      })
      .get();
  EXPECT_EQ(ended, 2 * kJobs);
  TaskScope cancelled{pool};
  Latch go;
  auto busy = occupy(go);
  for (int i = 0; i < kJobs; ++i) {
    cancelled.post([&] { ++ended; });
  }
  cancelled.cancel("none of them");
  EXPECT_THROW(cancelled.join(), Cancelled);
  EXPECT_EQ(ended, 2 * kJobs);
  go.open();
  for (auto& job : busy) {
    job.get();
  }
}

}  // namespace
