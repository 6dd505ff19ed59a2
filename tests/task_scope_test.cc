// SPDX-License-Identifier: Apache-2.0
//
// A task scope: what belongs to it, when it ends, and what cancels it.

#include "taskctx/task_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/scopes.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::HasSubstr;

using TaskScopeTest = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeTest, testing::Values(1, 2, 4, 8));

// K1
TEST_P(TaskScopeTest, JoinWaitsForAllJobsAndLeavesTheirResults) {
  std::atomic<int> ended{0};
  TaskScope scope{pool};
  Job<int> a = scope.submit([&](int value) { return ++ended, value; }, 1);
  auto b = scope.submit({.name = "b"}, [&] { return ++ended, std::string("b"); });
  scope.post([&] { ++ended; });
  scope.post(
      {.name = "c"}, [&](int value) { ended += value; }, 1);
  scope.join();
  EXPECT_EQ(ended, 4);
  EXPECT_TRUE(a.ready());
  EXPECT_EQ(a.get(), 1);
  EXPECT_EQ(b.get(), "b");
  EXPECT_FALSE(scope.is_cancelled());
}

// K1
TEST_P(TaskScopeTest, AScopeWithoutJobsEndsAtOnce) {
  TaskScope scope{pool};
  scope.join();
  const TaskScope other{pool, {.policy = JoinPolicy::wait_all}};
}

// K1: each job starts two others, until there are enough.
TEST_P(TaskScopeTest, JoinWaitsForWhatJobsStartInTheScope) {
  std::atomic<int> count{0};
  TaskScope scope{pool};
  std::function<void(int)> grow = [&](int depth) {
    ++count;
    if (depth > 0) {
      scope.post([&grow, depth] { grow(depth - 1); });
      scope.post([&grow, depth] { grow(depth - 1); });
    }
  };
  scope.post([&grow] { grow(9); });
  scope.join();
  EXPECT_EQ(count, 1023);
}

// K1: also of a result that nobody takes, and of what the job has set.
TEST_P(TaskScopeTest, NothingOfAJobOutlivesTheScope) {
  for (int i = 0; i < 200; ++i) {
    TaskScope scope{pool};
    for (int k = 0; k < 4; ++k) {
      auto job = scope.submit([argument = Tracked(k)] {
        static const ContextVar<std::shared_ptr<Tracked>> kept{"kept"};
        kept.set(std::make_shared<Tracked>(1));
        return Tracked(argument.value());
      });
      if (k == 1) {
        job.wait();
      }
    }
    scope.join();
    ASSERT_EQ(Tracked::alive(), 0);
  }
}

// K2
TEST_P(TaskScopeTest, TheFirstFailureCancelsTheOthers) {
  Latch all_run;
  TaskScope scope{pool};
  if (GetParam() > 1) {
    scope.post([&] {
      all_run.open();
      run_until_cancelled();
    });
    all_run.wait();
  }
  scope.post([] { throw std::runtime_error("no"); });
  try {
    scope.join();
    FAIL();
  } catch (const TaskScopeError& error) {
    ASSERT_EQ(error.errors().size(), 1U);
  }
  EXPECT_TRUE(scope.is_cancelled());
}

// K2: a job that was cancelled alone is no failure.
TEST_P(TaskScopeTest, ACancelledJobDoesNotFail) {
  TaskScope scope{pool};
  scope.post([] { throw Cancelled("it gave up"); });
  Latch go;
  auto busy = occupy(go);
  auto late = scope.submit([] {});
  EXPECT_TRUE(late.cancel());
  go.open();
  scope.join();
  EXPECT_FALSE(scope.is_cancelled());
  for (auto& job : busy) {
    job.get();
  }
}

// K3
TEST_P(TaskScopeTest, WaitAllRunsAllToTheirEnd) {
  std::atomic<int> ended{0};
  TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
  for (int i = 0; i < 20; ++i) {
    scope.post([&, i] {
      if (i % 5 == 0) {
        throw std::runtime_error(std::to_string(i));
      }
      ++ended;
    });
  }
  try {
    scope.join();
    FAIL();
  } catch (const TaskScopeError& error) {
    EXPECT_EQ(error.errors().size(), 4U);
  }
  EXPECT_EQ(ended, 16);
  EXPECT_FALSE(scope.is_cancelled());
}

// K4
TEST_P(TaskScopeTest, TheFirstResultCancelsTheOthers) {
  TaskScope scope{pool, {.policy = JoinPolicy::first_success}};
  scope.post([] { throw std::runtime_error("this server is down"); });
  Job<int> winner = scope.submit([] { return 7; });
  Job<int> slow;
  if (GetParam() > 1) {
    slow = scope.submit([] {
      run_until_cancelled();
      return 8;
    });
  }
  scope.join();
  EXPECT_EQ(winner.get(), 7);
  EXPECT_TRUE(scope.is_cancelled());
  if (slow.valid()) {
    EXPECT_THROW(slow.get(), Cancelled);
  }
  EXPECT_EQ(handled, 0) << "a failure that did not matter";
}

// K4
TEST_P(TaskScopeTest, WithoutAnyResultFirstSuccessFails) {
  TaskScope scope{pool, {.policy = JoinPolicy::first_success}};
  scope.post([] { throw std::runtime_error("down"); });
  scope.post([] { throw std::runtime_error("gone"); });
  scope.post([] { throw Cancelled("not me"); });
  try {
    scope.join();
    FAIL();
  } catch (const TaskScopeError& error) {
    EXPECT_EQ(error.errors().size(), 2U);
    EXPECT_THAT(error.what(), HasSubstr("2 of 3 jobs failed"));
  }
  TaskScope empty{pool, {.policy = JoinPolicy::first_success, .name = "nobody"}};
  try {
    empty.join();
    FAIL();
  } catch (const TaskScopeError& error) {
    EXPECT_TRUE(error.errors().empty());
    EXPECT_STREQ(error.what(), "cannot join task scope 'nobody': none of 0 jobs succeeded");
  }
}

// K8: whatever its context; and its values are that context's.
TEST_P(TaskScopeTest, AJobBelongsToItsScopeWhateverContextItIsGiven) {
  Context given;
  given.run([] { request_id.set("given"); });
  const Scope outer{request_id, "outer"};
  std::vector<std::string> seen(4);
  TaskScope scope{pool};
  const auto body = [&](std::size_t i) {
    seen[i] = request_id.get("none");
    run_until_cancelled();
  };
  scope.cancel("all of you");
  std::vector<Job<void>> jobs;
  jobs.push_back(scope.submit(body, std::size_t{0}));
  jobs.push_back(scope.submit({.context = given}, body, std::size_t{1}));
  jobs.push_back(scope.submit({.detached = true}, body, std::size_t{2}));
  jobs.push_back(scope.submit({.context_factory = [](const Context*) { return Context(); }}, body,
                              std::size_t{3}));
  for (auto& job : jobs) {
    EXPECT_THROW(job.get(), Cancelled);
  }
  EXPECT_EQ(seen, std::vector<std::string>(4)) << "none has begun";
  EXPECT_THROW(scope.join(), Cancelled);

  TaskScope running{pool};
  const auto note = [&](std::size_t i) { seen[i] = request_id.get("none"); };
  running.post(note, std::size_t{0});
  running.post({.context = given}, note, std::size_t{1});
  running.post({.detached = true}, note, std::size_t{2});
  running.join();
  EXPECT_THAT(seen, testing::ElementsAre("outer", "given", "none", ""));
}

// K8
TEST_P(TaskScopeTest, WhatIsSubmittedToThePoolIsNotTheScopes) {
  TaskScope scope{pool};
  scope.cancel("only what is in it");
  EXPECT_FALSE(cancelled());
  EXPECT_EQ(pool.submit([] { return !cancelled(); }).get(), true);
  EXPECT_EQ(pool.submit([] { return 1; }).then([](int value) { return value; }).get(), 1);
}

}  // namespace
