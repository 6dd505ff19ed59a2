// SPDX-License-Identifier: Apache-2.0
//
// A random mix of all that the job pool can do, and a ledger of what has happened to each job.
//
//   Soak soak(pool, ledger);

#ifndef TASKCTX_TESTS_SOAK_H_
#define TASKCTX_TESTS_SOAK_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"

namespace taskctx_test {

inline const taskctx::ContextVar<std::uint64_t> number("number");
inline const taskctx::ContextVar<std::string> text("text");

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
  Soak(taskctx::JobPool& pool, Ledger& ledger) : pool_(pool), ledger_(ledger) {}

  // Does one thing at random, from outside or in a job. Returns how many jobs that made, at least.
  std::uint64_t act(std::mt19937_64& random, int depth) {
    const taskctx::Scope scope(number, random());
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
          taskctx::Job<int> job_of_two = pool_.submit(job(random, depth));
          keep(job_of_two.then([ticket = Ticket(ledger_)](int value) mutable {
            ticket.run();
            return value;
          }),
               random);
          break;
        }
        case 9: {
          std::vector<taskctx::Job<int>> jobs;
          for (int i = 0; i < 4; ++i) {
            jobs.push_back(pool_.submit(job(random, depth)));
          }
          take(taskctx::when_all(std::move(jobs)).then([](const std::vector<int>& all) {
            return static_cast<int>(all.size());
          }));
          break;
        }
        case 10: {
          std::vector<taskctx::Job<int>> jobs;
          for (int i = 0; i < 3; ++i) {
            jobs.push_back(pool_.submit(job(random, depth)));
          }
          auto first = taskctx::when_any(std::move(jobs)).get();
          for (taskctx::Job<int>& one : first.jobs) {
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
          } catch (const taskctx::JobCancelled&) {
          }
          break;
        }
        case 12: {
          taskctx::Job<int> later =
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
          } catch (const taskctx::JobCancelled&) {
          }
          take(std::move(next));
          break;
        }
        case 14: {
          taskctx::Job<int> one =
              pool_.submit(taskctx::JobOptions{.keep_context = true}, job(random, depth));
          (void)one.wait_for(absl::Microseconds(random() % 100));
          one.cancel();
          (void)one.id();
          (void)one.context().size();
          take(std::move(one));
          break;
        }
        case 15: {
          taskctx::Context context;
          context.run([] { text.set("of a given context"); });
          auto given = context.run([&] { return job(random, depth); });
          pool_.post(taskctx::JobOptions{.context = context, .name = "given"}, std::move(given));
          (void)pool_.stats();
          break;
        }
      }
    } catch (const taskctx::JobRejected&) {
    }
    return std::max<std::uint64_t>(ledger_.made - before, 1);
  }

  [[nodiscard]] Ledger& ledger() const { return ledger_; }

 private:
  // Makes the callable of one job, which is submitted in the context that is current now.
  Work job(std::mt19937_64& random, int depth) { return {*this, random, depth}; }

  void keep(taskctx::Job<int> job, std::mt19937_64& random) {
    if (random() % 4 == 0) {
      job.cancel();
    }
    if (random() % 2 == 0) {
      take(std::move(job));
    }
  }

  static void take(taskctx::Job<int> job) {
    try {
      (void)job.get();
    } catch (const Thrown&) {
    } catch (const taskctx::JobCancelled&) {
    }
  }

  taskctx::JobPool& pool_;
  Ledger& ledger_;
};

inline Work::Work(Soak& soak, std::mt19937_64& random, int depth)
    : soak_(&soak), kind_(random() % 32), seed_(random()), depth_(depth), ticket_(soak.ledger()) {}

inline int Work::operator()() {
  ticket_.run();
  number.set(seed_);
  Ledger& ledger = soak_->ledger();
  if (kind_ == 0) {
    throw Thrown();
  }
  if (kind_ == 1) {
    throw taskctx::JobCancelled("by itself");
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

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_SOAK_H_
