// SPDX-License-Identifier: Apache-2.0
//
// The errors of a task scope: all of them together, with their contexts, and nobody else's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
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
#include "taskctx/task_scope.h"
#include "tests/pools.h"
#include "tests/scopes.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "?";
  }
}

// A pool that notes what its handler gets, and in which context.
class TaskScopeErrors : public testing::TestWithParam<int> {
 protected:
  // Joins, and returns what that throws.
  static TaskScopeError error_of(TaskScope& scope) {
    try {
      scope.join();
    } catch (const TaskScopeError& error) {
      return error;
    }
    ADD_FAILURE() << "join() has thrown no TaskScopeError";
    return {"", 0, {}};
  }

  std::mutex mutex;
  std::vector<std::string> handled;
  JobPool pool{
      {.concurrency = GetParam(), .exception_handler = [this](const std::exception_ptr& e) {
         const std::lock_guard lock(mutex);
         handled.push_back(request_id.get("none") + ": " + text_of(e));
       }}};
};
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeErrors, testing::Values(1, 2, 4, 8));

// K5
TEST_P(TaskScopeErrors, TheErrorHasEachFailureWithIdNameContextAndException) {
  TaskScope scope{pool, {.policy = JoinPolicy::wait_all, .name = "load"}};
  const Scope outer{number, 1};
  const auto fail = [](const char* request, const char* text) {
    request_id.set(request);
    throw std::runtime_error(text);
  };
  auto user = scope.submit({.name = "user"}, fail, "r-1", "connection refused");
  user.wait();
  Job<void> cart = scope.submit(fail, "r-2", "no such file");
  Job<int> fine = scope.submit([] { return 1; });
  const TaskScopeError error = error_of(scope);
  ASSERT_THAT(error.errors(), SizeIs(2));
  EXPECT_EQ(error.errors()[0].id, user.id());
  EXPECT_EQ(error.errors()[0].name, "user");
  EXPECT_EQ(error.errors()[1].id, cart.id());
  EXPECT_EQ(error.errors()[1].name, "");
  EXPECT_EQ(*error.errors()[0].context.find(request_id), "r-1");
  EXPECT_EQ(*error.errors()[1].context.find(request_id), "r-2");
  EXPECT_EQ(*error.errors()[1].context.find(number), 1);
  EXPECT_EQ(text_of(error.errors()[1].exception), "no such file");
  EXPECT_EQ(error.what(), "cannot join task scope 'load': 2 of 3 jobs failed: job " +
                              std::to_string(user.id()) + " 'user': connection refused; job " +
                              std::to_string(cart.id()) + ": no such file");
  EXPECT_EQ(fine.get(), 1);
  EXPECT_THROW(user.get(), std::runtime_error) << "the handle still has it";
  EXPECT_THAT(handled, SizeIs(0));
}

// K5
TEST_P(TaskScopeErrors, TheTextStaysShort) {
  TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
  for (int i = 0; i < 100; ++i) {
    scope.post([] { throw std::runtime_error(std::string(100'000, 'x')); });
  }
  scope.post([] { throw 1; });
  const TaskScopeError error = error_of(scope);
  EXPECT_THAT(error.errors(), SizeIs(101));
  EXPECT_LT(std::string(error.what()).size(), 3000U);
  EXPECT_THAT(error.what(), HasSubstr("101 of 101 jobs failed"));
  EXPECT_THAT(error.what(), EndsWith("; and 91 more"));
  TaskScope other{pool};
  other.post([] { throw 1; });
  EXPECT_THAT(error_of(other).what(), EndsWith(": something that is not a std::exception"));
  TaskScope cut{pool};
  cut.post([] { throw std::runtime_error(std::string(199, 'x') + "\xC3\xA9 and more"); });
  EXPECT_THAT(error_of(cut).what(), EndsWith("x...")) << "no half character";
}

// K5: a scope in a job of a scope, and so on: each error holds the next one.
TEST_P(TaskScopeErrors, ErrorsOfNestedScopesAreOneInTheOther) {
  std::optional<TaskScopeError> error;
  const std::function<void(int)> nest = [&](int depth) {
    TaskScope scope{pool};
    scope.post([&nest, depth] {
      if (depth == 0) {
        throw std::runtime_error("the innermost");
      }
      nest(depth - 1);
    });
    scope.join();
  };
  try {
    nest(20);
  } catch (const TaskScopeError& thrown) {
    error = thrown;
  }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(error);
    ASSERT_THAT(error->errors(), SizeIs(1));
    EXPECT_LT(std::string(error->what()).size(), 300U);
    const std::exception_ptr inner = error->errors().front().exception;
    try {
      std::rethrow_exception(inner);
    } catch (const TaskScopeError& thrown) {
      error = thrown;
    }
  }
  EXPECT_THAT(error->what(), EndsWith("the innermost"));
}

// K5
TEST_P(TaskScopeErrors, AnErrorThatAHandleTookIsStillTheScopes) {
  TaskScope scope{pool};
  Job<void> job = scope.submit([] {
    request_id.set("r-1");
    throw std::runtime_error("no");
  });
  EXPECT_THROW(job.get(), std::runtime_error);
  Job<int> shown = scope.submit([]() -> int { throw std::runtime_error("shared"); });
  const SharedJob<int> shared = shown.shared();
  EXPECT_ANY_THROW((void)shared.get());
  const TaskScopeError error = error_of(scope);
  ASSERT_FALSE(error.errors().empty());
  EXPECT_EQ(*error.errors()[0].context.find(request_id), "r-1");
  EXPECT_EQ(text_of(error.errors()[0].exception), "no");
}

// K6
TEST_P(TaskScopeErrors, HandlesThatAreDroppedReportNothing) {
  {
    TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
    for (int i = 0; i < 10; ++i) {
      auto job = scope.submit([] { throw std::runtime_error("no"); });
      if (i % 2 == 0) {
        job.wait();
      }
    }
    EXPECT_THAT(error_of(scope).errors(), SizeIs(10));
  }
  EXPECT_THAT(handled, SizeIs(0));
}

// K6: each once, as the job has left its context.
TEST_P(TaskScopeErrors, AnEndWithoutJoinGivesFailuresToTheHandler) {
  Job<void> kept;
  Job<void> taken;
  {
    TaskScope scope{pool, {.policy = JoinPolicy::wait_all}};
    const auto fail = [](const char* request, const char* text) {
      request_id.set(request);
      throw std::runtime_error(text);
    };
    scope.post(fail, "r-1", "posted");
    kept = scope.submit(fail, "r-2", "kept");
    taken = scope.submit(fail, "r-3", "taken");
    taken.wait();
    EXPECT_THROW(taken.get(), std::runtime_error);
  }
  EXPECT_THAT(handled, UnorderedElementsAre("r-1: posted", "r-2: kept"));
  EXPECT_THROW(kept.get(), std::runtime_error);
  handled.clear();
  {
    TaskScope scope{pool, {.policy = JoinPolicy::first_success}};
    Job<void> failed = scope.submit([] { throw std::runtime_error("does not matter"); });
    failed.wait();
    scope.post([] {});
  }
  EXPECT_THAT(handled, SizeIs(0));
}

// K6, K7: the block's exception is thrown; what the jobs were at is cancelled.
TEST_P(TaskScopeErrors, AnExceptionInTheBlockCancelsAndWaits) {
  std::atomic<bool> has_ended{false};
  Latch begun;
  try {
    TaskScope scope{pool};
    Job<void> job = scope.submit([&] {
      begun.open();
      try {
        run_until_cancelled();
      } catch (...) {
        has_ended = true;
        throw;
      }
    });
    begun.wait();
    throw std::runtime_error("the block's");
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(has_ended);
    EXPECT_STREQ(error.what(), "the block's");
  }
  EXPECT_THAT(handled, SizeIs(0));
}

// K7: the end of a block is no cancellation.
TEST_P(TaskScopeErrors, TheEndOfTheBlockJoins) {
  std::atomic<int> ended{0};
  {
    TaskScope scope{pool};
    for (int i = 0; i < 50; ++i) {
      scope.post([&] { ++ended; });
    }
  }
  EXPECT_EQ(ended, 50);
}

// K7: also in a destructor that runs because of another exception.
TEST_P(TaskScopeErrors, AScopeThatBeginsWhileAnExceptionIsOnItsWayIsNotCancelledByThat) {
  struct CleanUp {
    ~CleanUp() {
      TaskScope scope{pool};
      scope.post([this] { ended = !cancelled(); });
    }
    JobPool& pool;
    std::atomic<bool>& ended;
  };
  std::atomic<bool> ended{false};
  try {
    const CleanUp clean_up{pool, ended};
    throw std::runtime_error("on its way");
  } catch (const std::runtime_error&) {
    EXPECT_TRUE(ended);
  }
}

// K11
TEST_P(TaskScopeErrors, AScopeThatHasEndedTakesNoJob) {
  TaskScope scope{pool, {.name = "short"}};
  scope.join();
  try {
    scope.post({.name = "late"}, [] { FAIL(); });
    FAIL();
  } catch (const JobError& error) {
    EXPECT_STREQ(error.what(), "cannot submit job 'late': its task scope 'short' has ended");
  }
  EXPECT_THROW(scope.join(), JobError);
  pool.shutdown();
  TaskScope closed{pool};
  EXPECT_THROW(closed.post([] {}), JobError);
  closed.join();
}

// K11
TEST_P(TaskScopeErrors, AJobThatItsPoolRefusesIsNotTheScopes) {
  JobPool small{{.concurrency = 1, .queue_capacity = 1, .when_full = WhenFull::reject}};
  Latch begun;
  Latch go;
  TaskScope scope{small, {.policy = JoinPolicy::wait_all}};
  EXPECT_THROW(((void)scope.submit({.context = Context(), .detached = true}, [] {})),
               std::invalid_argument);
  scope.post([&] {
    begun.open();
    go.wait();
  });
  begun.wait();
  std::atomic<int> ended{0};
  scope.post([&] { ++ended; });
  EXPECT_THROW(scope.post([&] { ++ended; }), JobRejected);
  go.open();
  scope.join();
  EXPECT_EQ(ended, 1);
}

}  // namespace
