// SPDX-License-Identifier: Apache-2.0
//
// Cancellation of oneTBB's groups, arenas and long loops.

#include <gtest/gtest.h>

#include <atomic>
#include <utility>

#include "taskctx/cancel.h"
#include "taskctx/tbb.h"
#include "tests/thread_numbers.h"

namespace taskctx_test {
namespace {

namespace ctbb = taskctx::tbb;

using taskctx::cancelled;
using taskctx::CancelScope;

constexpr int kItems = 1000;

// F-H6: a user's own group is cancelled, too, and stays so; cancelling it cancels nothing else.
TEST(OwnGroup, IsCancelledAndStaysSo) {
  ctbb::task_group_context group;
  {
    CancelScope scope;
    std::atomic<int> calls{0};
    EXPECT_THROW(ctbb::parallel_for(
                     0, kItems,
                     [&](int) {
                       if (++calls == 1) {
                         scope.cancel();
                       }
                     },
                     group),
                 taskctx::Cancelled);
    EXPECT_TRUE(group.is_group_execution_cancelled());
  }
  int calls = 0;
  ctbb::parallel_for(
      0, 1, [&](int) { ++calls; }, group);
  EXPECT_EQ(calls, 0);
  group.reset();
  ctbb::parallel_for(
      0, 1, [&](int) { ++calls; }, group);
  EXPECT_EQ(calls, 1);
  const CancelScope scope;
  group.cancel_group_execution();
  EXPECT_NO_THROW(ctbb::parallel_for(
      0, 1, [&](int) { ++calls; }, group));
  EXPECT_FALSE(cancelled());
  EXPECT_EQ(calls, 1);
}

// F-H6: within a millisecond, however long a thread's share is. (The time is not looked at here:
// most of 10^9 calls must be left out.)
TEST(LongLoop, EndsInTheMiddleOfAThreadsShare) {
  for (const bool is_nested : {false, true}) {
    CancelScope scope;
    std::atomic<long> calls{0};
    const auto loop = [&] {
      ctbb::parallel_for(0L, 1'000'000'000L, [&](long) {
        if (calls.fetch_add(1, std::memory_order_relaxed) == 1000) {
          scope.cancel();
        }
      });
    };
    EXPECT_THROW(
        {
          if (is_nested) {
            ctbb::parallel_for(0, 2, [&](int) { loop(); });
          } else {
            loop();
          }
        },
        taskctx::Cancelled);
    EXPECT_LT(calls, 100'000'000);
  }
}

// T10, F-H1: of a group, which is made in one scope and used in another.
TEST(Tasks, ThatHaveNotBegunAreLeftOut) {
  on_each_number_of_threads([] {
    ctbb::task_group group;
    std::atomic<int> calls{0};
    group.run([&] { ++calls; });
    {
      CancelScope scope;
      auto handle = group.defer([] { ADD_FAILURE(); });
      scope.cancel();
      group.run(std::move(handle));
      group.run([] { ADD_FAILURE(); });
      EXPECT_THROW(group.wait(), taskctx::Cancelled);
    }
    group.run([&] { ++calls; });  // The group itself is cancelled by nobody.
    EXPECT_EQ(group.wait(), ctbb::complete);
    EXPECT_EQ(calls, 2);
  });
}

// F-H1, F-H6: what runs on this thread does not begin either.
TEST(Arena, IsNotEnteredByWhatIsCancelled) {
  on_each_number_of_threads([] {
    CancelScope scope;
    EXPECT_EQ(ctbb::this_task_arena::isolate([] { return 1; }), 1);
    scope.cancel();
    EXPECT_THROW(ctbb::this_task_arena::isolate([] { ADD_FAILURE(); }), taskctx::Cancelled);
    EXPECT_THROW(ctbb::task_arena(2).execute([] { ADD_FAILURE(); }), taskctx::Cancelled);
    const taskctx::Shield shield;
    EXPECT_EQ(ctbb::this_task_arena::isolate([] { return 1; }), 1);
    EXPECT_EQ(ctbb::task_arena(2).execute([] { return 1; }), 1);
  });
}

// F-H1: a suspended task is resumed as usual, and finds out then.
TEST(SuspendedTask, FindsOutWhenItIsResumed) {
  on_each_number_of_threads([] {
    CancelScope scope;
    bool seen = false;
    EXPECT_THROW(ctbb::parallel_for(0, 1,
                                    [&](int) {
                                      ctbb::task::suspend([&](ctbb::task::suspend_point point) {
                                        scope.cancel();
                                        ctbb::task::resume(point);
                                      });
                                      seen = cancelled();
                                    }),
                 taskctx::Cancelled);
    EXPECT_TRUE(seen);
  });
}

// F-H6: as any call; the flag is as after an error.
TEST(CallOnce, RunsAsACallOfItsCaller) {
  CancelScope scope;
  ctbb::collaborative_once_flag flag;
  EXPECT_THROW(ctbb::collaborative_call_once(flag,
                                             [&] {
                                               scope.cancel();
                                               ctbb::parallel_for(0, 9, [](int) {});
                                             }),
               taskctx::Cancelled);
  const taskctx::Shield shield;
  int calls = 0;
  ctbb::collaborative_call_once(flag, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

// The opposite: plain oneTBB ends such a loop without a word.
TEST(PlainLoop, ReturnsAPartAndDoesNotSaySo) {
  oneapi::tbb::task_group_context group;
  std::atomic<int> calls{0};
  EXPECT_NO_THROW(oneapi::tbb::parallel_for(
      0, kItems,
      [&](int) {
        ++calls;
        group.cancel_group_execution();
      },
      oneapi::tbb::simple_partitioner(), group));
  EXPECT_LT(calls, kItems);
}

}  // namespace
}  // namespace taskctx_test
