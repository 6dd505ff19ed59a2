// SPDX-License-Identifier: Apache-2.0
//
// Task scopes in coroutines, and coroutines in task scopes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/task.h"
#include "taskctx/task_scope.h"
#include "tests/pools.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::HasSubstr;
using testing::SizeIs;

using TaskScopeCoro = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeCoro, testing::Values(1, 2, 4, 8));

Task<int> answer(int value) {
  co_await yield();
  co_return value;
}

Task<> fail(std::string text) {
  co_await yield();
  throw std::runtime_error(text);
}

Task<> sleep_long() { co_await taskctx::sleep_for(absl::Hours(1)); }

// K12: the handles, the temporaries of the line, and the coroutine's own context are right.
TEST_P(TaskScopeCoro, JoinSuspendsUntilAllHaveEnded) {
  const auto body = [](JobPool& where) -> Task<int> {
    const Scope mine{number, 5};
    TaskScope scope{where, {.name = "a name that is too long for the string itself"}};
    Job<int> a = scope.spawn(answer(1));
    auto b = scope.spawn({.name = "b"}, answer(2));
    auto c = scope.spawn([text = std::string("captured, and long enough")]() -> Task<int> {
      co_await yield();
      co_return static_cast<int>(text.size()) + number.get();
    });
    Job<int> d = scope.submit([] { return number.get(); });
    co_await scope.join();
    EXPECT_TRUE(a.ready() && b.ready() && c.ready() && d.ready());
    co_return a.get() + b.get() + c.get() + d.get() + number.get();
  };
  EXPECT_EQ(sync_wait(body(pool)), 1 + 2 + 30 + 5 + 5);
  EXPECT_EQ(pool.spawn(body(pool)).get(), 43);
  EXPECT_EQ(pool.submit([&] { return sync_wait(body(pool)); }).get(), 43) << "it helps";
  EXPECT_EQ(pool.submit([&] { return pool.spawn(body(pool)).get(); }).get(), 43);
}

// K12, K5
TEST_P(TaskScopeCoro, JoinThrowsAllThatFailed) {
  const auto body = [](JobPool& where) -> Task<std::size_t> {
    TaskScope scope{where, {.policy = JoinPolicy::wait_all}};
    Job<void> a = scope.spawn(fail("one"));
    Job<void> b = scope.spawn(fail("two"));
    Job<int> c = scope.spawn(answer(1));
    std::optional<TaskScopeError> caught;
    try {
      co_await scope.join();
    } catch (const TaskScopeError& error) {
      caught = error;
    }
    co_return caught ? caught->errors().size() : 0;
  };
  EXPECT_EQ(pool.spawn(body(pool)).get(), 2U);
  EXPECT_EQ(sync_wait(body(pool)), 2U);
  EXPECT_EQ(handled, 0);
}

// K12, K2: a coroutine that sleeps is woken.
TEST_P(TaskScopeCoro, AFailureWakesTheOthers) {
  const Watchdog watchdog{"a scope of coroutines"};
  const auto body = [](JobPool& where) -> Task<> {
    TaskScope scope{where};
    std::vector<Job<void>> jobs;
    for (int i = 0; i < 10; ++i) {
      jobs.push_back(scope.spawn(sleep_long()));
    }
    jobs.push_back(scope.spawn(fail("no")));
    co_await scope.join();
  };
  EXPECT_THROW(pool.spawn(body(pool)).get(), TaskScopeError);
  EXPECT_THROW(sync_wait(body(pool)), TaskScopeError);
}

// K12: without co_await the thread waits at the end of the line, and helps.
TEST_P(TaskScopeCoro, JoinWithoutAwaitBlocks) {
  const auto body = [](JobPool& where) -> Task<int> {
    TaskScope scope{where};
    Job<int> job = scope.spawn(answer(1));
    scope.join();
    EXPECT_TRUE(job.ready());
    co_return job.get();
  };
  EXPECT_EQ(pool.spawn(body(pool)).get(), 1);
}

// K12: a scope that is not joined ends with the block, in a coroutine, too.
TEST_P(TaskScopeCoro, TheEndOfTheBlockJoins) {
  const Watchdog watchdog{"the end of a scope in a coroutine"};
  const auto body = [](JobPool& where, bool throws) -> Task<int> {
    std::atomic<int> ended{0};
    {
      TaskScope scope{where};
      for (int i = 0; i < 20; ++i) {
        scope.post([&] { ++ended; });
      }
      Job<void> sleeper;
      if (throws) {
        sleeper = scope.spawn(sleep_long());
        throw std::runtime_error("the block's");
      }
      co_await yield();
    }
    co_return ended.load();
  };
  EXPECT_EQ(pool.spawn(body(pool, false)).get(), 20);
  EXPECT_THROW(pool.spawn(body(pool, true)).get(), std::runtime_error);
}

// K12, K9: Job::cancel() is told once, after all children have ended; from outside always.
TEST_P(TaskScopeCoro, ACancelledCoroutineIsResumedWhenItsChildrenHaveEnded) {
  const Watchdog watchdog{"a cancelled coroutine that joins"};
  std::atomic<bool> has_cleaned_up{false};
  Latch begun;
  const auto child = [&]() -> Task<> {
    begun.open();
    std::optional<Cancelled> caught;
    try {
      co_await taskctx::sleep_for(absl::Hours(1));
    } catch (const Cancelled& cancelled) {
      caught = cancelled;
    }
    const Shield shield;
    co_await taskctx::sleep_for(absl::Milliseconds(2));
    has_cleaned_up = true;
    if (caught) {
      throw *caught;
    }
  };
  const auto body = [&](bool is_told_once) -> Task<int> {
    TaskScope scope{pool};
    auto job = scope.spawn(child);
    bool is_cancelled = false;
    try {
      co_await scope.join();
    } catch (const Cancelled&) {
      is_cancelled = true;
    }
    EXPECT_TRUE(has_cleaned_up.exchange(false));
    bool again = false;
    try {
      co_await taskctx::sleep_for(absl::ZeroDuration());
    } catch (const Cancelled&) {
      again = true;
    }
    EXPECT_EQ(again, !is_told_once);
    co_return is_cancelled ? 1 : 0;
  };
  auto told = pool.spawn(body, true);
  begun.wait();
  told.cancel();
  EXPECT_EQ(told.get(), 1);

  begun = Latch();
  CancelScope outer;
  auto below = pool.spawn(body, false);
  begun.wait();
  outer.cancel("all of you");
  const Shield shield;
  below.wait();
  EXPECT_EQ(below.get(), 1);
}

// K12, K1
Task<> grow(TaskScope& scope, std::atomic<int>& count, int depth) {
  ++count;
  co_await yield();
  if (depth > 0) {
    scope.post([&scope, &count, depth] { (void)scope.spawn(grow(scope, count, depth - 1)); });
    const Job<void> job = scope.spawn(grow(scope, count, depth - 1));
  }
}

TEST_P(TaskScopeCoro, CoroutinesStartOthersInTheScope) {
  std::atomic<int> count{0};
  const auto body = [&]() -> Task<> {
    TaskScope scope{pool};
    co_await scope.spawn(grow(scope, count, 7));
    co_await scope.join();
  };
  pool.spawn(body).get();
  EXPECT_EQ(count, 255);
}

// K12: a coroutine without a job of its own, on a thread of no pool.
TEST_P(TaskScopeCoro, ACoroutineThatGoesToAnotherPoolJoins) {
  JobPool other{{.concurrency = 1}};
  const auto body = [&]() -> Task<int> {
    TaskScope scope{pool};
    Job<int> a = scope.spawn(answer(1));
    co_await other.schedule();
    Job<int> b = scope.spawn(answer(2));
    co_await scope.join();
    co_return a.get() + b.get();
  };
  EXPECT_EQ(sync_wait(body()), 3);
  EXPECT_EQ(pool.spawn(body).get(), 3);
}

// K12, K10: a child awaits the foreign event that another child gives.
TEST_P(TaskScopeCoro, AThreadThatJoinsRunsWhatOthersWaitForElsewhere) {
  const Watchdog watchdog{"a join of coroutines that wait for plain jobs"};
  pool.submit([&] {
        Job<int> source;
        TaskScope scope{pool};
        auto gate = std::make_shared<SharedJob<int>>(pool.submit([] { return 1; }).shared());
        for (int i = 0; i < 5; ++i) {
          (void)scope.spawn([gate]() -> Task<> { (void)co_await *gate; });
        }
        scope.join();
      })
      .get();
}

// A coroutine of the user's own, which begins at once.
struct Own {
  struct promise_type {  // NOLINT(readability-identifier-naming): the standard's name
    Own get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    static std::suspend_never initial_suspend() noexcept { return {}; }
    static std::suspend_always final_suspend() noexcept { return {}; }
    static void return_void() {}
    static void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

struct OpensAtItsEnd {
  ~OpensAtItsEnd() { latch.open(); }
  Latch& latch;
};

// K12: it is destroyed, or resumed on a thread of the pool.
TEST_P(TaskScopeCoro, ACoroutineOfAnotherKindJoins) {
  const Watchdog watchdog{"a join in a coroutine of another kind"};
  for (const bool is_destroyed : {false, true}) {
    Latch go;
    Latch resumed;
    std::atomic<int> ended{0};
    const auto body = [&]() -> Own {
      TaskScope scope{pool};
      scope.post([&] {
        go.wait();
        ++ended;
      });
      const OpensAtItsEnd opens{go};  // After the wait was given up, and before the scope ends.
      co_await scope.join();
      ended += 10;
      resumed.open();
    };
    const Own own = body();
    if (is_destroyed) {
      own.handle.destroy();
      EXPECT_EQ(ended % 10, 1);
    } else {
      go.open();
      resumed.wait();
      pool.drain();
      EXPECT_EQ(ended, 11);
      own.handle.destroy();
    }
  }
}

// K12
TEST_P(TaskScopeCoro, JoinInOneOfItsOwnCoroutinesIsRefused) {
  const auto body = [&]() -> Task<> {
    TaskScope scope{pool};
    auto job = scope.spawn([&]() -> Task<> { co_await scope.join(); });
    co_await scope.join();
  };
  try {
    pool.spawn(body).get();
    FAIL();
  } catch (const TaskScopeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("one of its own jobs would wait for itself"));
  }
}

}  // namespace
