// SPDX-License-Identifier: Apache-2.0
//
// Whatever makes a job runnable wakes whoever may have to run it: all threads of a pool wait, each
// for the next, and the last for a job that only it can run then. One test for each way (the table
// is in pool_core.h), on 1, 2 and 3 threads, under a watchdog; and all ways at random.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/pool/parking.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"
#include "tests/elsewhere.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

void until_a_helper_is_parked() {
  while (taskctx::internal::parked_helpers().load() == 0) {
    std::this_thread::yield();
  }
}

class WakeUp : public testing::TestWithParam<int> {
 protected:
  // Has all threads of the pool wait: the first for `last`, each other for the one before. Calls
  // `go` when the first sleeps and all have begun.
  template <typename T>
  void all_wait_for(JobPool& pool, const SharedJob<T>& last, const std::function<void()>& go) {
    std::vector<SharedJob<void>> waiting;
    std::vector<std::unique_ptr<Latch>> begun;
    for (int i = 0; i < pool.concurrency(); ++i) {
      begun.push_back(std::make_unique<Latch>());
      const SharedJob<void> before = i != 0 ? waiting.back() : SharedJob<void>();
      waiting.push_back(pool.submit([latch = begun.back().get(), before, last] {
                              latch->open();
                              before.valid() ? before.get() : last.wait();
                            })
                            .shared());
      begun.back()->wait();
      if (i == 0) {
        until_a_helper_is_parked();
      }
    }
    go();
    waiting.back().get();
  }

  // Lets a coroutine go on on a thread of its own when all threads of the pool wait for it; there
  // it does `act`.
  template <typename F>
  void on_a_foreign_thread(const std::string& name, const F& act) {
    const Watchdog watchdog(name + " on " + std::to_string(GetParam()) + " threads");
    for (int run = 0; run < 20; ++run) {
      JobPool pool{{.concurrency = GetParam()}};
      Latch go;
      Elsewhere elsewhere;
      elsewhere.resume(go);
      const auto coroutine = [&]() -> Task<int> {
        co_await elsewhere;
        co_return co_await act(pool);
      };
      const SharedJob<int> last = pool.spawn(coroutine()).shared();
      all_wait_for(pool, last, [&go] { go.open(); });
      ASSERT_EQ(last.get(), 7);
    }
  }
};

// J60: it is queued again without ever having been suspended, behind jobs that wait for it.
TEST_P(WakeUp, AYieldingCoroutineWakesWhoWaitsForIt) {
  on_a_foreign_thread("yield", [](JobPool&) -> Task<int> {
    co_await taskctx::yield();
    co_return 7;
  });
}

// J60: likewise from a thread of the pool, which then begins a job that waits for the coroutine.
TEST(WakeUpInTurn, AYieldingCoroutineWakesWhoWaitsForIt) {
  const Watchdog watchdog("yield in turn");
  for (int run = 0; run < 100; ++run) {
    JobPool pool{{.concurrency = 2}};
    Latch begun;
    Latch go;
    const auto coroutine = [&]() -> Task<int> {
      begun.open();
      go.wait();
      co_await taskctx::yield();
      co_return 7;
    };
    const SharedJob<int> last = pool.spawn(coroutine()).shared();
    begun.wait();
    const SharedJob<int> first = pool.submit([last] { return last.get(); }).shared();
    until_a_helper_is_parked();
    Job<int> second = pool.submit([first] { return first.get(); });
    go.open();
    ASSERT_EQ(second.get(), 7);
  }
}

// J60: the time has come.
TEST_P(WakeUp, ACoroutineThatSleptWakesWhoWaitsForIt) {
  on_a_foreign_thread("sleep", [](JobPool&) -> Task<int> {
    co_await taskctx::sleep_for(absl::Microseconds(10));
    co_return 7;
  });
}

// J60: what it waits for has been queued by nobody who waits.
TEST_P(WakeUp, ACoroutineThatAwaitsANewJobWakesWhoCanRunThat) {
  on_a_foreign_thread("await", [](JobPool& pool) -> Task<int> {
    Job<int> job = pool.submit([] { return 7; });
    co_return co_await std::move(job);
  });
}

// J60: likewise for jobs that wait for others.
TEST_P(WakeUp, ACoroutineThatAwaitsContinuationsWakesWhoCanRunThem) {
  on_a_foreign_thread("await continuations", [](JobPool& pool) -> Task<int> {
    std::vector<Job<int>> jobs;
    jobs.push_back(pool.submit([] { return 3; }).then([](int i) { return i + 1; }));
    jobs.push_back(pool.submit_after(absl::Microseconds(10), [] { return 3; }));
    Job<std::vector<int>> both = taskctx::when_all(std::move(jobs));
    const std::vector<int> parts = co_await std::move(both);
    co_return parts[0] + parts[1];
  });
}

// J60: a coroutine's code counts as at work in its job wherever it runs: what it waits for,
// blocking the thread, can run right there.
TEST_P(WakeUp, ACoroutineOnAForeignThreadMayBlockForAJobOfItsPool) {
  on_a_foreign_thread("block", [](JobPool& pool) -> Task<int> {
    EXPECT_NE(taskctx::this_job::id(), 0U);
    EXPECT_THROW(pool.drain(), taskctx::JobError);
    Job<int> job = pool.submit([] { return 7; });
    co_return job.get();
  });
}

// J60: likewise for room in a full queue.
TEST(WakeUpInTurn, ACoroutineOnAForeignThreadIsNotBlockedByAFullQueue) {
  const Watchdog watchdog("full queue");
  JobPool pool{{.concurrency = 1, .queue_capacity = 1}};
  Latch go;
  Elsewhere elsewhere;
  elsewhere.resume(go);
  const auto coroutine = [&]() -> Task<int> {
    co_await elsewhere;
    Job<int> a = pool.submit([] { return 3; });
    Job<int> b = pool.submit([] { return 4; });
    co_return a.get() + b.get();
  };
  const SharedJob<int> last = pool.spawn(coroutine()).shared();
  Job<int> waiting = pool.submit([last] { return last.get(); });
  until_a_helper_is_parked();
  go.open();
  ASSERT_EQ(waiting.get(), 7);
}

// J60: it is woken by its cancellation, and then waits for a job that only who waits for it can
// run.
TEST_P(WakeUp, ACancelledCoroutineWakesWhoWaitsForIt) {
  const Watchdog watchdog("cancel on " + std::to_string(GetParam()) + " threads");
  for (int run = 0; run < 20; ++run) {
    JobPool pool{{.concurrency = GetParam()}};
    const auto coroutine = [&]() -> Task<int> {
      try {
        co_await taskctx::sleep_for(absl::Hours(1));
      } catch (const taskctx::JobCancelled&) {
      }
      Job<int> job = pool.submit([] { return 7; });
      co_return co_await std::move(job);
    };
    const SharedJob<int> last = pool.spawn(coroutine()).shared();
    all_wait_for(pool, last, [&last] { last.cancel(); });
    ASSERT_EQ(last.get(), 7);
  }
}

// J60: a coroutine of another pool, which is queued there, may yet wait for a job of ours.
TEST_P(WakeUp, ACoroutineThatIsQueuedElsewhereMayWaitForOurJobs) {
  const Watchdog watchdog("elsewhere on " + std::to_string(GetParam()) + " threads");
  for (int run = 0; run < 20; ++run) {
    JobPool pool{{.concurrency = GetParam()}};
    JobPool other{{.concurrency = 1}};
    Latch go;
    other.post([&go] { go.wait(); });
    const auto coroutine = [&]() -> Task<int> {
      Job<int> job = pool.submit([] { return 7; });
      co_return co_await std::move(job);
    };
    const SharedJob<int> last = other.spawn(coroutine()).shared();
    all_wait_for(pool, last, [&go] { go.open(); });
    ASSERT_EQ(last.get(), 7);
  }
}

// J60: a bulk is queued until all its elements were begun.
TEST_P(WakeUp, ACoroutineThatAwaitsABulkWakesWhoCanRunIt) {
  on_a_foreign_thread("bulk", [](JobPool& pool) -> Task<int> {
    Job<std::vector<int>> bulk =
        pool.submit_bulk(std::vector<int>{1, 2, 4}, [](int i) { return i; });
    int sum = 0;
    for (const int i : co_await std::move(bulk)) {
      sum += i;
    }
    co_return sum;
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, WakeUp, testing::Values(1, 2, 3));

}  // namespace
