// SPDX-License-Identifier: Apache-2.0
//
// What a job's own code counts for the jobs that it creates and waits for (lib/pool/ledger.h): that
// the sums are right, wherever the last handle is dropped.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/deadline.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// A pool that can be asked later whether anything of it is left.
struct Pool {
  explicit Pool(int threads)
      : pool(std::make_unique<JobPool>(
            JobPoolOptions{.concurrency = threads,
                           .exception_handler = [kept = kept](const std::exception_ptr&) {}})) {}

  // Destroys the pool, and returns when nothing of it is left: oneTBB may still have an empty task.
  void end() {
    const std::weak_ptr<int> weak = std::exchange(kept, nullptr);
    pool = nullptr;
    wait_for_end_of(weak);
  }
  static void wait_for_end_of(const std::weak_ptr<int>& weak) {
    while (!weak.expired()) {
      std::this_thread::yield();
    }
  }

  std::shared_ptr<int> kept = std::make_shared<int>(0);
  std::unique_ptr<JobPool> pool;
};

class JobLedger : public testing::TestWithParam<int> {
 protected:
  const Watchdog watchdog{"jobs of jobs"};
  Pool owner{GetParam()};
  JobPool& pool = *owner.pool;
};

// J100
TEST_P(JobLedger, NothingOfThePoolIsLeftIfJobsGotTheResultsOfJobs) {
  pool.submit([this] {
        for (int i = 0; i < 200; ++i) {
          EXPECT_EQ(pool.submit([i] { return i; }).get(), i);
        }
      })
      .get();
  owner.end();
}

// J100: some handles are dropped in the job, some outside, some in another pool's job, in a leaf,
// in another context, and the last after the pool.
TEST_P(JobLedger, NothingOfThePoolIsLeftWhereverHandlesAreDropped) {
  JobPool other{{.concurrency = 1}};
  std::vector<Job<int>> last =
      pool.submit([this, &other] {
            std::vector<Job<int>> jobs;
            for (int i = 0; i < 60; ++i) {
              jobs.push_back(pool.submit([i] { return i; }));
            }
            for (int i = 0; i < 10; ++i) {
              (void)jobs[static_cast<std::size_t>(i)].get();
            }
            for (std::size_t i = 10; i < 20; ++i) {
              jobs[i].wait();
            }
            other
                .submit([&] {
                  for (int i = 10; i < 20; ++i) {
                    (void)jobs[static_cast<std::size_t>(i)].get();
                  }
                })
                .get();
            taskctx::tbb::parallel_for(std::size_t{20}, std::size_t{30},
                                       [&](std::size_t i) { (void)jobs[i].get(); });
            Context().run([&] {
              for (int i = 30; i < 40; ++i) {
                (void)jobs[static_cast<std::size_t>(i)].get();
              }
            });
            jobs.erase(jobs.begin(), jobs.begin() + 40);
            return jobs;
          })
          .get();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(last.back().get(), 59 - i);
    last.pop_back();
  }
  const std::weak_ptr<int> weak = std::exchange(owner.kept, nullptr);
  owner.pool = nullptr;
  EXPECT_FALSE(weak.expired()) << "with handles";
  while (!last.empty()) {
    EXPECT_FALSE(weak.expired()) << last.size() << " handles";
    last.pop_back();
  }
  Pool::wait_for_end_of(weak);
}

// J100
TEST_P(JobLedger, NothingOfThePoolIsLeftAfterJobsOfAllKinds) {
  pool.submit([this] {
        pool.post([] {});
        const CancelScope scope;
        Job<int> then = pool.submit([] { return 1; }).then([](int one) { return one + 1; });
        Job<void> thrown = pool.submit([] { throw std::bad_function_call(); });
        Job<void> never = pool.submit_after(absl::Hours(1), [] {});
        EXPECT_TRUE(never.cancel());
        EXPECT_EQ(then.get(), 2);
        EXPECT_THROW(thrown.get(), std::bad_function_call);
      })
      .get();
  owner.end();
}

// J101: the pool is at rest once the outer job has ended, and not before, however many jobs it has
// run itself.
TEST_P(JobLedger, APoolIsNotAtRestWhileTheJobRunsThatHasRunOthers) {
  Latch has_run_others;
  Latch may_end;
  std::atomic<bool> is_ending = false;
  const Job<void> outer = pool.submit([&] {
    for (int i = 0; i < 100; ++i) {
      pool.submit([] {}).get();
    }
    has_run_others.open();
    may_end.wait();
    is_ending = true;
  });
  has_run_others.wait();
  EXPECT_FALSE(pool.drain(Deadline::after(absl::Milliseconds(1))));
  may_end.open();
  pool.drain();
  EXPECT_TRUE(is_ending);
  EXPECT_TRUE(outer.ready());
}

// J102: each of them has its reference to what cancels it, whatever became of those before.
TEST_P(JobLedger, CancellingAJobReachesAllThatItHasCreatedAndNothingElse) {
  Latch created;
  Latch may_end;
  std::atomic<int> not_stopped = 0;
  std::vector<Job<void>> inner;
  Job<void> outer = pool.submit([&] {
    for (int i = 0; i < 100; ++i) {
      pool.submit([] {}).get();  // Gives its reference back.
      inner.push_back(pool.submit([&] {
        may_end.wait();
        not_stopped += cancelled() ? 0 : 1;
      }));
    }
    created.open();
    may_end.wait();
  });
  created.wait();
  (void)outer.cancel();
  may_end.open();
  outer.wait();
  for (const Job<void>& job : inner) {
    job.wait();
  }
  EXPECT_EQ(not_stopped, 0);
  EXPECT_FALSE(pool.submit([] { return cancelled(); }).get());
}

INSTANTIATE_TEST_SUITE_P(Threads, JobLedger, testing::Values(1, 2, 4, 8));

}  // namespace
