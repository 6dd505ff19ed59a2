// SPDX-License-Identifier: Apache-2.0
//
// Scopes that are open in a coroutine whose own job is cancelled: the coroutine is told once, and
// what it has created before stays cancelled.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Task;

class CancelledAgain : public JobPoolTest {
 protected:
  const Watchdog watchdog{"a coroutine that is cancelled again"};
};

// F-H1
TEST_P(CancelledAgain, ToldOnceInItsScopesAndGoesOnInThem) {
  std::atomic<int> step{0};
  std::atomic<CancelScope*> inner_scope{nullptr};
  auto job = pool.spawn([&]() -> Task<> {
    CancelScope outer{{.timeout = absl::Hours(1)}};
    CancelScope inner;
    inner_scope = &inner;
    const auto before = taskctx::bind([] { return cancelled(); });
    for (int round = 1; round <= 3; ++round) {
      step = round;
      bool is_told = false;
      try {
        co_await taskctx::sleep_for(absl::Hours(1));
      } catch (const taskctx::JobCancelled&) {
        is_told = true;
      }
      EXPECT_TRUE(is_told);
      EXPECT_FALSE(cancelled());
      EXPECT_FALSE(inner.is_cancelled());
      while (!before()) {  // It was created before: it is told, too, now or a moment later.
        std::this_thread::yield();
      }
      const auto after = taskctx::bind([] { return cancelled(); });
      EXPECT_FALSE(after());
      EXPECT_LE(taskctx::remaining(), absl::Hours(1));
      co_await taskctx::yield();
    }
    const auto last = taskctx::bind([] { return cancelled(); });
    step = 4;
    try {
      co_await taskctx::sleep_for(absl::Hours(1));
      ADD_FAILURE();
    } catch (const taskctx::JobCancelled&) {
      ADD_FAILURE();
    } catch (const taskctx::Cancelled& error) {
      EXPECT_EQ(error.status(), absl::CancelledError("the scope itself"));
    }
    EXPECT_TRUE(cancelled());
    EXPECT_TRUE(last());
    EXPECT_FALSE(outer.is_cancelled());
  });
  for (int round = 1; round <= 3; ++round) {
    while (step != round) {
      std::this_thread::yield();
    }
    while (step ==
           round) {  // One may come before it waits, and one after that: it is told of each.
      job.cancel();
      break;
    }
  }
  while (step != 4) {
    std::this_thread::yield();
  }
  inner_scope.load()->cancel("the scope itself");
  job.get();
}

// F-H2: a deadline of the scope goes on to count.
TEST_P(CancelledAgain, KeepsTheDeadlinesOfItsScopes) {
  std::atomic<bool> waits{false};
  auto job = pool.spawn([&]() -> Task<absl::Status> {
    const CancelScope scope{{.timeout = absl::Milliseconds(20), .reason = "its own time"}};
    waits = true;
    try {
      co_await taskctx::sleep_for(absl::Hours(1));
    } catch (const taskctx::Cancelled&) {
    }
    try {
      co_await taskctx::sleep_for(absl::Hours(1));
    } catch (const taskctx::Cancelled& error) {
      co_return error.status();
    }
    co_return absl::OkStatus();
  });
  while (!waits) {
    std::this_thread::yield();
  }
  job.cancel();
  EXPECT_EQ(job.get(), absl::DeadlineExceededError("its own time"));
}

INSTANTIATE_TEST_SUITE_P(Threads, CancelledAgain, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
