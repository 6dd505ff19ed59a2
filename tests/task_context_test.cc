// SPDX-License-Identifier: Apache-2.0
//
// The context of a Task: shared with who awaits it, a snapshot where it is spawned.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "taskctx/when_all.h"
#include "tests/foreign.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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
