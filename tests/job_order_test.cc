// SPDX-License-Identifier: Apache-2.0
//
// The order in which a pool's threads begin the jobs that are queued.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using taskctx_test::Latch;
using taskctx_test::Watchdog;

// A pool of which one thread runs jobs, one by one; the others are kept in jobs that wait. Knows in
// which order jobs have begun.
class OneAtWork {
 public:
  explicit OneAtWork(int threads) : pool_({.concurrency = threads}) {
    taskctx_test::Gate gate(threads);
    for (int i = 1; i < threads; ++i) {
      pool_.post([this, gate]() mutable {
        gate.arrive_and_wait();
        end_.wait();
      });
    }
    gate.arrive_and_wait();
  }
  OneAtWork(const OneAtWork&) = delete;
  OneAtWork& operator=(const OneAtWork&) = delete;
  ~OneAtWork() { end_.open(); }

  JobPool& pool() { return pool_; }
  // Submits a job that waits for end_one().
  void submit() {
    ++unbegun_;
    pool_.post([this, number = submitted_++] {
      begin(number);
      go_on_.acquire();
    });
  }
  // To be called in jobs that submit() does not make. finish() waits for so many `more` of them.
  void expect(int more) { unbegun_ += more; }
  void begin(int number) {
    order_.push_back(number);
    has_begun_.release();
  }
  // Returns when the next job has begun.
  void wait_for_one() {
    has_begun_.acquire();
    --unbegun_;
  }
  void end_one() { go_on_.release(); }
  // Lets all run that have been submitted.
  std::vector<int> finish() {
    go_on_.release(submitted_);
    while (unbegun_ != 0) {
      wait_for_one();
    }
    return order_;
  }

 private:
  Latch end_;
  std::counting_semaphore<> has_begun_{0};
  std::counting_semaphore<> go_on_{0};
  int submitted_ = 0;
  int unbegun_ = 0;
  std::vector<int> order_;  // Written by the thread at work.
  JobPool pool_;
};

// Returns the largest number of jobs that were submitted after one, and begun before it.
std::ptrdiff_t most_overtaken(const std::vector<int>& order) {
  std::ptrdiff_t most = 0;
  for (auto job = order.begin(); job != order.end(); ++job) {
    most =
        std::max(most, std::count_if(order.begin(), job, [&](int other) { return other > *job; }));
  }
  return most;
}

// As the header has it.
std::ptrdiff_t limit(int threads) {
  const auto lists =
      static_cast<std::ptrdiff_t>(std::bit_floor(static_cast<unsigned>(std::min(threads, 16))));
  return threads == 1 ? 0 : lists * (threads + 4);
}

class JobOrder : public testing::TestWithParam<int> {
 protected:
  const Watchdog watchdog_{"the order of jobs on " + std::to_string(GetParam()) + " threads"};
};

INSTANTIATE_TEST_SUITE_P(Threads, JobOrder, testing::Values(1, 2, 4, 8, 17));

// J87
TEST_P(JobOrder, IsThatOfSubmissionInABurst) {
  OneAtWork one(GetParam());
  constexpr int kJobs = 2000;
  for (int i = 0; i < kJobs; ++i) {
    one.submit();
  }
  const std::vector<int> order = one.finish();
  EXPECT_EQ(order.size(), kJobs);
  EXPECT_LE(most_overtaken(order), limit(GetParam()));
}

// J87: the queue becomes longer and shorter while jobs come and go.
TEST_P(JobOrder, IsThatOfSubmissionUnderAnyLoad) {
  for (int round = 0; round < 4; ++round) {
    const std::uint32_t seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    OneAtWork one(GetParam());
    for (int i = 0; i < 300; ++i) {
      one.submit();
    }
    for (int step = 0; step < 2000; ++step) {
      one.wait_for_one();
      for (auto more = random() % 3; more != 0; --more) {
        one.submit();
      }
      if (random() % 64 == 0) {
        for (int i = 0; i < 50; ++i) {
          one.submit();
        }
      }
      one.end_one();
    }
    EXPECT_LE(most_overtaken(one.finish()), limit(GetParam()));
  }
}

// J87: the lists of each pool get their share, also of every second or third job of a thread.
TEST_P(JobOrder, IsThatOfSubmissionForAThreadThatServesSeveralPools) {
  for (int others = 1; others <= 3; ++others) {
    OneAtWork one(GetParam());
    JobPool other{{.concurrency = 1}};
    for (int i = 0; i < 1000; ++i) {
      one.submit();
      for (int j = 0; j < others; ++j) {
        other.post([] {});
      }
    }
    for (int i = 0; i < 500; ++i) {
      one.submit();
    }
    EXPECT_LE(most_overtaken(one.finish()), 2 * limit(GetParam()));
  }
}

// J89
TEST_P(JobOrder, LetsAQueuedJobBeginThoughOthersAreDueAllTheTime) {
  constexpr int kDue = 100;
  constexpr int kQueued = -1;
  OneAtWork one(GetParam());
  one.submit();
  one.wait_for_one();  // The thread is in a job.
  one.expect(1 + kDue);
  auto queued = one.pool().submit([&] { one.begin(kQueued); });
  std::vector<Job<void>> due;
  for (int i = 0; i < kDue; ++i) {
    due.push_back(one.pool().submit_after(absl::ZeroDuration(), [&, i] { one.begin(i); }));
  }
  JobPool other{{.concurrency = 1}};
  other.submit_after(absl::ZeroDuration(), [] {}).get();  // The timer has done what was due before.
  const std::vector<int> order = one.finish();
  const auto place = std::find(order.begin(), order.end(), kQueued) - order.begin();
  EXPECT_GE(place, 1 + 1) << "what is due begins first";
  EXPECT_LE(place, 1 + 16) << "but does not keep a queued job waiting for long";
}

}  // namespace
