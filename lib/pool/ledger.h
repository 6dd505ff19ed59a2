// SPDX-License-Identifier: Apache-2.0
//
// Ledger: what the code of a running job counts for itself, instead of in places to which other
// threads write, too: references to its link, which the jobs that it creates take, and jobs of its
// pool that are over, as it has run them while it waited, or are no more. And it keeps the memory
// of one job, for the next that this code submits.
//
//   Ledger ledger(job);                     // in JobState::run()
//   const Ledger::Open open(ledger);        // while the job's code runs
//   if (Ledger* const mine = Ledger::here(); mine != nullptr) ...  // called by that code, below
//
// Only code right in the job finds it, not a leaf of a loop, nor code inside another guard: so one
// thread at a time uses it, the one that runs the job.

#ifndef TASKCTX_LIB_POOL_LEDGER_H_
#define TASKCTX_LIB_POOL_LEDGER_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// AddressSanitizer sees the use of a dead job only if its memory goes back to it.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kKeepsMemory = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kKeepsMemory = false;
#else
inline constexpr bool kKeepsMemory = true;
#endif
#else
inline constexpr bool kKeepsMemory = true;
#endif

class Ledger {
 public:
  // The caller has just put the job's context in place.
  explicit Ledger(JobState& job) noexcept : job_(job), where_(current_activation()) {}
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  // Settles.
  ~Ledger() {
    if (links_ != 0) {
      job_.link_.load(std::memory_order_relaxed)->drop_refs(links_);
    }
    if (over_ != 0) {
      job_.pool()->count_over(job_.lane, over_);
    }
    if (gone_ != 0) {
      job_.pool()->let_go(job_.lane, gone_);
    }
    if (memory_ != nullptr) {
      ::operator delete(memory_);
    }
  }

  // As long as it is there, here() finds the ledger.
  class Open {
   public:
    explicit Open(Ledger& ledger) noexcept : job_(ledger.job_) {
      job_.outcome_.error.~exception_ptr();  // There is none.
      job_.outcome_.ledger = &ledger;
      job_.has_ledger = true;
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    ~Open() {
      job_.has_ledger = false;
      ::new (&job_.outcome_.error) std::exception_ptr();
    }

   private:
    JobState& job_;
  };

  // Returns that of the job whose code calls this, or nullptr.
  static Ledger* here() noexcept {
    const Activation* const activation = current_activation();
    Origin origin = activation->origin;
    while (const Frame* const frame = origin.tagged_frame()) {  // A scope's, in this job.
      origin = frame->outer;
    }
    const auto* const job = static_cast<const JobState*>(origin.tagged_job());
    return job != nullptr && job->has_ledger && job->outcome_.ledger->where_ == activation
               ? job->outcome_.ledger
               : nullptr;
  }

  // Does what capture_link() does, for the code that has found the ledger.
  LinkRef take_link() {
    if (const Frame* const frame = where_->origin.tagged_frame(); frame != nullptr) {
      Link* const scope = frame->whose.link();
      return scope != nullptr ? LinkRef::share(scope) : capture_link();
    }
    if (job_.is_ending()) {
      return {};
    }
    Link* const link = job_.link();
    if (links_ == 0) {  // A few more each time: all that are left are given back at once.
      link->add_refs(more_links_);
      links_ = more_links_;
      more_links_ = std::min(2 * more_links_, kMostLinks);
    }
    --links_;
    return LinkRef::adopt(link);
  }
  // Takes such a reference back. Returns whether it was one.
  bool give_link(const Link* link) noexcept {
    const bool is_mine = link != nullptr && link == job_.link_.load(std::memory_order_relaxed);
    links_ += is_mine ? 1 : 0;
    return is_mine;
  }

  [[nodiscard]] const PoolCore* pool() const noexcept { return job_.pool(); }
  // Counts a job of this pool as over. (The pool is not quiet before the ledger's own job is.)
  void count_over() noexcept { ++over_; }
  // Counts a job of `pool` that is no more. Returns false if that is another one.
  bool count_gone(const PoolCore* pool) noexcept {
    const bool is_mine = pool == job_.pool();
    gone_ += is_mine ? 1 : 0;
    return is_mine;
  }

  // Returns what give_memory() has taken, if it has this size, or nullptr.
  void* take_memory(std::size_t size) noexcept {
    return size == size_ ? std::exchange(memory_, nullptr) : nullptr;
  }
  // Returns false if there is no room for it.
  bool give_memory(void* memory, std::size_t size) noexcept {
    if (!kKeepsMemory || memory_ != nullptr) {
      return false;
    }
    memory_ = memory;
    size_ = size;
    return true;
  }

 private:
  static constexpr std::uint32_t kMostLinks = 64;

  JobState& job_;
  const Activation* const where_;
  std::uint32_t links_ = 0;
  std::uint32_t more_links_ = 1;
  std::uint64_t over_ = 0;
  std::uint64_t gone_ = 0;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_LEDGER_H_
