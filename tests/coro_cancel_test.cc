// SPDX-License-Identifier: Apache-2.0
//
// Awaiting with a time limit, with a shield, and with clean-up that awaits; and when_all() and
// when_any() that cancel what is of no use any more.

#include "taskctx/coro_cancel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::Cancelled;
using taskctx::CancelScope;
using taskctx::Job;
using taskctx::Shield;
using taskctx::Task;
using testing::ElementsAre;

Task<int> gives(int value) {
  co_await taskctx::yield();
  co_return value;
}
Task<int> fails(std::string what) {
  co_await taskctx::yield();
  throw std::runtime_error(what);
}
Task<int> waits_for_ever() {
  co_await taskctx::sleep_for(absl::Hours(1));
  co_return 0;
}
void wait_for(const std::atomic<bool>& flag) {
  while (!flag) {
    std::this_thread::yield();
  }
}
std::string text_of(const std::exception_ptr& error) {
  try {
    if (error != nullptr) {
      std::rethrow_exception(error);
    }
    return "no error";
  } catch (const Cancelled& cancelled) {
    return std::string(absl::StatusCodeToString(cancelled.status().code()));
  } catch (const std::exception& exception) {
    return exception.what();
  }
}
template <typename J>
std::string end_of(J&& job) {
  try {
    (void)job.get();
    return "no error";
  } catch (...) {
    return text_of(std::current_exception());
  }
}

class CoroCancel : public JobApi {
 protected:
  const Watchdog watchdog{"a coroutine that is cancelled"};
};

// F-H7: its own limit can be told from an outer one, and from a cancel().
TEST_P(CoroCancel, ATimeLimitEndsWhatIsAwaited) {
  EXPECT_EQ(pool.spawn(taskctx::with_timeout(absl::Hours(1), gives(1))).get(), 1);
  Job<std::string> job = pool.spawn([]() -> Task<std::string> {
    std::string told;
    try {
      co_await taskctx::with_timeout(absl::Milliseconds(1), waits_for_ever());
    } catch (const Cancelled&) {
      told = text_of(std::current_exception());
      taskctx::check_cancelled();  // Nothing around is.
    }
    co_await taskctx::yield();
    co_return told;
  });
  EXPECT_EQ(job.get(), "DEADLINE_EXCEEDED");
  job = pool.spawn([]() -> Task<std::string> {
    const CancelScope around{{.timeout = absl::Milliseconds(1)}};
    try {
      co_await taskctx::with_timeout(absl::Hours(1), waits_for_ever());
    } catch (const Cancelled&) {
      taskctx::check_cancelled();
    }
    co_return "went on";
  });
  EXPECT_EQ(end_of(job), "DEADLINE_EXCEEDED");
  job = pool.spawn([]() -> Task<std::string> {
    CancelScope around;
    around.cancel("enough");
    co_await taskctx::with_timeout(absl::Hours(1), waits_for_ever());
    co_return "went on";
  });
  EXPECT_EQ(end_of(job), "CANCELLED");
}

// F-H7: tasks, functions that make them, and jobs, in all their forms.
TEST_P(CoroCancel, LimitsAndShieldsTakeAllThatCanBeAwaited) {
  int number_of = 7;
  Latch latch;
  taskctx::JobPool other{{.concurrency = 1}};
  Job<int> late = other.submit([&] {
    latch.wait();
    return 6;
  });
  taskctx::sync_wait([&]() -> Task<> {
    const auto soon = absl::Hours(1);
    Task<int> named = gives(2);
    EXPECT_EQ(co_await taskctx::with_timeout(soon, named), 2);
    EXPECT_EQ(co_await taskctx::with_timeout(soon, [] { return gives(3); }), 3);
    auto job = pool.submit([] { return 4; });
    EXPECT_EQ(co_await taskctx::with_timeout(soon, job), 4);
    EXPECT_FALSE(job.valid());
    job = pool.submit([] { return 5; });
    EXPECT_EQ(co_await taskctx::shielded(std::move(job)), 5);
    auto to_number = [&]() -> Task<int&> { co_return number_of; };
    int& reference = co_await taskctx::shielded(to_number);
    EXPECT_EQ(&reference, &number_of);
    co_await taskctx::shielded([]() -> Task<> { co_return; });
    auto move_only = co_await taskctx::with_timeout(
        soon, []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(8); });
    EXPECT_EQ(*move_only, 8);
    bool is_told = false;
    try {
      co_await taskctx::with_timeout(absl::Milliseconds(1), late);
    } catch (const Cancelled&) {
      is_told = true;
    }
    EXPECT_TRUE(is_told);
    EXPECT_TRUE(late.valid());  // Only the wait has ended.
    latch.open();
    auto shared = late.shared();
    EXPECT_EQ(co_await taskctx::with_timeout(soon, shared), 6);
  });
}

// F-H7, F-H4
TEST_P(CoroCancel, AShieldLetsAWholeTaskRun) {
  std::atomic<bool> is_at_work{false};
  std::atomic<bool> was_cancelled{false};
  int value = 0;
  Job<void> job = pool.spawn([&]() -> Task<> {
    CancelScope scope;
    scope.cancel();
    value = co_await taskctx::shielded([&]() -> Task<int> {
      is_at_work = true;
      while (!was_cancelled) {
        co_await taskctx::yield();
      }
      co_return co_await gives(9);
    });
    co_await taskctx::yield();
    value = 0;
  });
  wait_for(is_at_work);
  job.cancel();
  was_cancelled = true;
  EXPECT_THROW(job.get(), taskctx::JobCancelled);
  EXPECT_EQ(value, 9);
}

// A database as users write one: each call is awaited, and says in which context it was made.
class Database {
 public:
  Task<> start() { return call("start"); }
  Task<> execute(std::string statement) { return call(std::move(statement)); }
  Task<> commit() { return call("commit"); }
  Task<> rollback() { return call("rollback"); }
  Task<> close() { return call("close"); }

  std::vector<std::string> log;

 private:
  Task<> call(std::string what) {
    co_await taskctx::yield();
    log.push_back(what + " for " + request_id.get("nobody"));
  }
};

// Commits what `statements` does, or rolls it back if that fails or is cancelled; and closes.
template <typename F>
Task<> in_transaction(Database& database, F statements) {
  const taskctx::Scope own{request_id, "transaction of " + request_id.get("nobody")};
  co_await database.start();
  co_await taskctx::with_cleanup(statements, [&](std::exception_ptr error) -> Task<> {
    Task<> end = error != nullptr ? database.rollback() : database.commit();
    co_await end;
    co_await database.close();
  });
}

// F-H8: the transaction with awaited commit, rollback, and close.
TEST_P(CoroCancel, ATransactionIsCommittedOrRolledBackWhateverHappens) {
  const taskctx::Scope scope{request_id, "r1"};
  const std::string of = " for transaction of r1";
  Database database;
  Job<void> job = pool.spawn(in_transaction(database, [&] { return database.execute("insert"); }));
  job.get();
  EXPECT_THAT(database.log, ElementsAre("start" + of, "insert" + of, "commit" + of, "close" + of));
  database.log.clear();
  job = pool.spawn(in_transaction(database, [&]() -> Task<> {
    co_await database.execute("insert");
    throw std::runtime_error("no such table");
  }));
  EXPECT_EQ(end_of(job), "no such table");
  EXPECT_THAT(database.log,
              ElementsAre("start" + of, "insert" + of, "rollback" + of, "close" + of));
  const auto waits = [&](std::atomic<bool>& is_at_work) -> Task<> {
    is_at_work = true;
    co_await taskctx::sleep_for(absl::Hours(1));
  };
  for (const bool is_scope : {false, true}) {
    database.log.clear();
    std::atomic<bool> is_at_work{false};
    CancelScope around;
    job = pool.spawn(in_transaction(database, [&] { return waits(is_at_work); }));
    wait_for(is_at_work);
    is_scope ? around.cancel() : job.cancel();
    const Shield shield;
    EXPECT_EQ(end_of(job), "CANCELLED");
    EXPECT_THAT(database.log, ElementsAre("start" + of, "rollback" + of, "close" + of));
  }
}

// F-H8: it is in the context as the body has left it, and its error comes out, with the body's.
TEST_P(CoroCancel, CleanUpSeesWhatTheBodySetAndNoErrorIsLost) {
  const auto clean_up = [](std::exception_ptr error) -> Task<> {
    EXPECT_EQ(number.get(0), 5);
    if (error != nullptr) {
      EXPECT_EQ(text_of(error), "first");
    }
    co_await fails("second");
  };
  const auto body = [](bool is_good) -> Task<int> {
    number.set(5);
    Task<int> task = is_good ? gives(1) : fails("first");
    co_return co_await task;
  };
  Job<int> job = pool.spawn(taskctx::with_cleanup(body(true), clean_up));
  EXPECT_EQ(end_of(job), "second");
  job = pool.spawn(taskctx::with_cleanup(body(false), clean_up));
  try {
    job.get();
    FAIL();
  } catch (const taskctx::CleanupError& error) {
    EXPECT_STREQ(error.what(), "cannot clean up: second (after: first)");
    EXPECT_EQ(text_of(error.of_cleanup()), "second");
    EXPECT_EQ(text_of(error.of_body()), "first");
  }
  job = pool.spawn(taskctx::with_cleanup(
      [&] { return gives(3); }, [](std::exception_ptr) -> Task<> { co_await taskctx::yield(); }));
  EXPECT_EQ(job.get(), 3);
}

INSTANTIATE_TEST_SUITE_P(Threads, CoroCancel, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
