// SPDX-License-Identifier: Apache-2.0
//
// A pool as an executor, for libraries that take one.

#include "taskctx/executor.h"

#include <gtest/gtest.h>

#include <concepts>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

namespace {

using namespace taskctx;

const ContextVar<std::string> request_id("request_id");

// A library that takes an executor, or any callable that takes work.
template <typename Executor>
concept ExecutorOfP0443 = std::copy_constructible<Executor> && std::equality_comparable<Executor> &&
                          requires(const Executor& executor) { executor.execute([] {}); };

// J23, F-E2
TEST(Executor, IsWhatLibrariesAskFor) {
  static_assert(ExecutorOfP0443<JobExecutor>);
  JobPool pool{{.concurrency = 2}};
  JobPool other{{.concurrency = 1}};
  const JobExecutor executor = pool.executor();
  EXPECT_EQ(executor, pool.executor());
  EXPECT_NE(executor, other.executor());
  const std::function<void(std::function<void()>)> schedule = executor;
  const Scope scope{request_id, "r-1"};
  for (const bool as_callable : {false, true}) {
    std::promise<std::string> seen;
    const auto work = [&] { seen.set_value(request_id.get("none")); };
    if (as_callable) {
      schedule(work);
    } else {
      executor.execute(work);
    }
    EXPECT_EQ(seen.get_future().get(), "r-1");
  }
  executor.execute([p = std::make_unique<int>(1)] {});
  pool.drain();
}

}  // namespace
