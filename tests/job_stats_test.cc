// SPDX-License-Identifier: Apache-2.0
//
// What a pool tells of itself in numbers.

#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <stdexcept>

#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "tests/pools.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J18
TEST(Stats, TellWhatThePoolIsDoing) {
  std::atomic<int> handled{0};
  BusyPool pool(
      {.concurrency = 1, .exception_handler = [&](const std::exception_ptr&) { ++handled; }});
  JobPoolStats stats = pool->stats();
  EXPECT_EQ(stats.threads, 1);
  EXPECT_EQ(stats.running, 1U);
  EXPECT_EQ(stats.queued + stats.waiting + stats.succeeded + stats.failed + stats.cancelled, 0U);
  pool->post([] { throw std::runtime_error("x"); });
  Job<int> job = pool->submit([] { return 1; });
  Job<void> next = job.then([](int) {});
  pool->submit_after(absl::Hours(1), [] {}).cancel();
  stats = pool->stats();
  EXPECT_EQ(stats.queued, 2U);
  EXPECT_EQ(stats.waiting, 1U);
  EXPECT_EQ(stats.cancelled, 1U);
  pool.go();
  stats = pool->stats();
  EXPECT_EQ(stats.queued + stats.waiting + stats.running, 0U);
  EXPECT_EQ(stats.succeeded, 3U);
  EXPECT_EQ(stats.failed, 1U);
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(pool->submit([&] { return pool->stats().running; }).get(), 1U);
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 2);
  EXPECT_EQ(JobPool(JobPoolOptions{.concurrency = 8}).stats().threads, 1) << "a smaller limit wins";
}

// J18: what get() gives is in the numbers by then.
TEST(Stats, CountAJobBeforeAnybodyCanSeeItsResult) {
  JobPool pool{{.concurrency = 4}};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(pool.stats().succeeded, i);
    pool.submit([] {}).get();
  }
}

}  // namespace
