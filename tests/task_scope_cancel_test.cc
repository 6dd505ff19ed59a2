// SPDX-License-Identifier: Apache-2.0
//
// A task scope that is cancelled: by hand, by time, by a stop token, from outside.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stop_token>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task_scope.h"
#include "tests/pools.h"
#include "tests/scopes.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::HasSubstr;

using TaskScopeTest = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeTest, testing::Values(1, 2, 4, 8));

// K9
TEST_P(TaskScopeTest, CancelEndsTheJobsAndJoinSaysWhy) {
  Latch begun;
  TaskScope scope{pool, {.name = "reload"}};
  Job<void> job = scope.submit([&] {
    begun.open();
    run_until_cancelled();
  });
  begun.wait();
  EXPECT_FALSE(scope.is_cancelled());
  EXPECT_TRUE(scope.cancel("the user went away"));
  EXPECT_FALSE(scope.cancel("again"));
  EXPECT_TRUE(scope.is_cancelled());
  try {
    scope.join();
    FAIL();
  } catch (const Cancelled& cancelled) {
    EXPECT_STREQ(cancelled.what(), "cannot join task scope 'reload': the user went away");
    EXPECT_EQ(cancelled.status(), absl::CancelledError("the user went away"));
  }
  EXPECT_THROW(job.get(), Cancelled);
}

// K9
TEST_P(TaskScopeTest, JoinThrowsNothingIfAllJobsHaveReachedTheirEnd) {
  TaskScope scope{pool};
  Job<int> job = scope.submit([] { return 1; });
  job.wait();
  scope.cancel("too late");
  scope.join();
  EXPECT_EQ(job.get(), 1);
}

// K9: the jobs that have begun, and those that have not, for which no thread is free.
TEST_P(TaskScopeTest, TheTimeOfAScopeEndsAllItsJobs) {
  const Watchdog watchdog{"a scope whose time is over"};
  Latch go;
  auto busy = occupy(go);
  std::atomic<bool> has_run{false};
  TaskScope waiting{pool, {.timeout = absl::Milliseconds(20)}};
  waiting.post([&] { has_run = true; });
  try {
    waiting.join();
    FAIL();
  } catch (const Cancelled& cancelled) {
    EXPECT_EQ(cancelled.status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  go.open();
  TaskScope scope{pool, {.deadline = Deadline::after(absl::Milliseconds(20))}};
  scope.post([] { run_until_cancelled(); });
  try {
    scope.join();
    FAIL();
  } catch (const Cancelled& cancelled) {
    EXPECT_EQ(cancelled.status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_FALSE(has_run);
  for (auto& job : busy) {
    job.get();
  }
}

// K9: whoever finds out first that it is over: the timer, or a thread that takes up a job.
TEST_P(TaskScopeTest, AScopeWhoseTimeIsOverFromTheStartSaysSo) {
  for (int i = 0; i < 50; ++i) {
    TaskScope scope{pool, {.timeout = absl::Nanoseconds(i)}};
    std::atomic<bool> has_run{false};
    scope.post([&] { has_run = true; });
    bool has_thrown = false;
    try {
      scope.join();
    } catch (const Cancelled& cancelled) {
      has_thrown = true;
      ASSERT_EQ(cancelled.status().code(), absl::StatusCode::kDeadlineExceeded);
    }
    ASSERT_EQ(has_thrown, !has_run);
  }
}

// K9
TEST_P(TaskScopeTest, AStopTokenCancelsTheScope) {
  std::stop_source source;
  TaskScope scope{pool, {.stop_token = source.get_token()}};
  scope.post([] { run_until_cancelled(); });
  source.request_stop();
  EXPECT_TRUE(scope.is_cancelled());
  EXPECT_THROW(scope.join(), Cancelled);
}

// K9: join() waits for all, and throws each time that it is asked.
TEST_P(TaskScopeTest, ACancelledOwnerStillWaitsForAllJobs) {
  std::atomic<bool> has_cleaned_up{false};
  CancelScope outer;
  TaskScope scope{pool};
  Latch begun;
  scope.post([&] {
    begun.open();
    try {
      run_until_cancelled();
    } catch (const Cancelled&) {
      const Shield shield;
      pool.submit([&] { has_cleaned_up = true; }).get();
      throw;
    }
  });
  begun.wait();
  outer.cancel("everybody out");
  try {
    scope.join();
    FAIL();
  } catch (const Cancelled& cancelled) {
    EXPECT_THAT(cancelled.what(), HasSubstr("everybody out"));
  }
  EXPECT_TRUE(has_cleaned_up);
  EXPECT_THROW(check_cancelled(), Cancelled);
  TaskScope empty{pool};
  EXPECT_THROW(empty.join(), Cancelled) << "the code that joins is to stop";
}

}  // namespace
