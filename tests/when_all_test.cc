// SPDX-License-Identifier: Apache-2.0
//
// Several jobs as one: all of them, or the first.

#include "taskctx/when_all.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J13, F-F3, P23: children of one gathering are independent of each other and of their parent.
TEST_P(JobApi, GatheringGivesResultsInOrderAndChildrenAreIndependent) {
  const Scope scope{number, 1};
  const auto child = [](int value) {
    const int seen = number.get();
    number.set(value);
    return seen + value;
  };
  auto [a, b, c] = gather(pool.submit(child, 10), pool.submit([] { number.set(100); }),
                          pool.submit([] { return std::string("c"); }));
  EXPECT_EQ(a, 11);
  EXPECT_TRUE((std::is_same_v<decltype(b), std::monostate>));
  EXPECT_EQ(c, "c");
  EXPECT_EQ(number.get(), 1);
  std::vector<Job<int>> jobs;
  for (int i = 0; i < 200; ++i) {
    jobs.push_back(pool.submit(child, i));
  }
  const std::vector<int> all = when_all(std::move(jobs)).get();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)], i + 1) << "nobody saw another's write";
  }
  EXPECT_EQ(when_all(pool.submit([] { return 1; }))
                .then([](std::tuple<int> t) { return std::get<0>(t) + number.get(); })
                .get(),
            2);
}

// J13, F-F3
TEST_P(JobApi, GatheringNothingEndsAtOnceAndAnEmptyHandleIsRefused) {
  EXPECT_TRUE(when_all(std::vector<Job<int>>()).get().empty());
  EXPECT_NO_THROW(when_all(std::vector<Job<void>>()).get());
  EXPECT_THROW((void)when_all(pool.submit([] {}), Job<int>()), JobError);
  std::vector<Job<int>> with_empty(1);
  EXPECT_THROW((void)when_all(std::move(with_empty)), JobError);
  EXPECT_THROW((void)when_any(std::vector<Job<int>>()), JobError);
}

// J13, F-F3: the first in order, not in time, and when all have ended.
TEST_P(JobApi, GatheringThrowsTheFirstErrorInOrderWhenAllHaveEnded) {
  Latch go;
  std::atomic<bool> last_ended{false};
  std::vector<Job<int>> jobs;
  jobs.push_back(pool.submit([]() -> int { return 1; }));
  jobs.push_back(pool.submit([&]() -> int {
    if (GetParam() > 1) {
      go.wait();
    }
    throw std::runtime_error("second");
  }));
  jobs.push_back(pool.submit([&]() -> int {
    go.open();
    last_ended = true;
    throw std::runtime_error("third");
  }));
  EXPECT_THAT([&] { when_all(std::move(jobs)).get(); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("second")));
  EXPECT_TRUE(last_ended);
  pool.drain();
  EXPECT_EQ(handled, 0) << "the others are dropped";
}

// J13
TEST_P(JobApi, TheFirstToEndIsTold) {
  Latch go;
  std::vector<Job<int>> jobs;
  if (GetParam() > 1) {
    jobs.push_back(pool.submit([&] {
      go.wait();
      return 0;
    }));
  } else {
    jobs.push_back(pool.submit_after(absl::Hours(1), [] { return 0; }));
  }
  jobs.push_back(pool.submit([] { return 1; }));
  FirstJob<int> first = when_any(std::move(jobs)).get();
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(first.jobs[1].get(), 1);
  EXPECT_FALSE(first.jobs[0].ready());
  first.jobs[0].cancel();
  go.open();
  pool.drain();
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
