// SPDX-License-Identifier: Apache-2.0
//
// What cancellation means to jobs, at each stage of their lives, and to those who wait for them:
// the rows of the table in cancel.h.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "taskctx/this_job.h"
#include "tests/cancelling.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Job;
using taskctx::Shield;

namespace ctbb = taskctx::tbb;

class CancelledJobs : public JobApi {
 protected:
  const Watchdog watchdog{"a cancelled job"};
};

// F-H1, F-H3: the callable is destroyed in its context.
TEST_P(CancelledJobs, ThatAreQueuedNeverRun) {
  struct Callable {
    explicit Callable(std::string& its_seen) : seen(its_seen) {}
    Callable(Callable&& other) noexcept
        : seen(other.seen), is_mine(std::exchange(other.is_mine, false)) {}
    ~Callable() {
      if (is_mine) {
        seen = request_id.get("none");
      }
    }
    void operator()() const { ADD_FAILURE(); }
    std::string& seen;
    bool is_mine = true;
  };
  Latch latch;
  std::string seen;
  std::vector<Job<void>> busy = occupy(latch);
  Job<void> job;
  Job<int> next;
  {
    const taskctx::Scope value{request_id, "r-1"};
    CancelScope scope;
    job = pool.submit({.name = "late"}, Callable(seen));
    next = pool.submit([] { return 1; }).then([](int i) { return i; });
    scope.cancel("the user went away");
  }
  latch.open();
  EXPECT_EQ(end_of(job), absl::CancelledError("the user went away"));
  EXPECT_EQ(end_of(next), absl::CancelledError("the user went away"));
  EXPECT_EQ(seen, "r-1");
  pool.drain();
  EXPECT_EQ(pool.stats().cancelled, 3U);
  EXPECT_EQ(pool.stats().expired, 0U);
  EXPECT_EQ(handled, 0);
}

// F-N8: found by the thread that reaches it.
TEST_P(CancelledJobs, WhoseTimeIsOverInTheQueueNeverRun) {
  Latch latch;
  std::vector<Job<void>> busy = occupy(latch);
  Job<void> job;
  {
    const CancelScope scope{{.timeout = absl::Milliseconds(1)}};
    job = pool.submit({.name = "late"}, [] { ADD_FAILURE(); });
    pool.post([] { ADD_FAILURE(); });
    wait_until_cancelled();
  }
  latch.open();
  pool.drain();
  EXPECT_EQ(pool.stats().expired, 2U);
  EXPECT_EQ(pool.stats().cancelled, 0U);
  try {
    job.get();
    FAIL();
  } catch (const taskctx::JobCancelled& error) {
    EXPECT_EQ(error.status().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_STREQ(error.what(),
                 "cannot get result of job 'late': its time was over before it began");
  }
}

// F-N8: or by whoever waits for it, while no thread reaches it.
TEST_P(CancelledJobs, WhoseTimeIsOverEndForThoseWhoWait) {
  Latch latch;
  std::vector<Job<void>> busy = occupy(latch);
  std::optional<CancelScope> scope(std::in_place,
                                   taskctx::CancelScopeOptions{.timeout = absl::Milliseconds(1)});
  Job<void> expired = pool.submit([] { ADD_FAILURE(); });
  scope.emplace();
  Job<void> cancelled_later = pool.submit([] { ADD_FAILURE(); });
  {
    const Shield shield;
    EXPECT_EQ(end_of(expired).code(), absl::StatusCode::kDeadlineExceeded);
  }
  std::atomic<bool> waits{false};
  std::thread canceller([&] {
    wait_for(waits);
    scope->cancel("now");
  });
  {
    const Shield shield;
    waits = true;
    EXPECT_EQ(end_of(cancelled_later), absl::CancelledError("now"));
  }
  canceller.join();
  latch.open();
}

// F-H1
TEST_P(CancelledJobs, ThatRunAreTold) {
  CancelScope scope;
  std::atomic<bool> runs{false};
  Job<void> job = pool.submit([&] {
    EXPECT_FALSE(cancelled());
    runs = true;
    wait_until_cancelled();
    taskctx::check_cancelled();
  });
  wait_for(runs);
  scope.cancel("enough");
  const Shield shield;
  EXPECT_EQ(end_of(job), absl::CancelledError("enough"));
}

// T10, F-H1: all that a job has started finds out when the job is cancelled, or never begins. What
// belongs to the job says so.
TEST_P(CancelledJobs, PassItOnToAllThatTheyHaveStarted) {
  const taskctx::JobPool more_threads{{.concurrency = 2}};  // For the arena.
  std::atomic<bool> runs{false};
  std::atomic<int> told{0};
  Job<void> job = pool.submit({.name = "parent"}, [&] {
    const std::uint64_t id = taskctx::this_job::id();
    const auto is_told = [&, id](bool is_own) {
      EXPECT_EQ(taskctx::this_job::id() == id, is_own);
      EXPECT_EQ(taskctx::this_job::name() == "parent", is_own);
      wait_until_cancelled();
      ++told;
    };
    Job<void> child = pool.submit([&] { is_told(false); });
    ctbb::task_group group;
    group.run([&] { is_told(true); });
    Latch is_left_by_arena;
    ctbb::task_arena arena(2);
    arena.enqueue([&] {
      runs = true;
      is_told(true);
      is_left_by_arena.open();
    });
    is_left_by_arena.wait();
    arena.enqueue([] { ADD_FAILURE(); });
    group.run([] { ADD_FAILURE(); });
    EXPECT_THROW(group.wait(), taskctx::Cancelled);
    EXPECT_TRUE(taskctx::this_job::cancel_requested());
    EXPECT_THROW(child.get(), taskctx::Cancelled);
    const Shield shield;
    EXPECT_EQ(taskctx::this_job::id(), id);
    EXPECT_NO_THROW((void)end_of(child));
    EXPECT_NO_THROW(taskctx::check_cancelled());
  });
  wait_for(runs);
  job.cancel();
  EXPECT_NO_THROW(job.get());
  EXPECT_GE(told, 1);
}

// F-H1
TEST_P(CancelledJobs, EndTheWaitsOfThoseWhoAreCancelled) {
  Latch latch;
  std::atomic<bool> waits{false};
  Job<int> slow = pool.submit([latch] {
    latch.wait();
    return 42;
  });
  Job<void> other = pool.submit([latch] { latch.wait(); });
  CancelScope scope;
  std::thread canceller([&] {
    wait_for(waits);
    scope.cancel("impatient");
  });
  waits = true;
  EXPECT_EQ(end_of(slow), absl::CancelledError("impatient"));
  EXPECT_TRUE(slow.valid());  // It is only the wait that has ended.
  EXPECT_THROW(slow.wait(), taskctx::Cancelled);
  EXPECT_THROW((void)other.wait_for(absl::Hours(1)), taskctx::Cancelled);
  canceller.join();
  latch.open();
  const Shield shield;
  EXPECT_EQ(slow.get(), 42);
}

// F-H1: in a job of the same pool, which runs what it waits for, or blocks.
TEST_P(CancelledJobs, EndTheWaitsInOtherJobs) {
  Latch latch;
  taskctx::JobPool other{{.concurrency = 1}};
  std::atomic<bool> waits{false};
  Job<void> never = other.submit([latch] { latch.wait(); });
  Job<void> waiter = pool.submit([&] {
    waits = true;
    never.get();
  });
  wait_for(waits);
  waiter.cancel();
  EXPECT_EQ(end_of(waiter), absl::CancelledError("the job was cancelled"));
  EXPECT_TRUE(never.valid());
  latch.open();
}

// F-H1
TEST_P(CancelledJobs, EndAWaitForRoomInTheQueue) {
  taskctx::JobPool full{{.concurrency = 1, .queue_capacity = 1}};
  Latch latch;
  Latch runs;
  full.post([&, latch] {
    runs.open();
    latch.wait();
  });
  runs.wait();
  full.post([] {});
  CancelScope scope;
  std::atomic<bool> waits{false};
  std::thread canceller([&] {
    wait_for(waits);
    scope.cancel("no room");
  });
  waits = true;
  try {
    full.post({.name = "third"}, [] { ADD_FAILURE(); });
    ADD_FAILURE();
  } catch (const taskctx::Cancelled& error) {
    EXPECT_STREQ(error.what(), "cannot submit job 'third': no room");
  }
  canceller.join();
  latch.open();
  full.drain();
  EXPECT_EQ(full.stats().succeeded, 2U);
}

// F-H1
TEST_P(CancelledJobs, ThatWaitForTheirTimeEndSoon) {
  Job<void> job;
  {
    CancelScope scope;
    job = pool.submit_after(absl::Hours(1), [] { ADD_FAILURE(); });
    EXPECT_EQ(pool.stats().waiting, 1U);
    scope.cancel("not today");
  }
  EXPECT_EQ(end_of(job), absl::CancelledError("not today"));
  {
    CancelScope cancelled_before;
    cancelled_before.cancel();
    (void)pool.submit_after(absl::Hours(1), [] { ADD_FAILURE(); });
  }
  pool.drain();
  EXPECT_EQ(pool.stats().cancelled, 2U);
}

// F-H1
TEST_P(CancelledJobs, LeaveOutElementsOfABulk) {
  CancelScope scope;
  std::atomic<int> calls{0};
  Job<void> bulk = pool.submit_bulk(std::views::iota(0, 100000), [&](int) {
    if (const int call = ++calls; call >= 10) {
      if (call == 10) {
        scope.cancel("ten are enough");
      }
      wait_until_cancelled();
    }
  });
  const Shield shield;
  EXPECT_EQ(end_of(bulk), absl::CancelledError("ten are enough"));
  EXPECT_LT(calls, 10 + GetParam());
}

// F-H4
TEST_P(CancelledJobs, DontReachThoseThatAreDetachedOrShielded) {
  CancelScope scope;
  Job<bool> detached = pool.submit({.detached = true}, [] { return cancelled(); });
  Job<bool> own_context = pool.submit({.context = taskctx::Context()}, [] { return cancelled(); });
  Job<bool> shielded;
  {
    const Shield shield;
    shielded = pool.submit([] { return cancelled(); });
  }
  scope.cancel();
  const Shield shield;
  EXPECT_FALSE(detached.get());
  EXPECT_FALSE(shielded.get());
  try {
    (void)own_context.get();  // It may have run before.
  } catch (const taskctx::JobCancelled&) {
    EXPECT_GE(pool.stats().cancelled, 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, CancelledJobs, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
