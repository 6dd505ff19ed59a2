// SPDX-License-Identifier: Apache-2.0
//
// Coroutines without memory: each call is made with its first, second, third ... allocation
// failing, until it succeeds. It throws std::bad_alloc, and nothing is lost, left behind, or begun.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/foreign.h"
#include "tests/fuse.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> text{"text", "none"};
const ContextVar<int> number{"number", 0};

std::atomic<int> begun = 0;

Task<int> counts(Tracked tracked) {
  ++begun;
  co_await taskctx::yield();
  co_return tracked.value();
}

// Calls `attempt` with the n-th allocation of this thread failing, n = 0, 1, ..., until none does.
// Returns how many failed. `expected`: how many coroutines one success begins.
int fail_each(int expected, const std::function<void()>& attempt) {
  for (int n = 0;; ++n) {
    begun = 0;
    bool has_thrown = false;
    allocations.arm(n);
    try {
      attempt();
    } catch (const std::bad_alloc&) {
      has_thrown = true;
    }
    const bool has_failed = allocations.disarm() || has_thrown;
    taskctx::default_pool().drain();
    EXPECT_EQ(Tracked::alive(), 0) << "after failure " << n;
    EXPECT_EQ(begun, has_thrown ? 0 : expected) << "after failure " << n;
    EXPECT_EQ(text.get(), "none");
    if (!has_failed || testing::Test::HasFailure()) {
      return n;
    }
  }
}

// What is started is waited for when memory is there again.
template <typename T>
void finish(Job<T> job) {
  allocations.disarm();
  job.wait();
}

class WithoutMemory : public testing::Test {
 protected:
  // So that oneTBB has its threads, and the timer its own.
  WithoutMemory() {
    pool.submit_after(absl::ZeroDuration(), [] {}).get();
  }

  Watchdog watchdog{"WithoutMemory"};
  JobPool& pool = taskctx::default_pool();
};

// J84
TEST_F(WithoutMemory, SpawningHappensOrDoesNot) {
  const std::string name(100, 'n');
  EXPECT_GE(fail_each(1, [&] { finish(pool.spawn(counts(Tracked(1)))); }), 2);
  EXPECT_GE(fail_each(1,
                      [&] {
                        Job<int> job = pool.spawn({.name = name}, counts(Tracked(1)));
                        finish(std::move(job));
                      }),
            3);
  EXPECT_GE(fail_each(1,
                      [&] {
                        Job<int> job = pool.spawn(
                            [tracked = Tracked(1)]() -> Task<int> { return counts(tracked); });
                        finish(std::move(job));
                      }),
            2);
}

// J85: what is refused by a full queue ends with that error, all others go on.
TEST_F(WithoutMemory, WhatAFullQueueRefusesEndsWithThatError) {
  std::latch busy(1);
  JobPool small{{.concurrency = 1, .queue_capacity = 1, .when_full = taskctx::WhenFull::reject}};
  begun = 0;
  auto first = small.submit([&busy] {
    auto all = taskctx::when_all(counts(Tracked(1)), counts(Tracked(2)), counts(Tracked(3)));
    busy.wait();
    try {
      all.get();
      return false;
    } catch (const taskctx::JobRejected&) {
      return true;
    }
  });
  busy.count_down();
  EXPECT_TRUE(first.get());
  small.drain();
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(Tracked::alive(), 0);
}

// J84
TEST_F(WithoutMemory, SyncWaitReturnsWhenTheTaskHasEndedNotBefore) {
  EXPECT_GE(fail_each(1, [] { EXPECT_EQ(sync_wait(counts(Tracked(1))), 1); }), 2);
  // In a job it helps, which needs memory, too.
  for (int n = 0; n < 40; ++n) {
    JobPool one{{.concurrency = 1}};
    EXPECT_TRUE(one.submit([n] {
                     const Scope scope{text, "the job's"};
                     try {
                       allocations.arm(n);
                       sync_wait(counts(Tracked(1)));
                     } catch (const std::bad_alloc&) {
                     }
                     allocations.disarm();
                     return text.get() == "the job's" && Tracked::alive() == 0;
                   })
                    .get())
        << "failure " << n;
  }
}

taskctx::Generator<int> generates() {
  const Scope scope{number, 1, text, "the generator's"};
  co_yield number.get();
  co_yield number.get();
}

// J84
TEST_F(WithoutMemory, GeneratorsThrowAndCanBeDestroyed) {
  EXPECT_GE(fail_each(0,
                      [] {
                        const Scope scope{number, 5};
                        for (const int value : generates()) {
                          EXPECT_EQ(value, 1);
                        }
                      }),
            3);
}

struct Outcome {
  std::atomic<bool> goes_on = false;
  std::atomic<bool> has_thrown = false;
  std::latch ended{1};
};
// Tells of the end of what holds it.
using Holder =
    std::unique_ptr<Outcome, decltype([](Outcome* outcome) { outcome->ended.count_down(); })>;

// Awaits what `make` makes. The holder is destroyed last.
template <typename Make>
Foreign await(Holder holder, [[maybe_unused]] Tracked local, Make make) {
  try {
    co_await make();
    holder->goes_on = true;
  } catch (const std::bad_alloc&) {
    holder->has_thrown = true;
  }
}

// Awaits on this thread with the n-th allocation failing. Returns whether one has failed.
template <typename Make>
bool await_with_failure(int n, Outcome& outcome, Make make) {
  Holder holder(&outcome);
  allocations.arm(n);
  try {
    await(std::move(holder), Tracked(7), make);
  } catch (const std::bad_alloc&) {  // There was none for the coroutine itself.
    outcome.has_thrown = true;
  }
  return allocations.disarm();
}

// Does so on a plain thread, and in a job, until none fails. Returns how many have failed.
// `expected`: how many of our coroutines one success begins.
template <typename Make>
int await_with_each_failure(JobPool& pool, int expected, Make make) {
  for (int n = 0;; ++n) {
    bool has_failed = false;
    for (const bool in_job : {false, true}) {
      begun = 0;
      const auto outcome = std::make_shared<Outcome>();
      const auto attempt = [&] { return await_with_failure(n, *outcome, make); };
      has_failed |= in_job ? pool.submit(attempt).get() : attempt();
      outcome->ended.wait();
      pool.drain();
      EXPECT_NE(outcome->goes_on, outcome->has_thrown) << "after failure " << n;
      // All of them or none; what has begun may itself find no memory.
      EXPECT_TRUE(begun == expected || (begun == 0 && outcome->has_thrown))
          << begun << " have begun after failure " << n;
      EXPECT_EQ(Tracked::alive(), 0) << "after failure " << n;
      EXPECT_EQ(text.get(), "none");
    }
    if (!has_failed || testing::Test::HasFailure()) {
      return n;
    }
  }
}

// J84
TEST_F(WithoutMemory, AwaitingInAnotherLibrarysCoroutineThrowsOrGoesOn) {
  EXPECT_GE(await_with_each_failure(pool, 1, [] { return counts(Tracked(1)); }), 3);
  EXPECT_GE(await_with_each_failure(
                pool, 2, [] { return taskctx::when_all(counts(Tracked(1)), counts(Tracked(2))); }),
            4);
  EXPECT_GE(await_with_each_failure(pool, 0, [] { return taskctx::yield(); }), 1);
  EXPECT_GE(await_with_each_failure(pool, 0, [this] { return pool.schedule(); }), 1);
  EXPECT_GE(
      await_with_each_failure(pool, 0, [] { return taskctx::sleep_for(absl::Microseconds(1)); }),
      1);
  EXPECT_GE(await_with_each_failure(pool, 0,
                                    [this]() -> Job<int> {
                                      return pool.submit(
                                          [tracked = Tracked(1)] { return tracked.value(); });
                                    }),
            2);
}

}  // namespace
