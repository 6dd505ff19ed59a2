// SPDX-License-Identifier: Apache-2.0
//
// Submitting: now, or later; what a job takes with it, and what it leaves in its thread.

#include "taskctx/job_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// F-E1: a destructor of what the callable captured may use the context, too.
TEST_P(JobPoolTest, TheCallableIsDestroyedInTheJobsContext) {
  struct ReadsOnDestruction {
    std::string* seen;
    explicit ReadsOnDestruction(std::string* to) : seen(to) {}
    ReadsOnDestruction(const ReadsOnDestruction&) = delete;
    ReadsOnDestruction& operator=(const ReadsOnDestruction&) = delete;
    ~ReadsOnDestruction() { *seen = request_id.get("none"); }
  };
  std::string after_submit;
  std::string after_post;
  Latch posted_ran;
  {
    const Scope scope{request_id, "r-1"};
    pool.submit([p = std::make_unique<ReadsOnDestruction>(&after_submit)] {}).get();
    // Destroyed after the one that reads.
    std::shared_ptr<void> opener(nullptr, [&](void*) { posted_ran.open(); });
    pool.post(
        [opener = std::move(opener), p = std::make_unique<ReadsOnDestruction>(&after_post)] {});
    posted_ran.wait();
  }
  EXPECT_EQ(after_submit, "r-1");
  EXPECT_EQ(after_post, "r-1");
}

// F-E1
TEST_P(JobPoolTest, PostRunsInASnapshotToo) {
  std::atomic<int> seen{0};
  Latch ran;
  {
    const Scope scope{number, 7};
    pool.post([&, p = std::make_unique<int>(0)] {
      seen = number.get();
      ran.open();
    });
  }
  ran.wait();
  EXPECT_EQ(seen, 7);
}

// P23: a job's later steps don't see what its submitter does afterwards, nor the other way round.
TEST_P(JobPoolTest, AJobTakesItsSnapshotAtSubmit) {
  const Scope scope{number, 1};
  Latch changed;
  Job<int> job = pool.submit([&] {
    changed.wait();
    const int seen = number.get();
    number.set(5);
    return seen;
  });
  number.set(2);
  changed.open();
  EXPECT_EQ(job.get(), 1);
  EXPECT_EQ(number.get(), 2);
}

// F-D1
TEST_P(JobPoolTest, JobsOfJobsInherit) {
  const Scope scope{request_id, "r"};
  const std::string seen =
      pool.submit([&] {
            request_id.set(request_id.get() + "-child");
            return pool.submit([] { return request_id.get() + "-grandchild"; }).get();
          })
          .get();
  EXPECT_EQ(seen, "r-child-grandchild");
}

// After a job its thread has nothing of it: P20 on the pool's own threads.
TEST_P(JobPoolTest, NothingIsLeftInAPoolsThread) {
  for (int i = 0; i < 50; ++i) {
    const Scope scope{request_id, "leaves a trace?"};
    pool.submit([] { number.set(1); }).get();
    Job<bool> clean = pool.submit(JobOptions{.context = Context{}}, [] {
      return copy_context().empty() && number.find() == nullptr;
    });
    EXPECT_TRUE(clean.get());
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, JobPoolTest, testing::Values(1, 2, 4, 8));

// J8
TEST_P(JobApi, ArgumentsAreCopiedOrMovedIntoTheJob) {
  std::string text = "text";
  const auto size = [](std::string s, std::unique_ptr<int> more) {
    return static_cast<int>(s.size()) + *more;
  };
  Job<int> job = pool.submit(size, text, std::make_unique<int>(3));
  text = "longer text";
  EXPECT_EQ(job.get(), 7);
  struct Adder {
    int base;
    [[nodiscard]] int add(int more) const { return base + more; }
  };
  EXPECT_EQ(pool.submit(&Adder::add, Adder{1}, 2).get(), 3);
  int target = 0;
  pool.submit([](int& to) { to = 5; }, std::ref(target)).get();
  EXPECT_EQ(target, 5);
  Latch ran;
  pool.post(
      JobOptions{.name = "posted"}, [](const Latch* latch) { const_cast<Latch*>(latch)->open(); },
      &ran);
  ran.wait();
}

// J15, P25, F-E4: not before its time, in the context of its registration.
TEST_P(JobApi, ADelayedJobRunsWhenItsTimeHasComeInTheContextOfItsRegistration) {
  const absl::Time before = absl::Now();
  Job<std::pair<absl::Time, std::string>> job;
  {
    const Scope scope{request_id, "registered"};
    job = pool.submit_after(absl::Milliseconds(20),
                            [] { return std::pair(absl::Now(), request_id.get()); });
  }
  Job<int> past = pool.submit_at(
      absl::UnixEpoch(), [](int i) { return i; }, 3);
  const auto [ran, seen] = job.get();
  EXPECT_GE(ran - before, absl::Milliseconds(20));
  EXPECT_EQ(seen, "registered");
  EXPECT_EQ(past.get(), 3);
  // In a job, too, on the pool's only thread.
  EXPECT_EQ(
      pool.submit([&] { return pool.submit_after(absl::Milliseconds(5), [] { return 4; }).get(); })
          .get(),
      4);
}

// J15
TEST_P(JobApi, ADelayedJobCanBeTakenBack) {
  std::vector<Job<void>> jobs;
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    jobs.push_back(
        pool.submit_after(JobOptions{.name = "later"}, absl::Hours(1 + i % 7), [&] { ++ran; }));
  }
  EXPECT_EQ(pool.stats().waiting, 100U);
  for (Job<void>& job : jobs) {
    EXPECT_TRUE(job.cancel());
    EXPECT_THROW(job.get(), JobCancelled);
  }
  pool.drain();
  EXPECT_EQ(ran, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

// J21
TEST(DefaultPool, IsOneForTheProcess) {
  JobPool& pool = taskctx::default_pool();
  EXPECT_EQ(&pool, &taskctx::default_pool());
  EXPECT_GE(pool.concurrency(), 1);
  const Scope scope{request_id, "r-1"};
  EXPECT_EQ(pool.submit([] { return request_id.get(); }).get(), "r-1");
}

}  // namespace
