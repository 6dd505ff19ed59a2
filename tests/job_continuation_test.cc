// SPDX-License-Identifier: Apache-2.0
//
// What goes on with a job's result when it has ended: then().

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J10, P25, F-E3: a continuation runs in the context of its registration.
TEST_P(JobApi, AContinuationRunsInTheContextOfItsRegistration) {
  Latch go;
  Job<std::string> first;
  {
    const Scope scope{request_id, "submitted"};
    first = pool.submit([&] {
      go.wait();
      return request_id.get();
    });
  }
  Job<std::string> next;
  {
    const Scope scope{request_id, "registered"};
    next = first.then([](const std::string& seen) { return seen + " " + request_id.get(); });
  }
  EXPECT_FALSE(first.valid());
  const Scope scope{request_id, "at the end"};
  go.open();
  next.wait();
  Job<std::string> last = next.then(JobOptions{.detached = true}, [](const std::string& seen) {
    return seen + " " + request_id.get("detached");
  });
  EXPECT_EQ(last.get(), "submitted registered detached") << "also where the job has ended already";
}

// J10
TEST_P(JobApi, AnErrorSkipsContinuationsUpToOneThatTakesTheHandle) {
  std::atomic<int> called{0};
  Job<int> job = pool.submit([]() -> int { throw std::runtime_error("first"); })
                     .then([&](int i) {
                       ++called;
                       return i;
                     })
                     .then([](Job<int> failed) {
                       try {
                         return failed.get();
                       } catch (const std::runtime_error& error) {
                         return static_cast<int>(std::string(error.what()).size());
                       }
                     });
  EXPECT_EQ(job.get(), 5);
  EXPECT_EQ(called, 0);
  EXPECT_NO_THROW(pool.submit([] {}).then([] {}).get());
  EXPECT_EQ(*pool.submit([] { return std::make_unique<int>(1); })
                 .then([](std::unique_ptr<int> p) { return p; })
                 .get(),
            1);
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J10: the chain may be long, wherever it is waited for, and dropped.
TEST_P(JobApi, ChainsMayBeLong) {
  constexpr int kLength = 20'000;
  const auto build = [&](Job<int> job) {
    for (int i = 0; i < kLength; ++i) {
      job = job.then([](int n) { return n + 1; });
    }
    return job;
  };
  EXPECT_EQ(build(pool.submit([] { return 0; })).get(), kLength);
  EXPECT_EQ(pool.submit([&] { return build(pool.submit([] { return 0; })).get(); }).get(), kLength);
  Latch go;
  (void)build(pool.submit([&] {
    go.wait();
    return 0;
  })).cancel();
  go.open();
  pool.drain();
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
