// SPDX-License-Identifier: Apache-2.0
//
// The ends of jobs, of their errors and of all kinds in turn, a million levels deep.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <any>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/token.h"
#include "tests/deep_ends.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// M30: a job's result that holds the handle of the job before.
TEST(Ending, OfJobsIsNotRecursive) {
  taskctx::JobPool pool{{.concurrency = 1}};
  struct Step {
    std::unique_ptr<taskctx::Job<Step>> before;
    Counted counted;
  };
  const auto run = [&] {
    make_and_end(taskctx::Job<Step>(), [&](taskctx::Job<Step> before) {
      taskctx::Job<Step> job =
          pool.submit([before = std::make_unique<taskctx::Job<Step>>(std::move(before))]() mutable {
            return Step{std::move(before), {}};
          });
      job.wait();
      return job;
    });
  };
  pool.submit(run).get();  // Each waits right here.
}

// M30: a job's error that holds the shared handle of the job before.
TEST(Ending, OfErrorsOfJobsIsNotRecursive) {
  constexpr int kFailures = kLevels / 10;  // Each costs an exception.
  std::atomic<int> failures = 0;
  taskctx::JobPool pool{
      {.concurrency = 1, .exception_handler = [&](const std::exception_ptr&) { ++failures; }}};
  struct Failure {
    taskctx::SharedJob<void> before;
    Counted counted;
  };
  const auto run = [&] {
    make_and_end(
        taskctx::SharedJob<void>(),
        [&](taskctx::SharedJob<void> before) {
          taskctx::Job<void> job = pool.submit([before = std::move(before)]() mutable {
            throw Failure{std::move(before), {}};
          });
          job.wait();
          return job.shared();
        },
        /*left=*/0, kFailures);
  };
  pool.submit(run).get();
  EXPECT_EQ(failures, kFailures);
}

// M30: all of them in turn.
TEST(Ending, OfEverythingInTurnIsNotRecursive) {
  taskctx::JobPool pool{{.concurrency = 1}};
  const ContextVar<std::any> variable("variable");
  int number = 0;
  const auto run = [&] {
    make_and_end(std::any(), [&](std::any before) -> std::any {
      const auto counted =
          std::make_shared<std::pair<std::any, Counted>>(std::move(before), Counted());
      const std::any value = counted;
      switch (number++ % 6) {
        case 0:
          return context_with(variable, value);
        case 1: {
          taskctx::SharedJob<std::any> job = pool.submit([value] { return value; }).shared();
          job.wait();
          return job;
        }
        case 2:
          return taskctx::Shared<std::any>(value);
        case 3: {
          Context context = context_with(variable, value);
          return context.run(
              [&] { return std::make_shared<taskctx::Token<std::any>>(variable.set(std::any())); });
        }
        case 4:
          return *context_with(variable, value).begin();
        default:
          return taskctx::Overlay<std::any>::inherited(taskctx::Overlay<std::any>(value));
      }
    });
  };
  pool.submit(run).get();
}

// M30: destructors may use the library at any depth: what they set, take and drop is right.
TEST(Ending, DestructorsMayUseTheLibraryAtAnyDepth) {
  static const ContextVar<int> ended{"ended", 0};
  struct Step {
    explicit Step(Context before) : context(std::move(before)) {}
    Step(Step&&) = default;
    ~Step() {
      if (context.empty()) {
        return;
      }
      ended.set(ended.get() + 1);
      const Context here = taskctx::copy_context();
      Context().run([] { ended.set(-1); });
      EXPECT_EQ(*here.find(ended), ended.get());
    }
    Context context;
  };
  const ContextVar<Step> variable("variable");
  Context last = context_with(variable, Step(Context()));
  for (int i = 1; i < kLevels; ++i) {
    last = context_with(variable, Step(std::move(last)));
  }
  with_small_stack([&] {
    last = Context();
    EXPECT_EQ(ended.get(), kLevels - 1);
  });
}

// M31: a job that runs on top of a destructor that waits ends its own values, deep as that may be.
TEST(Ending, OfAnotherJobsValuesDoesNotWaitForADestructorThatWaits) {
  const taskctx_test::Watchdog watchdog("a destructor that waits");
  taskctx::JobPool pool{{.concurrency = 1}};
  static const ContextVar<std::vector<Counted>> counted{"counted"};
  struct Waiting {
    explicit Waiting(Context before) : context(std::move(before)) {}
    Waiting(Waiting&&) = default;
    ~Waiting() {
      if (wait != nullptr) {
        wait();
      }
    }
    Context context;
    std::function<void()> wait;
  };
  static const ContextVar<Waiting> variable{"variable"};
  Waiting first{Context()};
  std::vector<int> alive;
  first.wait = [&] {
    pool.submit([&] {
          { const taskctx::Scope scope{counted, std::vector<Counted>(3)}; }
          alive.push_back(Counted::alive);
        })
        .get();
  };
  Context last = context_with(variable, std::move(first));
  for (int i = 0; i < 100; ++i) {
    last = context_with(variable, Waiting(std::move(last)));
  }
  pool.submit([&] { last = Context(); }).get();
  EXPECT_THAT(alive, testing::ElementsAre(0));
}

}  // namespace
