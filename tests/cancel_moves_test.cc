// SPDX-License-Identifier: Apache-2.0
//
// Scopes in coroutines that move: between pools, threads, and consumers of generators; and what
// wakes a coroutine up at the moment when it is cancelled.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <thread>
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
#include "tests/coro_places.h"
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

namespace this_job = taskctx::this_job;

class Moves : public testing::TestWithParam<int> {
 protected:
  Watchdog watchdog{"a coroutine that moves"};
  JobPool pool{{.concurrency = GetParam()}};
};

// F-H1: a scope goes along with its coroutine, and so does the job that it belongs to.
TEST_P(Moves, AScopeGoesAlongToOtherPoolsAndThreads) {
  Place place;
  Job<int> job = pool.spawn({.name = "traveller"}, [&]() -> Task<int> {
    const std::uint64_t id = this_job::id();
    int told = 0;
    {
      CancelScope scope;
      co_await place.other.schedule();
      EXPECT_EQ(this_job::id(), id);
      EXPECT_EQ(this_job::name(), "traveller");
      co_await NewThread{place};
      EXPECT_EQ(this_job::id(), id);
      EXPECT_EQ(this_job::name(), "traveller");
      EXPECT_FALSE(cancelled());
      scope.cancel("on the way");
      EXPECT_TRUE(cancelled());
      try {
        co_await taskctx::yield();
      } catch (const Cancelled& error) {
        EXPECT_EQ(error.status(), absl::CancelledError("on the way"));
        ++told;
      }
      try {
        co_await place.other.schedule();
      } catch (const Cancelled&) {
        ++told;
      }
    }
    EXPECT_FALSE(cancelled());
    co_await place.other.schedule();
    EXPECT_EQ(this_job::id(), id);
    co_return told;
  });
  EXPECT_EQ(job.get(), 2);
  place.join();
}

// F-H1: a generator's body is below the scopes of whoever asks for the next value.
TEST_P(Moves, AGeneratorHasTheCancellationOfItsConsumer) {
  const auto says = []() -> taskctx::Generator<bool> {
    while (true) {
      co_yield cancelled();
    }
  };
  const auto awaits = []() -> taskctx::AsyncGenerator<bool> {
    while (true) {
      bool is_told = false;
      try {
        co_await taskctx::yield();
      } catch (const Cancelled&) {
        is_told = true;
      }
      co_yield is_told;
    }
  };
  Job<void> job = pool.spawn([&]() -> Task<> {
    auto sync = says();
    auto async = awaits();
    auto values = sync.begin();
    EXPECT_FALSE(*values);
    EXPECT_FALSE(*co_await async.next());
    for (int i = 0; i < 2; ++i) {
      CancelScope scope;
      ++values;
      EXPECT_FALSE(*values);
      EXPECT_FALSE(*co_await async.next());
      scope.cancel();
      ++values;
      EXPECT_TRUE(*values);
      EXPECT_TRUE(*co_await async.next());
      const Shield shield;
      ++values;
      EXPECT_FALSE(*values);
      EXPECT_FALSE(*co_await async.next());
    }
    ++values;
    EXPECT_FALSE(*values);
    EXPECT_FALSE(*co_await async.next());
  });
  job.get();
}

Manual waits_by_hand(taskctx::SharedJob<int> job, std::string& told) {
  for (int i = 0; i < 2; ++i) {
    try {
      co_await job;
      told += "went on, ";
    } catch (const Cancelled& error) {
      told += std::string(error.status().message()) + ", ";
    }
  }
}

// F-H1: a coroutine of another kind is below the scope in which it was made. It may be destroyed
// while it is suspended, by the scope's own code.
TEST_P(Moves, ACoroutineOfAnotherKindIsToldToo) {
  std::atomic<bool> may_end{false};
  JobPool busy{{.concurrency = 2}};  // One resumes what waits for the other.
  const taskctx::SharedJob<int> never = busy.submit([&] {
                                              while (!may_end) {
                                                std::this_thread::yield();
                                              }
                                              return 1;
                                            })
                                            .shared();
  std::string told;
  std::string dropped;
  {
    CancelScope scope;
    Manual coroutine = waits_by_hand(never, told);
    {
      Manual suspended = waits_by_hand(never, dropped);
      suspended.resume();
    }
    coroutine.resume();
    EXPECT_FALSE(coroutine.done());
    scope.cancel("by hand");
    may_end = true;
    busy.drain();  // It was resumed there: whatever comes first, its wait has ended by cancel().
    EXPECT_TRUE(coroutine.done());
  }
  EXPECT_EQ(told, "by hand, by hand, ");
  EXPECT_EQ(dropped, "");
}

// F-H7: each wait ends once, whatever comes first: its wake-up, the scope, or Job::cancel().
TEST_P(Moves, AWakeUpAndACancelMayMeet) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  JobPool other{{.concurrency = 1}};
  int values = 0;
  int ended = 0;
  for (int round = 0; round < 1000; ++round) {
    std::atomic<int> at_work{0};
    CancelScope scope;
    Job<int> awaited = other.submit([&at_work] {
      while (at_work == 0) {
        std::this_thread::yield();
      }
      return 1;
    });
    Job<int> waiter = pool.spawn([&]() -> Task<int> {
      at_work = 1;
      int value = 0;
      try {
        value = co_await awaited;
      } catch (const Cancelled&) {
        EXPECT_TRUE(awaited.valid());
      }
      co_return value;
    });
    const auto way = random() % 3;
    for (auto i = random() % 2000; i > 0; --i) {
      asm volatile("");
    }
    if (way == 0) {
      scope.cancel();
    } else if (way == 1) {
      waiter.cancel();
    }
    const Shield shield;
    try {
      values += waiter.get();
    } catch (const taskctx::JobCancelled&) {
      at_work = 1;  // It has not begun.
    }
    ++ended;
    if (awaited.valid()) {
      awaited.wait();
    }
  }
  EXPECT_EQ(ended, 1000);
  EXPECT_GT(values, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, Moves, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
