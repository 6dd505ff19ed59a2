// SPDX-License-Identifier: Apache-2.0
//
// Every place where user code can run, so that a call can be tried in each of them.
//
//   for (const Place& place : places()) {
//     Visit visit([&](JobPool& pool) { pool.submit([] {}).get(); });
//     EXPECT_EQ(visit.at(place, /*threads=*/1), "returns");   // or the exception's type
//   }
//
// A visit runs its scenario once, in a fresh pool, at that place: in a job, a leaf, a destructor, a
// handler ... What hangs is ended by a watchdog, which names scenario, place and threads.

#ifndef TASKCTX_TESTS_EVERYWHERE_H_
#define TASKCTX_TESTS_EVERYWHERE_H_

#include <atomic>
#include <functional>
#include <latch>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/errors.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "tests/fuse.h"
#include "tests/support.h"

namespace taskctx_test {

class Visit;

struct Place {
  std::string name;
  // Whether code there counts as at work in the pool: its waiting helps, and it can't drain.
  bool is_in_pool;
  // Calls `visit` once at that place of `pool`. May return before that has happened.
  void (*run)(taskctx::JobPool& pool, Visit& visit);
  // Changes what the pool is made with; nullptr for nothing.
  void (*prepare)(taskctx::JobPoolOptions& options, Visit& visit) = nullptr;
};

// All of them but the end of the program, which needs a process of its own.
const std::vector<Place>& places();

// One run of a scenario at a place.
class Visit {
 public:
  using Scenario = std::function<void(taskctx::JobPool& pool)>;

  explicit Visit(Scenario scenario) : scenario_(std::move(scenario)) {}
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  // Lets the scenario's n-th allocation fail.
  void let_fail(int n) { fails_at_ = n; }
  // Tells whether there was one.
  [[nodiscard]] bool has_failed() const { return has_failed_; }

  // Runs the scenario in a pool of its own. Returns "returns", or the type of the exception that
  // came out of the scenario; checks that the pool still works.
  std::string at(const Place& place, int threads, taskctx::JobPoolOptions options = {}) {
    const Watchdog watchdog(place.name + " with " + std::to_string(threads) + " threads");
    options.concurrency = threads;
    if (place.prepare != nullptr) {
      place.prepare(options, *this);
    }
    std::string result;
    {
      taskctx::JobPool pool(std::move(options));
      result = in(pool, place);
      if (pool.submit([] { return 1; }).get() != 1) {
        result += ", and the pool does not work any more";
      }
    }
    return result;
  }

  // Runs the scenario in a pool that was made with the place's options.
  std::string in(taskctx::JobPool& pool, const Place& place) {
    pool_ = &pool;
    place.run(pool, *this);
    over_.wait();
    return outcome_;
  }

  // Runs the scenario here, if it has not been run. The place calls this.
  void operator()() noexcept {
    if (has_begun_.exchange(true)) {
      return;
    }
    if (fails_at_) {
      allocations.arm(*fails_at_);
    }
    try {
      scenario_(*pool_);
      has_failed_ = allocations.disarm();
      outcome_ = "returns";
    } catch (...) {
      has_failed_ = allocations.disarm();
      outcome_ = name_of_current_exception();
    }
    over_.count_down();
  }

 private:
  static std::string name_of_current_exception() {
    try {
      throw;
    } catch (const taskctx::JobError& error) {
      return "JobError";
    } catch (const taskctx::JobCancelled&) {
      return "JobCancelled";
    } catch (const taskctx::JobRejected&) {
      return "JobRejected";
    } catch (const std::bad_alloc&) {
      return "bad_alloc";
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "something";
    }
  }

  const Scenario scenario_;
  taskctx::JobPool* pool_ = nullptr;
  std::optional<int> fails_at_;
  std::atomic<bool> has_begun_{false};
  bool has_failed_ = false;
  std::string outcome_;
  std::latch over_{1};
};

// Visits when it is destroyed, or by a copy of the last owner's.
struct VisitAtEnd {
  explicit VisitAtEnd(Visit& to_make) : visit(&to_make) {}
  VisitAtEnd(VisitAtEnd&& other) noexcept : visit(std::exchange(other.visit, nullptr)) {}
  VisitAtEnd& operator=(VisitAtEnd&&) = delete;
  ~VisitAtEnd() {
    if (visit != nullptr) {
      (*visit)();
    }
  }

  Visit* visit;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_EVERYWHERE_H_
