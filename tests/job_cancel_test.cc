// SPDX-License-Identifier: Apache-2.0
//
// Cancelling: a job that nobody has begun, one that runs, and what waits for one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/scope.h"
#include "taskctx/this_job.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J11
TEST_P(JobApi, AJobThatNobodyHasBegunCanBeCancelled) {
  Latch go;
  const auto busy = occupy(go);
  std::atomic<bool> ran{false};
  std::string destroyed_in;
  struct Reads {
    std::string* to;
    explicit Reads(std::string* target) : to(target) {}
    Reads(const Reads&) = delete;
    Reads& operator=(const Reads&) = delete;
    ~Reads() { *to = request_id.get("none"); }
  };
  Job<int> job;
  {
    const Scope scope{request_id, "r-1"};
    job = pool.submit(JobOptions{.name = "late"},
                      [&, reads = std::make_unique<Reads>(&destroyed_in)] {
                        ran = true;
                        return 1;
                      });
  }
  EXPECT_TRUE(job.cancel());
  EXPECT_TRUE(job.ready());
  EXPECT_EQ(destroyed_in, "r-1") << "in the job's context, by cancel()";
  EXPECT_FALSE(job.cancel()) << "once";
  EXPECT_THAT([&] { job.get(); }, testing::ThrowsMessage<JobCancelled>(testing::StrEq(
                                      "cannot get result of job 'late': it was cancelled")));
  go.open();
  pool.drain();
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool.stats().cancelled, 1U);
  EXPECT_EQ(handled, 0);
}

// J11
TEST_P(JobApi, ARunningJobMayFindOutThatItIsToEnd) {
  Latch begun;
  Job<void> job = pool.submit([&] {
    begun.open();
    while (!taskctx::this_job::cancel_requested()) {
      std::this_thread::yield();
    }
    throw JobCancelled("stopped");
  });
  begun.wait();
  EXPECT_FALSE(job.cancel());
  EXPECT_THAT([&] { job.get(); }, testing::ThrowsMessage<JobCancelled>(testing::StrEq("stopped")));
  EXPECT_FALSE(taskctx::this_job::cancel_requested());
  EXPECT_EQ(pool.stats().cancelled, 1U);
  // Nobody hears of it if nobody waits.
  pool.post([] { throw JobCancelled("posted"); });
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J11: what waits for a cancelled job is cancelled, too; cancelling what waits leaves the first
// alone.
TEST_P(JobApi, CancellingGoesOnToContinuationsButNotBack) {
  Latch go;
  const auto busy = occupy(go);
  Job<int> first = pool.submit([] { return 1; });
  SharedJob<int> shared = std::move(first).shared();
  Job<int> next = shared.then([](const int& i) { return i; });
  EXPECT_TRUE(next.cancel());
  EXPECT_THROW(next.get(), JobCancelled);
  Job<int> other = shared.then([](const int& i) { return i; });
  EXPECT_TRUE(shared.cancel());
  go.open();
  EXPECT_THROW(other.get(), JobCancelled);
  pool.drain();
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
