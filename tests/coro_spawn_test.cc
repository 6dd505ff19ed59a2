// SPDX-License-Identifier: Apache-2.0
//
// Spawning what makes a task: lambdas that are coroutines, with what they have captured.

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/this_job.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<int> number{"number", 0};

// J83
TEST(SpawnedFunctions, KeepWhatTheyHaveCapturedAsLongAsTheCoroutine) {
  JobPool pool{{.concurrency = 2}};
  {
    Latch spawned;  // What was moved from ends with the call.
    Job<int> job = pool.spawn([&spawned, tracked = Tracked(1)]() -> Task<int> {
      co_await taskctx::yield();
      spawned.wait();
      co_return tracked.value() + Tracked::alive();
    });
    spawned.open();
    EXPECT_EQ(job.get(), 2);
    pool.drain();
    EXPECT_EQ(Tracked::alive(), 0);
  }
  Job<std::size_t> sum = pool.spawn(
      [text = std::string(100, 'a')](const std::string& by_reference,
                                     std::unique_ptr<int> moved) -> Task<std::size_t> {
        co_await taskctx::yield();
        co_return text.size() + by_reference.size() + static_cast<std::size_t>(*moved);
      },
      std::string(100, 'b'), std::make_unique<int>(7));
  EXPECT_EQ(sum.get(), 207U);
}

// J83
TEST(SpawnedFunctions, AreCalledInTheJobAndItsContext) {
  JobPool pool{{.concurrency = 1}};
  const Scope scope{number, 3};
  const auto look = [](int more) {
    const int seen = number.get() + more;
    const std::string name(taskctx::this_job::name());
    return [](int value, std::string text) -> Task<std::string> {
      co_return text + std::to_string(value);
    }(seen, name);
  };
  EXPECT_EQ(pool.spawn(look, 1).get(), "4");
  EXPECT_EQ(pool.spawn({.name = "job ", .detached = true}, look, 1).get(), "job 1");
}

// J83
TEST(SpawnedFunctions, GiveReferencesMoveOnlyResultsAndExceptions) {
  JobPool pool{{.concurrency = 1}};
  int target = 0;
  EXPECT_EQ(&pool.spawn([&target]() -> Task<int&> { co_return target; }).get(), &target);
  EXPECT_EQ(
      *pool.spawn([]() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); }).get(),
      4);
  pool.spawn([&target]() -> Task<> {
        target = 5;
        co_return;
      })
      .get();
  EXPECT_EQ(target, 5);
  EXPECT_THROW(pool.spawn([]() -> Task<int> {
                     throw std::runtime_error("coroutine");
                     co_return 1;
                   })
                   .get(),
               std::runtime_error);
  const auto throws = []() -> Task<int> {
    return throw std::runtime_error("function"), Task<int>();
  };
  EXPECT_THROW(pool.spawn(throws).get(), std::runtime_error);
}

// J83
TEST(SpawnedFunctions, ThatAreCancelledBeforeTheyBeginAreDestroyed) {
  JobPool pool{{.concurrency = 1}};
  pool.shutdown();
  EXPECT_THROW(
      (void)pool.spawn([tracked = Tracked(1)]() -> Task<int> { co_return tracked.value(); }),
      taskctx::JobError);
  EXPECT_EQ(Tracked::alive(), 0);
}

// J83
TEST(SpawnedFunctions, MayBeWaitedForAndCombined) {
  const std::string text(100, 'a');
  EXPECT_EQ(sync_wait([text]() -> Task<std::size_t> {
              co_await taskctx::yield();
              co_return text.size();
            }),
            100U);
  auto all = taskctx::when_all(
      [text]() -> Task<std::size_t> {
        co_await taskctx::yield();
        co_return text.size();
      },
      [](const std::string& other) -> Task<std::size_t> { co_return other.size(); }(text),
      taskctx::default_pool().submit([] { return 1; }));
  auto [a, b, c] = all.get();
  EXPECT_EQ(a + b + static_cast<std::size_t>(c), 201U);
}

}  // namespace
