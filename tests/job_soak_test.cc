// SPDX-License-Identifier: Apache-2.0
//
// The soak: a random mix of all that the job pool can do, on 8 threads. Every job ends exactly
// once, in its own context; no context is left in a worker; memory returns to where it was.
//
//   TASKCTX_SOAK_JOBS=10000000 bazel-bin/tests/job_soak_test

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/job_pool.h"
#include "tests/sanitizers.h"
#include "tests/soak.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr int kThreads = 8;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

double resident_megabytes() {
  malloc_trim(0);
  std::ifstream status("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  status >> size >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

// Runs `jobs` jobs in a pool that lives as long, submitted by several threads. Returns the sum.
std::uint64_t run_pool(std::uint64_t jobs, std::uint64_t seed, Ledger& ledger) {
  std::mt19937_64 random(seed);
  JobPoolOptions options{.concurrency = kThreads,
                         .exception_handler = [&](const std::exception_ptr&) { ++ledger.handled; }};
  if (random() % 2 == 0) {
    options.queue_capacity = 100;
    options.when_full = static_cast<WhenFull>(random() % 3);
  }
  std::atomic<std::uint64_t> dirty{0};
  const std::uint64_t before = ledger.made;
  std::uint64_t counted = 0;
  std::optional<Soak> soak;  // Outlives the jobs.
  {
    JobPool pool(options);
    soak.emplace(pool, ledger);
    std::vector<std::thread> outside;
    std::atomic<std::uint64_t> sum{0};
    for (int i = 0; i < 2; ++i) {
      outside.emplace_back([&, own = random()] {
        std::mt19937_64 mine(own);
        while (ledger.made - before < jobs) {
          sum += soak->act(mine, 3);
        }
      });
    }
    for (std::thread& thread : outside) {
      thread.join();
    }
    pool.drain();
    // On every thread of the pool there is no context.
    taskctx_test::Gate gate(kThreads);
    std::vector<Job<void>> looks;
    for (int i = 0; i < kThreads; ++i) {
      try {
        looks.push_back(pool.submit(JobOptions{.detached = true}, [&] {
          gate.arrive_and_wait();
          dirty += taskctx::copy_context().empty() ? 0 : 1;
        }));
      } catch (const JobRejected&) {
        --i;
      }
    }
    for (Job<void>& look : looks) {
      look.get();
    }
    pool.drain();
    const taskctx::JobPoolStats stats = pool.stats();
    EXPECT_EQ(stats.queued + stats.waiting + stats.running, 0U);
    counted = stats.succeeded + stats.failed + stats.cancelled;
    if (random() % 2 == 0) {  // Some more, for the destructor to wait for.
      for (int i = 0; i < 50; ++i) {
        soak->act(random, 2);
      }
    }
  }
  EXPECT_EQ(dirty, 0U);
  return counted;
}

// J17
TEST(Soak, EveryJobEndsExactlyOnceInItsOwnContextAndMemoryReturnsToWhereItWas) {
  const std::uint64_t all = from_environment("TASKCTX_SOAK_JOBS", 60'000);
  const std::uint64_t seed = from_environment("TASKCTX_TEST_SEED", std::random_device()());
  std::printf("TASKCTX_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  const std::uint64_t seconds = std::max<std::uint64_t>(240, all / 5'000);
  const Watchdog watchdog("soak", std::chrono::seconds(seconds));
  Ledger ledger;
  std::mt19937_64 random(seed);
  const std::uint64_t per_pool = std::max<std::uint64_t>(all / 100, 2'000);
  (void)run_pool(per_pool, random(), ledger);  // What is allocated once, is.
  const double before = resident_megabytes();
  std::uint64_t ended = 0;
  while (ledger.made < all) {
    ended += run_pool(per_pool, random(), ledger);
  }
  const double after = resident_megabytes();
  EXPECT_EQ(ledger.made, ledger.destroyed);
  EXPECT_LE(ledger.ran, ledger.made);
  EXPECT_GT(ledger.ran, ledger.made / 2);
  EXPECT_EQ(ledger.wrong, 0U);
  EXPECT_GT(ledger.handled, 0U);
  std::printf(
      "jobs %llu, ran %llu, calls %llu, handled %llu, pools' own count %llu; %.1f MB, then %.1f "
      "MB\n",
      static_cast<unsigned long long>(ledger.made.load()),
      static_cast<unsigned long long>(ledger.ran.load()),
      static_cast<unsigned long long>(ledger.calls.load()),
      static_cast<unsigned long long>(ledger.handled.load()),
      static_cast<unsigned long long>(ended), before, after);
  if (!taskctx_test::kAddressSanitizer && !taskctx_test::kThreadSanitizer) {
    EXPECT_LT(after, before + 16);
  }
}

}  // namespace
