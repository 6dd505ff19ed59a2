// SPDX-License-Identifier: Apache-2.0
//
// The soak: a random mix of all that the job pool can do, on 8 threads. Every job ends exactly
// once, in its own context; no context is left in a worker; memory returns to where it was.
//
//   TASKCTX_SOAK_JOBS=10000000 bazel-bin/tests/job_soak_test

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr int kThreads = 8;

const ContextVar<std::uint64_t> number("number");
const ContextVar<std::string> text("text");

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

struct Thrown : std::runtime_error {
  Thrown() : std::runtime_error("meant to be") {}
};

// What all jobs of the soak are counted in. Each callable is made once, called at most once, and
// destroyed once.
struct Ledger {
  std::atomic<std::uint64_t> made{0};
  std::atomic<std::uint64_t> ran{0};
  std::atomic<std::uint64_t> destroyed{0};
  std::atomic<std::uint64_t> wrong{0};  // Ran twice, or in a wrong context.
  std::atomic<std::uint64_t> handled{0};
  std::atomic<std::uint64_t> calls{0};  // Elements of bulks, and leaves.
};

// Is in the callable of every job. Knows the context that the job is to find.
class Ticket {
 public:
  explicit Ticket(Ledger& ledger)
      : ledger_(&ledger), number_(number.get(0)), text_(text.get("none")) {
    ++ledger_->made;
  }
  Ticket(Ticket&& other) noexcept
      : ledger_(std::exchange(other.ledger_, nullptr)),
        number_(other.number_),
        text_(std::move(other.text_)),
        has_run_(other.has_run_) {}
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (ledger_ != nullptr) {
      ++ledger_->destroyed;
    }
  }

  void run() {
    ++ledger_->ran;
    if (std::exchange(has_run_, true) || number.get(0) != number_ || text.get("none") != text_) {
      ++ledger_->wrong;
    }
  }
  [[nodiscard]] Ledger& ledger() const { return *ledger_; }

 private:
  Ledger* ledger_;
  std::uint64_t number_;
  std::string text_;
  bool has_run_ = false;
};

class Soak;

// The callable of a job.
class Work {
 public:
  Work(Soak& soak, std::mt19937_64& random, int depth);
  int operator()();

 private:
  Soak* soak_;
  std::uint64_t kind_;
  std::uint64_t seed_;
  int depth_;
  Ticket ticket_;
};

// Must outlive the pool's jobs.
class Soak {
 public:
  Soak(JobPool& pool, Ledger& ledger) : pool_(pool), ledger_(ledger) {}

  // Does one thing at random, from outside or in a job. Returns how many jobs that made, at least.
  std::uint64_t act(std::mt19937_64& random, int depth) {
    const Scope scope(number, random());
    const std::uint64_t before = ledger_.made;
    try {
      switch (random() % 16) {
        case 0:
        case 1:
        case 2:
          pool_.post(job(random, depth));
          break;
        case 3:
        case 4:
          (void)pool_.submit(job(random, depth));
          break;
        case 5:
        case 6:
          keep(pool_.submit(job(random, depth)), random);
          break;
        case 7:
          take(pool_.submit(job(random, depth)));
          break;
        case 8: {
          Job<int> job_of_two = pool_.submit(job(random, depth));
          keep(job_of_two.then([ticket = Ticket(ledger_)](int value) mutable {
            ticket.run();
            return value;
          }),
               random);
          break;
        }
        case 9: {
          std::vector<Job<int>> jobs;
          for (int i = 0; i < 4; ++i) {
            jobs.push_back(pool_.submit(job(random, depth)));
          }
          take(taskctx::when_all(std::move(jobs)).then([](const std::vector<int>& all) {
            return static_cast<int>(all.size());
          }));
          break;
        }
        case 10: {
          std::vector<Job<int>> jobs;
          for (int i = 0; i < 3; ++i) {
            jobs.push_back(pool_.submit(job(random, depth)));
          }
          auto first = taskctx::when_any(std::move(jobs)).get();
          for (Job<int>& one : first.jobs) {
            one.cancel();
            take(std::move(one));
          }
          break;
        }
        case 11: {
          auto bulk = pool_.submit_bulk(std::views::iota(0, 20),
                                        [&ledger = ledger_, want = number.get()](int i) {
                                          ++ledger.calls;
                                          ledger.wrong += number.get(0) != want ? 1 : 0;
                                          number.set(1);  // Nobody else is to see this.
                                          if (i == 13) {
                                            throw Thrown();
                                          }
                                          return i;
                                        });
          if (random() % 2 == 0) {
            bulk.cancel();
          }
          try {
            bulk.get();
          } catch (const Thrown&) {
          } catch (const JobCancelled&) {
          }
          break;
        }
        case 12: {
          Job<int> later =
              pool_.submit_after(absl::Microseconds(random() % 300), job(random, depth));
          if (random() % 2 == 0) {
            later.cancel();
          }
          keep(std::move(later), random);
          break;
        }
        case 13: {
          const auto shared = pool_.submit(job(random, depth)).shared();
          auto next = shared.then([ticket = Ticket(ledger_)](const int& value) mutable {
            ticket.run();
            return value;
          });
          const auto copy = shared;
          try {
            (void)copy.get();
          } catch (const Thrown&) {
          } catch (const JobCancelled&) {
          }
          take(std::move(next));
          break;
        }
        case 14: {
          Job<int> one = pool_.submit(JobOptions{.keep_context = true}, job(random, depth));
          (void)one.wait_for(absl::Microseconds(random() % 100));
          one.cancel();
          (void)one.id();
          (void)one.context().size();
          take(std::move(one));
          break;
        }
        case 15: {
          Context context;
          context.run([] { text.set("of a given context"); });
          auto given = context.run([&] { return job(random, depth); });
          pool_.post(JobOptions{.context = context, .name = "given"}, std::move(given));
          (void)pool_.stats();
          break;
        }
      }
    } catch (const JobRejected&) {
    }
    return std::max<std::uint64_t>(ledger_.made - before, 1);
  }

  [[nodiscard]] Ledger& ledger() const { return ledger_; }

 private:
  // Makes the callable of one job, which is submitted in the context that is current now.
  Work job(std::mt19937_64& random, int depth) { return {*this, random, depth}; }

  void keep(Job<int> job, std::mt19937_64& random) {
    if (random() % 4 == 0) {
      job.cancel();
    }
    if (random() % 2 == 0) {
      take(std::move(job));
    }
  }

  static void take(Job<int> job) {
    try {
      (void)job.get();
    } catch (const Thrown&) {
    } catch (const JobCancelled&) {
    }
  }

  JobPool& pool_;
  Ledger& ledger_;
};

Work::Work(Soak& soak, std::mt19937_64& random, int depth)
    : soak_(&soak), kind_(random() % 32), seed_(random()), depth_(depth), ticket_(soak.ledger()) {}

int Work::operator()() {
  ticket_.run();
  number.set(seed_);
  Ledger& ledger = soak_->ledger();
  if (kind_ == 0) {
    throw Thrown();
  }
  if (kind_ == 1) {
    throw JobCancelled("by itself");
  }
  if (kind_ < 8 && depth_ > 0) {
    std::mt19937_64 random(seed_);
    soak_->act(random, depth_ - 1);
    ledger.wrong += number.get() != seed_ ? 1 : 0;
  }
  if (kind_ == 8) {
    taskctx::tbb::parallel_for(0, 8, [&](int) {
      ++ledger.calls;
      ledger.wrong += number.get(0) != seed_ ? 1 : 0;
      number.set(2);
    });
  }
  return taskctx::this_job::cancel_requested() ? 1 : 0;
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
