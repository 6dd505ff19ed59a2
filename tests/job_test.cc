// SPDX-License-Identifier: Apache-2.0
//
// What a handle gives: its job's result or error, the context that the job left, and the time to
// wait for them; for one owner, or for several.

#include "taskctx/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// F-E1
TEST_P(JobPoolTest, ResultsOfAllKindsComeOutOfGet) {
  EXPECT_EQ(pool.submit([] { return 42; }).get(), 42);
  EXPECT_NO_THROW(pool.submit([] {}).get());
  EXPECT_EQ(*pool.submit([] { return std::make_unique<int>(1); }).get(), 1);
  int target = 0;
  Job<int&> reference = pool.submit([&]() -> int& { return target; });
  EXPECT_EQ(&reference.get(), &target);
  const std::string text = "text";
  Job<const std::string&> const_reference =
      pool.submit([&]() -> const std::string& { return text; });
  EXPECT_EQ(&const_reference.get(), &text);
  EXPECT_EQ(pool.submit([p = std::make_unique<int>(2)] { return *p; }).get(), 2);
  EXPECT_EQ(pool.submit(+[] { return 3; }).get(), 3);
}

// F-E1
TEST_P(JobPoolTest, AnExceptionComesOutOfGet) {
  Job<int> job = pool.submit([]() -> int { throw std::runtime_error("from the job"); });
  EXPECT_THAT([&] { job.get(); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("from the job")));
  EXPECT_FALSE(job.valid());
}

// J1
TEST_P(JobPoolTest, AHandleIsGoodForOneGet) {
  Job<int> job = pool.submit([] { return 1; });
  EXPECT_TRUE(job.valid());
  job.wait();
  EXPECT_TRUE(job.ready());
  EXPECT_TRUE(job.valid()) << "waiting takes nothing";
  EXPECT_EQ(job.get(), 1);
  EXPECT_FALSE(job.valid());
  EXPECT_THAT([&] { job.get(); },
              testing::ThrowsMessage<JobError>(testing::StrEq(
                  "cannot get result of job: the handle is empty, or its result was taken "
                  "already")));
  EXPECT_THROW(job.wait(), JobError);
  EXPECT_THROW((void)job.ready(), JobError);
  const Job<int> empty;
  EXPECT_FALSE(empty.valid());
  EXPECT_THROW(empty.wait(), JobError);
}

// J1
TEST_P(JobPoolTest, AHandleMoves) {
  Job<int> a = pool.submit([] { return 1; });
  Job<int> b = std::move(a);
  EXPECT_FALSE(a.valid());
  b = pool.submit([] { return 2; });
  EXPECT_EQ(b.get(), 2);
}

// J2
TEST_P(JobPoolTest, ReadyTellsWhetherTheJobHasEnded) {
  Latch go;
  Job<void> job = pool.submit([&] { go.wait(); });
  EXPECT_FALSE(job.ready());
  go.open();
  job.wait();
  EXPECT_TRUE(job.ready());
}

// P22: at the end of the job, or with the last handle if the context is to be kept.
TEST_P(JobPoolTest, AJobsValuesAreGoneWhenItIsDoneAndNobodyHasAHandle) {
  const ContextVar<Tracked> tracked("tracked");
  const auto submit = [&](const JobOptions& options = {}) {
    const Scope scope{tracked, Tracked(1)};
    return pool.submit(options, [&] { tracked.set(Tracked(2)); });
  };
  submit().get();
  EXPECT_EQ(Tracked::alive(), 0);
  {
    const Job<void> job = submit({.keep_context = true});
    job.wait();
    EXPECT_EQ(Tracked::alive(), 1) << "as the job left it";
  }
  EXPECT_EQ(Tracked::alive(), 0);
  (void)submit();
  pool.drain();
  EXPECT_EQ(Tracked::alive(), 0);
}

// S5, T9: also by an exception, and after the pool's end.
TEST_P(JobPoolTest, TheContextIsReadableAfterTheEndAsTheJobLeftIt) {
  Job<void> job;
  {
    Latch go;
    JobPool short_lived{{.concurrency = GetParam()}};
    const Scope scope{request_id, "r-1"};
    job = short_lived.submit([&] {
      go.wait();
      number.set(3);
      throw std::runtime_error("thrown");
    });
    EXPECT_EQ(*job.context().find(request_id), "r-1");
    EXPECT_EQ(job.context().find(number), nullptr) << "what it starts with";
    go.open();
  }
  EXPECT_EQ(*job.context().find(request_id), "r-1");
  EXPECT_EQ(*job.context().find(number), 3);
  EXPECT_THROW(job.get(), std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(Threads, JobPoolTest, testing::Values(1, 2, 4, 8));

// J1
TEST(PoolLifetime, AHandleMayOutliveItsPool) {
  Job<int> job;
  {
    JobPool pool{{.concurrency = 2}};
    job = pool.submit([] { return 5; });
  }
  EXPECT_TRUE(job.ready());
  EXPECT_EQ(job.get(), 5);
}

// J9: and returns on time.
TEST_P(JobApi, WaitingMayEndBeforeTheJobDoes) {
  Latch go;
  Job<int> job = pool.submit([&] {
    go.wait();
    return 1;
  });
  const absl::Time before = absl::Now();
  EXPECT_FALSE(job.wait_for(absl::Milliseconds(20)));
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(19));
  EXPECT_FALSE(job.wait_until(absl::InfinitePast()));
  EXPECT_FALSE(job.ready());
  go.open();
  EXPECT_TRUE(job.wait_for(absl::InfiniteDuration()));
  EXPECT_TRUE(job.wait_until(absl::InfinitePast())) << "it has ended";
  EXPECT_EQ(job.get(), 1);
}

// J12
TEST_P(JobApi, ASharedHandleGivesTheResultOrTheErrorToAllWhoAsk) {
  const SharedJob<std::string> shared = pool.submit([] { return std::string("text"); }).shared();
  const SharedJob<std::string>& copy = shared;
  EXPECT_EQ(&copy.get(), &shared.get());
  const SharedJob<std::string> another = shared;  // NOLINT: a copy is what is tested
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([another] { EXPECT_EQ(another.get(), "text"); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto a = shared.then([](const std::string& s) { return s + "a"; }).shared();
  EXPECT_EQ(a.get(), "texta");
  const SharedJob<void> failed = pool.submit([] { throw std::runtime_error("x"); }).shared();
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_FALSE(SharedJob<int>().valid());
  EXPECT_THROW(SharedJob<int>().get(), JobError);
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J12, J3: the error of a shared job that nobody has asked for goes to the handler, with the last
// copy.
TEST_P(JobApi, ASharedErrorThatNobodySawGoesToTheHandlerOnce) {
  {
    const SharedJob<void> one = pool.submit([] { throw std::runtime_error("x"); }).shared();
    const SharedJob<void> two = one;  // NOLINT: a copy is what is tested
    two.wait();
    EXPECT_EQ(handled, 0);
  }
  EXPECT_EQ(handled, 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
