// SPDX-License-Identifier: Apache-2.0
//
// What cancellation means to coroutines: each wait is a cancellation point, for scopes as long as
// they last, for Job::cancel() once. The rows of the table in cancel.h.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"
#include "tests/cancelling.h"
#include "tests/coro_gate.h"
#include "tests/manual.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::Cancelled;
using taskctx::CancelScope;
using taskctx::Job;
using taskctx::JobPool;
using taskctx::Shield;
using taskctx::Task;

struct World : Gate {
  explicit World(int threads) : pool({.concurrency = threads}) {}
  ~World() { open(); }

  JobPool pool;
  JobPool other{{.concurrency = 1}};
  std::atomic<bool> is_at_work{false};
  CancelScope* own = nullptr;
};

// A wait that never ends by itself.
struct Wait {
  const char* name;
  Task<> (*forever)(World& world);
};
std::ostream& operator<<(std::ostream& out, const Wait& wait) { return out << wait.name; }

constexpr Wait kWaits[] = {
    {"Sleep", [](World&) -> Task<> { co_await taskctx::sleep_for(absl::Hours(1)); }},
    {"Yield",
     [](World&) -> Task<> {
       while (true) {
         co_await taskctx::yield();
       }
     }},
    {"Schedule",
     [](World& world) -> Task<> {
       while (true) {
         co_await world.other.schedule();
         co_await world.pool.schedule();
       }
     }},
    {"Job",
     [](World& world) -> Task<> {
       Job<void> next = world.job.then([](int /*result*/) {});
       co_await next;
     }},
    {"SharedJob", [](World& world) -> Task<> { co_await world.job; }},
    {"Task", [](World& world) -> Task<> { co_await waits_for(world); }},
    {"WhenAll",
     [](World& world) -> Task<> {
       co_await taskctx::when_all(waits_for(world), waits_for(world));
     }},
    {"WhenAny",
     [](World& world) -> Task<> {
       std::vector<Task<int>> tasks;
       tasks.push_back(waits_for(world));
       co_await taskctx::when_any(std::move(tasks));
     }},
    {"AsyncGenerator",
     [](World& world) -> Task<> {
       auto generator = yields_late(world);
       co_await generator.next();
     }},
};

class Waiting : public testing::TestWithParam<std::tuple<Wait, int>> {
 protected:
  [[nodiscard]] Wait wait() const { return std::get<0>(GetParam()); }

  // A coroutine that waits, twice if it is told each time, and writes down what it is told.
  enum class Own { none, scope, deadline };
  enum class Told { each_time, once };
  static Task<std::string> listens(World& world, Wait wait, Own own, Told told) {
    std::string log;
    {
      std::unique_ptr<CancelScope> scope;
      if (own == Own::scope) {
        scope = std::make_unique<CancelScope>();
        world.own = scope.get();
      } else if (own == Own::deadline) {
        scope = std::make_unique<CancelScope>(
            taskctx::CancelScopeOptions{.timeout = absl::Milliseconds(1)});
      }
      world.is_at_work = true;
      for (int i = told == Told::once ? 1 : 0; i < 2; ++i) {
        try {
          co_await wait.forever(world);
        } catch (const Cancelled& error) {
          log += error.status().code() == absl::StatusCode::kCancelled ? "cancelled, " : "late, ";
        }
      }
      EXPECT_EQ(cancelled(), told == Told::each_time);
    }
    const bool is_over = cancelled();
    if (!is_over) {
      co_await taskctx::yield();
    }
    log += is_over ? "to the end" : "until it was left";
    co_return log;
  }

  Watchdog watchdog{"a coroutine that waits"};
  World world{std::get<1>(GetParam())};
};

// F-H1, F-H7
TEST_P(Waiting, EndsEachTimeUntilTheScopeInTheCoroutineIsLeft) {
  Job<std::string> job = world.pool.spawn(listens(world, wait(), Own::scope, Told::each_time));
  wait_for(world.is_at_work);
  world.own->cancel("enough");
  EXPECT_EQ(job.get(), "cancelled, cancelled, until it was left");
}

// F-H2
TEST_P(Waiting, EndsAtTheDeadline) {
  Job<std::string> job = world.pool.spawn(listens(world, wait(), Own::deadline, Told::each_time));
  EXPECT_EQ(job.get(), "late, late, until it was left");
}

// F-H1
TEST_P(Waiting, EndsWithTheScopeAroundTheSpawn) {
  CancelScope scope;
  Job<std::string> job = world.pool.spawn(listens(world, wait(), Own::none, Told::each_time));
  wait_for(world.is_at_work);
  scope.cancel();
  const Shield shield;
  EXPECT_EQ(job.get(), "cancelled, cancelled, to the end");
}

// F-H1
TEST_P(Waiting, EndsEachTimeWhenTheParentIsCancelled) {
  Job<std::string> child;
  Job<void> parent = world.pool.spawn([&]() -> Task<> {
    child = world.pool.spawn(listens(world, wait(), Own::none, Told::each_time));
    co_await taskctx::sleep_for(absl::Hours(1));
  });
  wait_for(world.is_at_work);
  parent.cancel();
  EXPECT_THROW(parent.get(), taskctx::JobCancelled);
  EXPECT_EQ(child.get(), "cancelled, cancelled, to the end");
}

// F-H1: the job itself is told once for each cancel(). What it creates then is not cancelled.
TEST_P(Waiting, EndsOnceWhenItsOwnJobIsCancelled) {
  Job<std::string> job = world.pool.spawn(listens(world, wait(), Own::none, Told::once));
  wait_for(world.is_at_work);
  job.cancel();
  EXPECT_EQ(job.get(), "cancelled, until it was left");
}

// F-H1: also if the coroutine runs on a thread that waits for it.
TEST_P(Waiting, EndsInATaskThatPlainCodeWaitsFor) {
  CancelScope scope;
  std::thread canceller([&] {
    wait_for(world.is_at_work);
    scope.cancel();
  });
  EXPECT_EQ(taskctx::sync_wait(listens(world, wait(), Own::none, Told::each_time)),
            "cancelled, cancelled, to the end");
  canceller.join();
}

// F-H1
TEST_P(Waiting, EndsInATaskThatAJobWaitsFor) {
  Job<std::string> job = world.pool.submit(
      [&] { return taskctx::sync_wait(listens(world, wait(), Own::none, Told::each_time)); });
  wait_for(world.is_at_work);
  job.cancel();
  EXPECT_EQ(job.get(), "cancelled, cancelled, to the end");
}

INSTANTIATE_TEST_SUITE_P(Waits, Waiting,
                         testing::Combine(testing::ValuesIn(kWaits), testing::Values(1, 2, 4, 8)));

class CancelledCoroutine : public testing::TestWithParam<int> {
 protected:
  Watchdog watchdog{"a cancelled coroutine"};
  World world{GetParam()};
};

// F-H1
TEST_P(CancelledCoroutine, NeverRunsIfItHasNotBegun) {
  CancelScope scope;
  scope.cancel();
  Job<void> job = world.pool.spawn([]() -> Task<> {
    ADD_FAILURE();
    co_return;
  });
  const Shield shield;
  EXPECT_THROW(job.get(), taskctx::JobCancelled);
}

// F-H1: a co_await that ends early leaves the handle valid.
TEST_P(CancelledCoroutine, KeepsTheHandleOfWhatItWaitedFor) {
  Job<int> job = world.pool.spawn([this]() -> Task<int> {
    Job<int> next = world.job.then([](int done) { return done + 1; });
    bool is_told = false;
    {
      CancelScope scope;
      world.own = &scope;
      world.is_at_work = true;
      try {
        co_await next;
      } catch (const Cancelled&) {
        is_told = true;
      }
    }
    EXPECT_TRUE(is_told);
    EXPECT_TRUE(next.valid());
    world.open();
    co_return co_await next;
  });
  wait_for(world.is_at_work);
  world.own->cancel();
  EXPECT_EQ(job.get(), 2);
}

// F-H4: neither a scope around nor Job::cancel() ends a wait under a Shield. That comes after it.
TEST_P(CancelledCoroutine, WaitsUnderAShield) {
  std::atomic<bool> was_cancelled{false};
  Job<void> job = world.pool.spawn([&]() -> Task<> {
    CancelScope scope;
    scope.cancel("from outside");
    {
      const Shield shield;
      const CancelScope inner;  // Likewise below it.
      EXPECT_FALSE(cancelled());
      EXPECT_EQ(co_await waits_for(world), 1);
      world.is_at_work = true;
      while (!was_cancelled) {
        co_await taskctx::yield();
      }
      co_await taskctx::sleep_for(absl::ZeroDuration());
    }
    EXPECT_THROW(taskctx::check_cancelled(), Cancelled);
    co_await taskctx::yield();
    ADD_FAILURE();
  });
  world.open();
  wait_for(world.is_at_work);
  job.cancel();
  was_cancelled = true;
  EXPECT_THROW(job.get(), taskctx::JobCancelled);
}

INSTANTIATE_TEST_SUITE_P(Threads, CancelledCoroutine, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
