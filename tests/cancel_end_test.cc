// SPDX-License-Identifier: Apache-2.0
//
// How a cancelled job ends: what it holds is destroyed as code that nobody cancels.

#include <gtest/gtest.h>

#include <atomic>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_for.h"
#include "tests/cancelling.h"
#include "tests/pools.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Job;
using taskctx::JobPool;
using taskctx::Shield;

namespace ctbb = taskctx::tbb;

class CancelledJobs : public JobApi {
 protected:
  const Watchdog watchdog{"the end of a cancelled job"};
};

// F-H1: its callable is destroyed as code that is not cancelled: what it threw would end the
// program.
TEST_P(CancelledJobs, ShieldTheDestructorsOfWhatTheyHold) {
  struct CleansUp {
    CleansUp(JobPool& its_pool, std::atomic<int>& its_done) : pool(its_pool), done(&its_done) {}
    CleansUp(CleansUp&& other) noexcept
        : pool(other.pool), done(std::exchange(other.done, nullptr)) {}
    ~CleansUp() {
      if (done != nullptr) {
        EXPECT_FALSE(cancelled());
        std::atomic<int> calls{0};
        ctbb::parallel_for(0, 100, [&](int) { ++calls; });
        pool.submit([&] { ++calls; }).get();
        *done += calls;
      }
    }
    JobPool& pool;
    std::atomic<int>* done;
  };
  std::atomic<int> done{0};
  CancelScope scope;
  std::atomic<bool> runs{false};
  Job<void> begun = pool.submit([&, held = CleansUp(pool, done)] {
    runs = true;
    wait_until_cancelled();
    taskctx::check_cancelled();
  });
  wait_for(runs);
  Job<void> not_begun = pool.submit_after(absl::Hours(1), [held = CleansUp(pool, done)] {});
  Job<void> own = pool.submit_after(absl::Hours(1), [held = CleansUp(pool, done)] {});
  own.cancel();
  scope.cancel("enough");
  const Shield shield;
  EXPECT_THROW(begun.get(), taskctx::JobCancelled);  // Although its body threw Cancelled.
  EXPECT_THROW(not_begun.get(), taskctx::JobCancelled);
  pool.drain();
  EXPECT_EQ(done, 303);
}

INSTANTIATE_TEST_SUITE_P(Threads, CancelledJobs, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
