// SPDX-License-Identifier: Apache-2.0
//
// What code can ask of the job that it runs in.

#include "taskctx/this_job.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/tbb.h"
#include "tests/pools.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J8
TEST_P(JobApi, AJobHasANameAndANumber) {
  Job<std::string> job = pool.submit(JobOptions{.name = "index"}, [] {
    return std::string(taskctx::this_job::name()) + " " + std::to_string(taskctx::this_job::id());
  });
  const std::uint64_t id = job.id();
  EXPECT_EQ(job.name(), "index");
  EXPECT_EQ(job.id(), id);
  EXPECT_EQ(job.get(), "index " + std::to_string(id));
  EXPECT_THROW((void)job.id(), JobError);
  EXPECT_EQ(pool.submit([] {}).name(), "");
  EXPECT_NE(pool.submit([] {}).id(), pool.submit([] {}).id());
  EXPECT_EQ(taskctx::this_job::id(), 0U);
  EXPECT_EQ(taskctx::this_job::name(), "");
}

// J8: leaves belong to their job, on whichever thread.
TEST_P(JobApi, LeavesKnowTheirJob) {
  Job<bool> job = pool.submit([&] {
    const std::uint64_t mine = taskctx::this_job::id();
    std::atomic<bool> same{true};
    taskctx::tbb::parallel_for(0, 100,
                               [&](int) { same = same && taskctx::this_job::id() == mine; });
    const Job<void> other = pool.submit([&] { same = same && taskctx::this_job::id() != mine; });
    other.wait();
    return same && taskctx::this_job::id() == mine;
  });
  EXPECT_TRUE(job.get());
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
