// SPDX-License-Identifier: Apache-2.0
//
// A coroutine as a Task: its result, its arguments, its end; sync_wait(), spawn() and cancel().

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/this_job.h"
#include "taskctx/token.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<int> number{"number", 0};

// P24
TEST(TaskTest, SyncWaitIsACallInTheCallersContext) {
  taskctx::Context context;
  context.run([] {
    taskctx::Token<int> token = number.set(5);
    sync_wait([](taskctx::Token<int>& outer) -> Task<> {
      EXPECT_EQ(number.get(), 5);
      co_await taskctx::default_pool().schedule();
      number.reset(std::move(outer));
      number.set(6);
    }(token));
    EXPECT_EQ(number.get(), 6);
  });
  EXPECT_EQ(*context.find(number), 6);
  EXPECT_EQ(number.get(), 0);
}

Task<int> leaf(int value) { co_return value; }
Task<int> sums(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += co_await leaf(1);
  }
  co_return sum;
}
Task<int> depth(int levels) {
  if (levels == 0) {
    co_await taskctx::yield();  // The way back begins on another stack.
    co_return 0;
  }
  co_return 1 + co_await depth(levels - 1);
}

// F-G1
TEST(TaskTest, AMillionAwaitsInARowOrInOneAnotherDontGrowTheStack) {
  EXPECT_EQ(sync_wait(sums(1'000'000)), 1'000'000);
  EXPECT_EQ(sync_wait(depth(1'000'000)), 1'000'000);
}

Task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(4); }
Task<int&> reference(int& target) { co_return target; }
Task<> fails() {
  co_await taskctx::yield();
  throw std::runtime_error("failed");
}

TEST(TaskTest, GivesMoveOnlyResultsReferencesAndExceptions) {
  JobPool pool{{.concurrency = 2}};
  int target = 1;
  EXPECT_EQ(*sync_wait(move_only()), 4);
  EXPECT_EQ(*pool.spawn(move_only()).get(), 4);
  EXPECT_EQ(&sync_wait(reference(target)), &target);
  EXPECT_EQ(&pool.spawn(reference(target)).get(), &target);
  EXPECT_THROW(sync_wait(fails()), std::runtime_error);
  EXPECT_THROW(pool.spawn(fails()).get(), std::runtime_error);
}

TEST(TaskTest, RefusesWhatIsEmptyOrWasAwaited) {
  JobPool pool{{.concurrency = 1}};
  EXPECT_THROW(sync_wait(Task<>()), taskctx::JobError);
  EXPECT_THROW((void)pool.spawn(Task<>()), taskctx::JobError);
  sync_wait([]() -> Task<> {
    Task<int> task = leaf(3);
    EXPECT_EQ(co_await task, 3);
    try {
      co_await task;
      ADD_FAILURE();
    } catch (const taskctx::JobError& error) {
      EXPECT_STREQ(error.what(), "cannot await task: it has been awaited already");
    }
  }());
}

Task<int> holds(Tracked /*parameter*/, int value) {
  const Tracked local(2);
  number.set(value);
  co_await taskctx::yield();
  co_return number.get();
}

// P22
TEST(TaskTest, DestroysItsArgumentsAndLocalsBeforeItsJobHasEnded) {
  JobPool pool{{.concurrency = 2}};
  { const Task<int> never_begun = holds(Tracked(1), 1); }
  EXPECT_EQ(Tracked::alive(), 0);
  Job<int> job = pool.spawn({.keep_context = true}, holds(Tracked(1), 1));
  job.wait();
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_EQ(*job.context().find(number), 1);
  EXPECT_EQ(job.get(), 1);
}

// P24: a job that waits runs what the task waits for, so one thread is enough.
TEST(TaskTest, SyncWaitInAJobDoesNotNeedAnotherThread) {
  const Watchdog watchdog("SyncWaitInAJob");
  JobPool pool{{.concurrency = 1}};
  const auto inner = [](JobPool& its_pool) -> Task<int> {
    co_await taskctx::yield();
    co_await taskctx::default_pool().schedule();
    const int one = co_await its_pool.submit([] { return 1; });
    co_await taskctx::sleep_for(absl::Microseconds(1));
    const auto [two, three] = co_await taskctx::when_all(leaf(2), leaf(3));
    co_return one + two + three;
  };
  EXPECT_EQ(pool.submit([&] { return sync_wait(inner(pool)); }).get(), 6);
  EXPECT_EQ(pool.submit([&] { return pool.spawn(inner(pool)).get(); }).get(), 6);
}

Task<> detached(std::latch& begun, std::latch& may_end, std::atomic<bool>& has_ended) {
  begun.count_down();
  while (!may_end.try_wait()) {
    co_await taskctx::yield();
  }
  has_ended = true;
}

TEST(TaskTest, ThePoolWaitsForWhatNobodyHoldsAndSuspendedOnesKeepNoThread) {
  std::latch begun(100);
  std::latch may_end(1);
  std::atomic<bool> has_ended = false;
  {
    JobPool pool{{.concurrency = 1}};
    for (int i = 0; i < 100; ++i) {
      (void)pool.spawn(detached(begun, may_end, has_ended));
    }
    begun.wait();  // All of them, on one thread.
    may_end.count_down();
  }
  EXPECT_TRUE(has_ended);
}

// The timer must not touch the pool once the coroutine that it has woken can have ended.
TEST(TaskTest, APoolMayGoAsSoonAsWhatSleptThereHasEnded) {
  const Watchdog watchdog("APoolMayGoAsSoonAsWhatSleptThereHasEnded");
  for (int round = 0; round < 500; ++round) {
    JobPool pool{{.concurrency = 2}};
    for (int i = 0; i < 4; ++i) {
      (void)pool.spawn([]() -> Task<> { co_await taskctx::sleep_for(absl::Microseconds(20)); }());
    }
  }
}

TEST(TaskTest, IsCancelledBeforeItHasBegunAndEndedWhereItSuspendsAfterwards) {
  JobPool pool{{.concurrency = 1}};
  std::latch busy(1);
  auto blocker = pool.submit([&busy] { busy.wait(); });
  Job<int> job = pool.spawn(holds(Tracked(1), 1));
  EXPECT_TRUE(job.cancel());
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_THROW(job.get(), taskctx::JobCancelled);
  std::latch begun(1);
  auto asked = pool.spawn([](std::latch& has_begun) -> Task<> {
    has_begun.count_down();
    while (true) {
      co_await taskctx::yield();
    }
  }(begun));
  busy.count_down();
  begun.wait();
  EXPECT_FALSE(asked.cancel());
  EXPECT_THROW(asked.get(), taskctx::JobCancelled);
  blocker.get();
}

// P23: spawn() takes submit()'s options.
TEST(TaskTest, IsSpawnedWithTheOptionsOfAJob) {
  JobPool pool{{.concurrency = 1}};
  const Scope scope{number, 3};
  const auto reads = []() -> Task<std::pair<int, std::string>> {
    co_await taskctx::yield();
    co_return std::pair(number.get(), std::string(taskctx::this_job::name()));
  };
  using Found = std::pair<int, std::string>;
  EXPECT_EQ(pool.spawn({.name = "named"}, reads()).get(), Found(3, "named"));
  EXPECT_EQ(pool.spawn({.name = "alone", .detached = true}, reads()).get(), Found(0, "alone"));
}

Task<> sets(int value) {
  number.set(value);
  co_await taskctx::yield();
  EXPECT_EQ(number.get(), value);
  number.set(value + 1);
}

TEST(TaskTest, WhenAnyGivesTheFirstThatEnds) {
  const Watchdog watchdog("WhenAny");
  std::latch never(1);
  std::atomic<bool> has_ended = false;
  std::latch begun(1);
  JobPool pool{{.concurrency = 1}};  // Waits for what uses those.
  const int index = pool.spawn([](std::latch& has_begun, std::latch& may_end,
                                  std::atomic<bool>& end) -> Task<int> {
                          std::vector<Task<>> tasks;
                          tasks.push_back(detached(has_begun, may_end, end));
                          tasks.push_back(sets(1));
                          auto first = co_await taskctx::when_any(std::move(tasks));
                          may_end.count_down();
                          co_return static_cast<int>(first.index);
                        }(begun, never, has_ended))
                        .get();
  EXPECT_EQ(index, 1);
}

}  // namespace
