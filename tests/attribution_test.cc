// SPDX-License-Identifier: Apache-2.0
//
// Which request used the pool.

#include "taskctx/attribution.h"

#include <gtest/gtest.h>

#include <optional>
#include <ranges>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J20, F-E6, F-M5: CPU time and time in the queue, by value; a job that another waits for, too, but
// not twice.
TEST(Account, TellsWhichRequestUsedThePool) {
  const auto burn = [](absl::Duration much) {
    timespec begin{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    timespec now = begin;
    while (absl::DurationFromTimespec(now) - absl::DurationFromTimespec(begin) < much) {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    }
  };
  Attribution<std::string> account{request_id};
  {
    Latch go;
    JobPool pool{{.concurrency = 1, .attribution = account}};
    pool.post([&] { go.wait(); });
    {
      const Scope scope{request_id, "small"};
      pool.post([&] { burn(absl::Milliseconds(2)); });
    }
    {
      const Scope scope{request_id, "large"};
      pool.post([&] {
        request_id.set("changed");
        burn(absl::Milliseconds(10));
        const Scope inner{request_id, "nested"};
        pool.submit([&] { burn(absl::Milliseconds(60)); }).get();
      });
      (void)pool.submit_bulk(std::views::iota(0, 10), [&](int) { burn(absl::Milliseconds(1)); });
    }
    EXPECT_FALSE(pool.drain(absl::Now() + absl::Milliseconds(10)));
    go.open();
  }
  auto totals = account.totals();
  ASSERT_EQ(totals.size(), 4U);
  EXPECT_EQ(totals["small"].jobs, 1U);
  EXPECT_EQ(totals["large"].jobs, 2U);
  EXPECT_EQ(totals["nested"].jobs, 1U);
  EXPECT_EQ(totals[std::nullopt].jobs, 1U);
  EXPECT_GE(totals["small"].cpu_time, absl::Milliseconds(2));
  EXPECT_GE(totals["large"].cpu_time, absl::Milliseconds(20));
  EXPECT_GE(totals["nested"].cpu_time, absl::Milliseconds(60));
  EXPECT_LT(totals["large"].cpu_time, totals["nested"].cpu_time) << "without the nested job's";
  EXPECT_LT(totals["small"].cpu_time, totals["nested"].cpu_time);
  EXPECT_GE(totals["small"].queue_wait, absl::Milliseconds(10)) << "the first job made it wait";
  EXPECT_EQ(account.take().size(), 4U);
  EXPECT_TRUE(account.totals().empty());
}

}  // namespace
