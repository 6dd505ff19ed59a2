// SPDX-License-Identifier: Apache-2.0
//
// when_all() that fails fast, and when_any() that cancels the losers: of jobs, tasks, and ranges.

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"
#include "tests/pools.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelLosers;
using taskctx::FailFast;
using taskctx::Job;
using taskctx::Task;

// Counts those that have not ended.
struct AtWork {
  explicit AtWork(std::atomic<int>& counter) : count(counter) { ++count; }
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;
  ~AtWork() { --count; }
  std::atomic<int>& count;
};

Task<int> waits_for_ever(std::atomic<int>& count) {
  const AtWork at_work(count);
  co_await taskctx::sleep_for(absl::Hours(1));
  co_return 0;
}
Task<int> fails() {
  co_await taskctx::yield();
  throw std::runtime_error("first");
}
Task<int> gives(int value) {
  co_await taskctx::yield();
  co_return value;
}

class Losers : public JobApi {
 protected:
  Task<int> waits() { return waits_for_ever(count); }
  // A plain job that ends when it is cancelled.
  Job<int> spins() {
    return pool.submit([this] {
      const AtWork at_work(count);
      while (!taskctx::cancelled()) {
        std::this_thread::yield();
      }
      taskctx::check_cancelled();
      return 0;
    });
  }

  std::atomic<int> count{0};
  const Watchdog watchdog{"jobs that cancel each other"};
};

template <typename F>
std::string end_of(F function) {
  try {
    function();
    return "no error";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

// F-H9: what is told is the first failure in time, not what it has caused.
TEST_P(Losers, TheFirstFailureCancelsTheOthers) {
  EXPECT_EQ(end_of([&] {
              pool.spawn([&]() -> Task<> {
                    co_await taskctx::when_all(FailFast{}, waits(), fails(), waits());
                  })
                  .get();
            }),
            "first");
  EXPECT_EQ(count, 0);
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 100; ++i) {
    tasks.push_back(i == 50 ? fails() : waits());
  }
  Job<std::vector<int>> all = taskctx::when_all(FailFast{}, std::move(tasks));
  EXPECT_EQ(end_of([&] { (void)all.get(); }), "first");
  EXPECT_EQ(count, 0);
  std::vector<Job<int>> jobs;
  jobs.push_back(pool.spawn(waits()));
  jobs.push_back(pool.spawn(fails()));
  if (GetParam() > 1) {
    jobs.push_back(spins());
  }
  EXPECT_EQ(end_of([&] { (void)taskctx::gather(FailFast{}, std::move(jobs)); }), "first");
  EXPECT_EQ(count, 0);
  Job<int> failed = pool.submit([]() -> int { throw std::runtime_error("at once"); });
  failed.wait();
  EXPECT_EQ(
      end_of([&] { (void)taskctx::gather(FailFast{}, pool.spawn(waits()), std::move(failed)); }),
      "at once");
  EXPECT_EQ(count, 0);
  EXPECT_EQ(handled, 0);
}

// F-H9: without a failure nothing is different.
TEST_P(Losers, WithoutAFailureNothingIsCancelled) {
  EXPECT_EQ(taskctx::gather(FailFast{}, pool.spawn(gives(1)), pool.spawn(gives(2))),
            std::make_tuple(1, 2));
  EXPECT_TRUE(taskctx::when_all(FailFast{}, std::vector<Job<int>>()).get().empty());
  std::vector<Task<int>> tasks;
  tasks.push_back(gives(3));
  EXPECT_EQ(taskctx::when_all(FailFast{}, std::move(tasks)).get(), std::vector<int>{3});
}

// F-H9
TEST_P(Losers, TheFirstEndCancelsTheOthers) {
  std::vector<Task<int>> tasks;
  tasks.push_back(waits());
  tasks.push_back(gives(7));
  tasks.push_back(waits());
  taskctx::FirstJob<int> first = taskctx::when_any(CancelLosers{}, std::move(tasks)).get();
  EXPECT_EQ(count, 0);
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(first.jobs[1].get(), 7);
  EXPECT_TRUE(first.jobs[0].ready());
  EXPECT_THROW(first.jobs[0].get(), taskctx::JobCancelled);
  EXPECT_THROW(first.jobs[2].get(), taskctx::JobCancelled);
  std::vector<Job<int>> jobs;
  jobs.push_back(pool.spawn(waits()));
  jobs.push_back(pool.spawn(fails()));
  if (GetParam() > 1) {
    jobs.push_back(spins());
  }
  first = taskctx::when_any(CancelLosers{}, std::move(jobs)).get();
  EXPECT_EQ(count, 0);
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(end_of([&] { (void)first.jobs[1].get(); }), "first");
  EXPECT_THROW((void)taskctx::when_any(CancelLosers{}, std::vector<Job<int>>()), taskctx::JobError);
}

// F-H9: what waits for the rest is cancelled: it does not wait, nor end the jobs.
TEST_P(Losers, ACancelledWaitEndsAtOnce) {
  Job<int> late = pool.spawn(waits());
  Job<std::tuple<int>> all = taskctx::when_all(FailFast{}, std::move(late));
  EXPECT_TRUE(all.cancel());
  EXPECT_THROW(all.get(), taskctx::JobCancelled);
  pool.shutdown(taskctx::Timeout(absl::ZeroDuration()));
}

INSTANTIATE_TEST_SUITE_P(Threads, Losers, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
