// SPDX-License-Identifier: Apache-2.0
//
// Coroutines that end early, while they are suspended: cancelled from outside, or destroyed.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <latch>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/when_all.h"
#include "tests/coro_gate.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

struct Kind {
  const char* name;
  Task<> (*suspend)(Gate& gate);
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

constexpr Kind kKinds[] = {
    {"Sleep", [](Gate&) -> Task<> { co_await taskctx::sleep_for(absl::Hours(1)); }},
    {"Job", [](Gate& gate) -> Task<> { co_await gate.job.then([](const auto& /*job*/) {}); }},
    {"SharedJob", [](Gate& gate) -> Task<> { co_await gate.job; }},
    {"AwaitedTask", [](Gate& gate) -> Task<> { co_await waits_for(gate); }},
    {"WhenAll",
     [](Gate& gate) -> Task<> { co_await taskctx::when_all(waits_for(gate), waits_for(gate)); }},
    {"AsyncGenerator",
     [](Gate& gate) -> Task<> {
       auto generator = yields_late(gate);
       co_await generator.next();
     }},
};

class Ending : public testing::TestWithParam<Kind> {
 protected:
  ~Ending() override { gate.open(); }

  Watchdog watchdog{"Ending"};
  taskctx_test::MisuseRecorder recorder;
  Gate gate;
  JobPool pool{{.concurrency = 2}};
};

// Waits until the pool has a job that is suspended.
void wait_until_suspended(const JobPool& pool) {
  while (pool.stats().waiting == 0) {
    absl::SleepFor(absl::Microseconds(100));
  }
}

struct Log {
  ~Log() { text += "destroyed in " + request.get(); }
  std::string& text;
};

Task<> waits(Gate& gate, Task<> (*suspend)(Gate&), std::string& text, Tracked /*parameter*/) {
  const Scope scope{request, "mine"};
  const Log log{text};
  co_await suspend(gate);
  ADD_FAILURE() << "it went on";
}

// F-G1, F-G2
TEST_P(Ending, CancelledWhileItWaitsUnwindsInItsContextAtOnce) {
  std::string text;
  auto job = pool.spawn({.name = "patient"}, waits(gate, GetParam().suspend, text, Tracked(1)));
  wait_until_suspended(pool);
  EXPECT_FALSE(job.ready());
  EXPECT_FALSE(job.cancel());  // It has begun.
  job.wait();                  // Though what it waits for does not come.
  EXPECT_EQ(text, "destroyed in mine");
  EXPECT_EQ(Tracked::alive(), 0);
  try {
    job.get();
    ADD_FAILURE() << "it was not cancelled";
  } catch (const JobCancelled& error) {
    EXPECT_STREQ(error.what(), "cannot wait in job 'patient': it was cancelled");
  }
  gate.open();
  pool.drain();
  EXPECT_EQ(pool.stats().failed, 0);
  EXPECT_TRUE(recorder.messages().empty());
}

Task<std::string> cleans_up(Gate& gate, Task<> (*suspend)(Gate&)) {
  const Scope scope{request, "mine"};
  bool is_cancelled = false;
  try {
    co_await suspend(gate);
  } catch (const JobCancelled&) {
    is_cancelled = true;
  }
  co_await taskctx::sleep_for(absl::Microseconds(1));  // Not ended once more.
  co_await taskctx::yield();
  co_return is_cancelled ? "cleaned up in " + request.get() : "not cancelled";
}

// F-G1, F-G2
TEST_P(Ending, WhoCatchesItMayStillWaitAndEndAsUsual) {
  auto job = pool.spawn(cleans_up(gate, GetParam().suspend));
  wait_until_suspended(pool);
  job.cancel();
  EXPECT_EQ(job.get(), "cleaned up in mine");
}

// F-G1, F-G2
TEST_P(Ending, CancelledWhileItRunsIsToldOnceWhereItNextWaits) {
  std::latch begun(1);
  std::latch cancelled(1);
  auto job = pool.spawn(
      [](Task<std::string> next, std::latch& has_begun, std::latch& may_wait) -> Task<std::string> {
        has_begun.count_down();
        may_wait.wait();
        co_return co_await next;
      }(cleans_up(gate, GetParam().suspend), begun, cancelled));
  begun.wait();
  EXPECT_FALSE(job.cancel());
  cancelled.count_down();
  EXPECT_EQ(job.get(), "cleaned up in mine");
}

// F-G1, F-G2
TEST_P(Ending, ShutdownEndsWhatWaits) {
  std::string text;
  auto job = pool.spawn({.name = "patient"}, waits(gate, GetParam().suspend, text, Tracked(1)));
  wait_until_suspended(pool);
  pool.shutdown(absl::Now());
  EXPECT_THROW(job.get(), JobCancelled);
}

INSTANTIATE_TEST_SUITE_P(All, Ending, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return kind.param.name; });

Task<int> sleeps(absl::Duration duration) {
  co_await taskctx::sleep_for(duration);
  co_return 1;
}
Task<int> awaits(taskctx::SharedJob<int> job) { co_return co_await job; }

// Counts how they ended, each exactly once.
void expect_ended(std::vector<Job<int>>& jobs, int& values, int& cancelled) {
  for (Job<int>& job : jobs) {
    try {
      values += job.get();
    } catch (const JobCancelled&) {
      ++cancelled;
    }
  }
}

// F-G1: what wakes a coroutine and what ends it come at the same time.
TEST(EndingRaces, EachCoroutineGoesOnOnceWhateverComesFirst) {
  const Watchdog watchdog("EachCoroutineGoesOnOnceWhateverComesFirst");
  const std::uint32_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr int kRounds = 200;
  constexpr int kJobs = 20;
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    JobPool other{{.concurrency = 1}};
    int values = 0;
    int cancelled = 0;
    for (int round = 0; round < kRounds; ++round) {
      std::latch latch(1);
      const auto awaited = other
                               .submit([&latch] {
                                 latch.wait();
                                 return 1;
                               })
                               .shared();
      std::vector<Job<int>> jobs;
      for (int i = 0; i < kJobs; ++i) {
        jobs.push_back(i % 2 == 0 ? pool.spawn(awaits(awaited))
                                  : pool.spawn(sleeps(absl::Microseconds(random() % 200))));
      }
      const auto until = absl::Now() + absl::Microseconds(random() % 200);
      while (absl::Now() < until) {
      }
      const int first = static_cast<int>(random() % kJobs);
      for (int i = 0; i < kJobs; ++i) {
        if (i == first) {
          latch.count_down();
        }
        if (random() % 2 == 0) {
          jobs[static_cast<std::size_t>(i)].cancel();
        }
      }
      expect_ended(jobs, values, cancelled);
    }
    EXPECT_EQ(values + cancelled, kRounds * kJobs);
    EXPECT_GT(values, 0);
    EXPECT_GT(cancelled, 0);
  }
}

}  // namespace
