// SPDX-License-Identifier: Apache-2.0
//
// Tasks as asyncio has them: what shares a context, what takes a snapshot, and what the pool does
// with them. How they are suspended is in coro_matrix_test.cc.

#include "taskctx/coro.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/this_job.h"
#include "taskctx/token.h"
#include "tests/foreign.h"
#include "tests/support.h"

namespace {

using taskctx::ContextVar;
using taskctx::Job;
using taskctx::JobPool;
using taskctx::Scope;
using taskctx::sync_wait;
using taskctx::Task;
using taskctx_test::Foreign;
using taskctx_test::Tracked;
using taskctx_test::Watchdog;

const ContextVar<std::string> what{"what"};
const ContextVar<int> number{"number", 0};

Task<std::string> hello() {
  const std::string* value = what.find();
  co_return value != nullptr ? "hello " + *value : "hello?";
}

Task<std::string> task_or_coroutine(JobPool& pool) {
  std::string answers = co_await hello() + ", ";
  Job<std::string> task_1 = pool.spawn(hello());
  Task<std::string> coroutine_1 = hello();
  what.set("world");
  Job<std::string> task_2 = pool.spawn(hello());
  Task<std::string> coroutine_2 = hello();
  answers += co_await task_1 + ", ";
  answers += co_await task_2 + ", ";
  answers += co_await coroutine_1 + ", ";
  answers += co_await coroutine_2;
  co_return answers;
}

// S7, P23, P24
TEST(TaskTest, ASpawnedOneHasASnapshotAndAnAwaitedOneItsAwaitersContext) {
  JobPool pool{{.concurrency = 2}};
  EXPECT_EQ(pool.spawn(task_or_coroutine(pool)).get(),
            "hello?, hello?, hello world, hello world, hello world");
  EXPECT_EQ(what.find(), nullptr);
}

Task<> sets(int value) {
  number.set(value);
  co_await taskctx::yield();
  EXPECT_EQ(number.get(), value);
  number.set(value + 1);
}

Task<> awaits_what_sets() {
  co_await sets(10);
  EXPECT_EQ(number.get(), 11);
  taskctx::Token<int> token = number.set(1);
  co_await [](taskctx::Token<int>& outer) -> Task<> {
    co_await taskctx::yield();
    number.reset(std::move(outer));  // It is the same context.
  }(token);
  EXPECT_EQ(number.get(), 11);
}

// P24, F-G2
TEST(TaskTest, WritesGoToTheAwaiterAndNoFurther) {
  JobPool pool{{.concurrency = 2}};
  pool.spawn(awaits_what_sets()).get();
  EXPECT_EQ(number.get(), 0);
}

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

Task<int> own_number(std::latch& all, int value) {
  number.set(value);
  all.count_down();
  while (!all.try_wait()) {  // All sixteen are under way at once.
    co_await taskctx::yield();
  }
  co_return number.get();
}

// P23, F-G2: as asyncio's tests of tasks with a context of their own.
TEST(TaskTest, SixteenAtOnceAreIsolatedFromEachOtherAndTheirParent) {
  const Watchdog watchdog("SixteenAtOnce");
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    std::latch all(16);
    std::vector<Job<int>> jobs;
    for (int i = 0; i < 16; ++i) {
      jobs.push_back(pool.spawn(own_number(all, i)));
    }
    for (int i = 0; i < 16; ++i) {
      EXPECT_EQ(jobs[static_cast<std::size_t>(i)].get(), i);
    }
    EXPECT_EQ(number.get(), 0);
  }
}

Task<int> ten_awaits(int key) {
  number.set(key);
  for (int i = 0; i < 10; ++i) {
    co_await taskctx::sleep_for(absl::Microseconds(key % 7));
    if (number.get() != key) {
      co_return -1;
    }
  }
  co_return number.get();
}

// D11, F-F3
TEST(TaskTest, AThousandWithTenAwaitsKeepTheirOwnKey) {
  const Watchdog watchdog("AThousandWithTenAwaits");
  JobPool pool{{.concurrency = 4}};
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 1000; ++i) {
    tasks.push_back(ten_awaits(i));
  }
  const std::vector<int> keys = taskctx::when_all(std::move(tasks)).get();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(keys[static_cast<std::size_t>(i)], i);
  }
}

// A log that all tasks write to; nobody hands it the id.
struct Log {
  void write(const std::string& message) {
    const std::lock_guard lock(mutex);
    lines.push_back(what.get("nobody") + ": " + message);
  }
  std::mutex mutex;
  std::vector<std::string> lines;
};

Task<> fetch(Log& log, const std::string& id, int depth) {
  log.write(id);
  co_await taskctx::yield();
  if (depth > 0) {
    co_await fetch(log, id, depth - 1);
  }
  log.write(id);
}
Task<> handle(Log& log, std::string id) {
  {
    const Scope scope{what, id};  // The middleware's.
    co_await fetch(log, id, 3);
  }
  log.write("nobody");
}

// S2, S4
TEST(TaskTest, EveryLineOfALogCarriesTheIdOfTheRequestThatWroteIt) {
  const Watchdog watchdog("EveryLineOfALog");
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    Log log;
    std::vector<Job<void>> requests;
    for (int i = 0; i < 50; ++i) {
      requests.push_back(pool.spawn(handle(log, "r-" + std::to_string(i))));
    }
    taskctx::when_all(std::move(requests)).get();
    EXPECT_EQ(log.lines.size(), 50U * 9);
    for (const std::string& line : log.lines) {
      const std::size_t colon = line.find(": ");
      EXPECT_EQ(line.substr(0, colon), line.substr(colon + 2));
    }
  }
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

Task<int> fails_with(int value) {
  number.set(value);
  throw std::runtime_error(std::to_string(number.get()));
  co_return 0;
}
Task<int> adds_to_what_is_set(int value) {
  number.set(number.get() + value);
  co_await taskctx::yield();
  co_return number.get();
}
Task<int> gathers() {
  number.set(1);
  auto [a, b, c] =
      co_await taskctx::when_all(adds_to_what_is_set(1), adds_to_what_is_set(2), leaf(5));
  EXPECT_EQ(number.get(), 1);
  co_return a * 100 + b * 10 + c;
}

// F-F3, P23
TEST(TaskTest, WhenAllGivesEachItsOwnCopyAndTheFirstErrorInOrder) {
  JobPool pool{{.concurrency = 2}};
  EXPECT_EQ(pool.spawn(gathers()).get(), 235);
  std::vector<Task<int>> tasks;
  tasks.push_back(leaf(1));
  tasks.push_back(fails_with(7));
  tasks.push_back(fails_with(8));
  try {
    taskctx::when_all(std::move(tasks)).get();
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "7");
  }
  auto [x, y] = taskctx::gather(leaf(1), pool.submit([] { return 2; }));
  EXPECT_EQ(x + y, 3);
}

const ContextVar<int> merged_sum{
    "sum", {.default_value = 0, .merge = [](const int& a, const int& b) { return a + b; }}};
Task<> adds_to_sum(int value) {
  co_await taskctx::yield();
  merged_sum.set(value);
}

// F-D8
TEST(TaskTest, WhatATaskHasSetIsMergedIntoTheContextOfTheOneThatAwaitsIt) {
  JobPool pool{{.concurrency = 2}};
  const int total = pool.spawn([](JobPool& its_pool) -> Task<int> {
                          Job<void> three = its_pool.spawn(adds_to_sum(3));
                          Job<void> four = its_pool.spawn(adds_to_sum(4));
                          co_await three;
                          co_await four;
                          co_return merged_sum.get();
                        }(pool))
                        .get();
  EXPECT_EQ(total, 7);
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

Foreign awaits_a_task(std::string& seen, std::atomic<bool>& is_over) {
  seen = co_await []() -> Task<std::string> {
    const std::string before = what.get();
    what.set("changed");
    co_await taskctx::yield();
    co_return before + "," + what.get();
  }();
  is_over = true;
  is_over.notify_all();
}

// P23, F-G1
TEST(TaskTest, AwaitedWithoutAContextToShareRunsInASnapshot) {
  const Watchdog watchdog("AwaitedWithoutAContext");
  std::string seen;
  std::atomic<bool> is_over = false;
  {
    const Scope scope{what, "mine"};
    awaits_a_task(seen, is_over);
    EXPECT_EQ(what.get(), "mine");
  }
  is_over.wait(false);
  EXPECT_EQ(seen, "mine,changed");
  taskctx::default_pool().drain();
}

}  // namespace
