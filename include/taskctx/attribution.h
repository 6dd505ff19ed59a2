// SPDX-License-Identifier: Apache-2.0
//
// Attribution: which request used the pool? Time in the queue and CPU time of a pool's jobs, summed
// up for each value of a variable.
//
//   taskctx::Attribution<std::string> account{request_id};
//   taskctx::JobPool pool{{.attribution = account}};
//   ...
//   for (const auto& [request, usage] : account.totals()) {
//     log(request.value_or("none"), usage.jobs, usage.queue_wait, usage.cpu_time);
//   }
//
// Threads:  all calls are thread-safe.
// Lifetime: a copy is the same account; the pool keeps one. The variable must outlive the pool.
// Cost:     some 2 microseconds per job (two readings of the thread's CPU clock); nothing in pools
//           without an account.
//
// A job counts for the value that its context had when it began. CPU time is that of the threads
// that run jobs: what other threads do for a job's parallel loops is not measured.

#ifndef TASKCTX_ATTRIBUTION_H_
#define TASKCTX_ATTRIBUTION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/accountant.h"

namespace taskctx {
inline namespace v1 {

// The usage of all jobs with one value.
struct PoolUsage {
  std::uint64_t jobs = 0;       // Begun and ended; a bulk is one.
  absl::Duration queue_wait{};  // Between submission and beginning.
  absl::Duration cpu_time{};
};

// T must be copyable and have operator<. Both are called with the account locked: they must not use
// it, nor wait for a job.
template <typename T>
class Attribution {
 public:
  // The sums by value; std::nullopt stands for jobs in whose context the variable was not set.
  using Totals = std::map<std::optional<T>, PoolUsage>;

  // Makes an empty account. It may serve several pools.
  explicit Attribution(const ContextVar<T>& variable) : sums_(std::make_shared<Sums>(variable)) {}

  // Returns a copy of the sums. A job is in it once it has ended. O(values).
  //
  //   absl::Duration waited = account.totals()["r-1"].queue_wait;
  [[nodiscard]] Totals totals() const {
    const std::lock_guard lock(sums_->mutex);
    return sums_->totals;
  }

  // Returns the sums, and resets them to zero. O(1).
  //
  //   for (const auto& [request, usage] : account.take()) export_metrics(request, usage);
  [[nodiscard]] Totals take() {
    const std::lock_guard lock(sums_->mutex);
    return std::exchange(sums_->totals, Totals());
  }

  // Converts to what JobPoolOptions::attribution takes.
  operator std::shared_ptr<internal::Accountant>() const noexcept {  // NOLINT: meant to be implicit
    return sums_;
  }

 private:
  struct Sums final : internal::Accountant {
    explicit Sums(const ContextVar<T>& of) : variable(of) {}

    void record(internal::Node* context, bool is_first, std::int64_t waited,
                std::int64_t used) noexcept override {
      const Context snapshot = internal::ContextAccess::make(internal::NodeRef::share(context));
      const T* value = snapshot.find(variable);
      try {
        std::optional<T> key = value != nullptr ? std::optional<T>(*value) : std::nullopt;
        const PoolUsage more{.jobs = std::uint64_t{is_first},
                             .queue_wait = absl::Nanoseconds(waited),
                             .cpu_time = absl::Nanoseconds(used)};
        if (!add_to_known(key, more)) {
          Totals fresh;  // Nothing is allocated under the lock.
          fresh.try_emplace(std::move(key));
          auto node = fresh.extract(fresh.begin());
          decltype(totals.insert(std::move(node))) added;
          const std::lock_guard lock(mutex);
          added = totals.insert(std::move(node));
          add(added.position->second, more);
        }
      } catch (...) {  // No memory for a new value, or it can't be copied: this job is not counted.
      }
    }

    static void add(PoolUsage& sum, const PoolUsage& more) noexcept {
      sum.jobs += more.jobs;
      sum.queue_wait += more.queue_wait;
      sum.cpu_time += more.cpu_time;
    }
    bool add_to_known(const std::optional<T>& key, const PoolUsage& more) {
      const std::lock_guard lock(mutex);
      const auto known = totals.find(key);
      if (known == totals.end()) {
        return false;
      }
      add(known->second, more);
      return true;
    }

    void lock() noexcept override { mutex.lock(); }
    void unlock() noexcept override { mutex.unlock(); }

    const ContextVar<T>& variable;
    std::mutex mutex;
    Totals totals;
  };

  std::shared_ptr<Sums> sums_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_ATTRIBUTION_H_
