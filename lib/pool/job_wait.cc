// SPDX-License-Identifier: Apache-2.0
//
// How a thread waits for a job: it helps, that is runs what nobody has begun of the job and of what
// that waits for; where there is nothing to help with, it blocks.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/cancel/timed_wait.h"
#include "lib/pool/blocked_wait.h"
#include "lib/pool/cancel_watch.h"
#include "lib/pool/ledger.h"
#include "lib/pool/parking.h"
#include "lib/pool/pool_registry.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

bool JobState::block(Deadline deadline, CancelWatch* watch) {
  const BlockedThread blocked;
  if (!deadline.is_never() || watch != nullptr) {
    // Pairs with finish(): either that sees kAwaited, and unparks us, or we see kDone.
    if ((bits_.fetch_or(kAwaited, std::memory_order_acq_rel) & kDone) != 0) {
      return true;
    }
    return park(this, deadline, watch);
  }
  // Likewise; acquires the result. Each turn waits for a change of the bits that it has seen.
  std::uint64_t state = bits_.fetch_or(kBlocked, std::memory_order_acq_rel) | kBlocked;
  while ((state & kDone) == 0) {
    bits_.wait(state, std::memory_order_acquire);  // Pairs with finish(), and unblock().
    state = bits_.load(std::memory_order_acquire);
  }
  return true;
}

void JobState::unblock() noexcept { bits_.notify_all(); }

void JobState::check_waiter() const {
  // (In a forked process all coroutines are told to stop: see PoolCore::unlock().)
  if (is_stopping() && !pool()->is_forked()) {
    throw_cancelled("wait for job" + quoted_name());
  }
}

// What a thread does that waits in a job for another one, most of the time.
bool JobState::run_for_waiter() {
  PoolCore* const core = pool();
  Ledger* ledger = Ledger::here();
  if (ledger == nullptr || ledger->pool() != core) {
    ledger = nullptr;
    if (current_activation()->origin.executor() != core) {
      return false;
    }
  }
  if (!core->try_begin(this)) {
    return false;
  }
  // The ends of other jobs see nothing of the one that waits here.
  const Installed at_work(&empty_node, Origin::pool(core));
  PoolCore::perform_apart(this, ledger);
  return is_done();  // A coroutine may not be.
}

bool JobState::wait_slowly(Deadline deadline, bool may_stop) {
  if (has_thrown()) {
    forget_what_was_thrown();
  }
  pool()->check_not_forked("wait for job", name());
  end_if_over();
  CancelWatch watched(*this, current_activation()->origin.whose());
  CancelWatch* const watch = may_stop && watched.is_needed() ? &watched : nullptr;
  if (current_activation()->origin.job() == this) {
    throw_circle(*this, *this);
  }
  BlockedWait wait(*this);
  auto* here = static_cast<PoolCore*>(current_activation()->origin.executor());
  if (here == nullptr && pool()->is_in_arena()) {
    here = pool();  // A plain task of oneTBB's, in the pool's arena: this is one of its threads.
  }
  if (here != nullptr) {
    help(here, deadline, wait, watch);
    if (is_done()) {
      return true;
    }
    pool()->check_not_forked("wait for job", name());  // What we have run may have forked.
  }
  if (deadline.is_never()) {
    bits_.fetch_or(kBlocked, std::memory_order_seq_cst);  // See blocked_wait.cc.
    wait.begin();
  }
  if (watch != nullptr) {
    watch->arm();
  }
  while (!block(deadline, watch)) {
    if (watch != nullptr && watch->is_waiter_stopping()) {
      throw_cancelled("wait for job" + quoted_name());
    }
    if (watch == nullptr || !watch->take_news_of_target()) {
      return false;
    }
    end_if_over();
  }
  return true;
}

std::exception_ptr JobState::wait_to_the_end() {
  std::exception_ptr error;
  while (!is_done()) {
    try {
      (void)wait_slowly(Deadline(), /*may_stop=*/false);  // The job itself sees that it is to stop.
    } catch (const JobError&) {
      error = std::current_exception();
      if (pool()->is_forked()) {
        break;
      }
      (void)cancel();
    }
  }
  return error;
}

// Helps one waiting thread. Needs memory to look at what the target waits for; where there is none,
// it looks again a little later.
class Helper final : private Missing {
 public:
  Helper(JobState& target, PoolCore* here, BlockedWait& wait, CancelWatch* watch) noexcept
      : target_(target), here_(here), wait_(wait), watch_(watch) {}
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() {
    if (is_parked_) {
      parked_helpers().fetch_sub(1, std::memory_order_relaxed);
    }
  }

  void help(Deadline deadline) {
    // The waiting thread has a handle, so performing it is not the end of the target.
    while (!target_.is_done() && !is_to_return()) {  // NOLINT(clang-analyzer-cplusplus.NewDelete)
      const PoolCore::Found found = PoolCore::begin_or_look(&target_, here_, *this);
      if (found == PoolCore::Found::nothing) {
        return;
      }
      if (found == PoolCore::Found::begun) {
        PoolCore::perform_apart(&target_);  // Once more if it is a bulk.
        if (target_.pool()->is_forked()) [[unlikely]] {
          return;
        }
      } else {
        return help_what_it_waits_for(deadline);
      }
    }
  }

 private:
  struct Step {
    HeldJob job;
    bool is_expanded = false;
  };

  [[nodiscard]] bool is_to_return() const noexcept {
    return watch_ != nullptr && (watch_->has_news() || watch_->is_waiter_stopping());
  }

  void help_what_it_waits_for(Deadline deadline) {
    HelpersSpot& spot = helpers_spot();
    if (watch_ != nullptr) {
      watch_->arm();
    }
    // Counted before we look: a thread that makes a job ready after that wakes us. Pairs with
    // unpark_helpers().
    parked_helpers().fetch_add(1, std::memory_order_acq_rel);
    is_parked_ = true;
    while (true) {
      std::uint64_t news = 0;
      {
        const std::lock_guard lock(spot.mutex);
        news = spot.news;
      }
      if (target_.pool()->is_forked() || is_to_return()) {
        return;
      }
      lacks_memory_ = false;
      if (run_something()) {
        continue;
      }
      if (!is_waiting_ && !lacks_memory_) {
        return;  // Done, or somebody else runs it.
      }
      // seq_cst for the search for circles (blocked_wait.cc).
      target_.bits_.fetch_or(JobState::kAwaited, std::memory_order_seq_cst);
      if (deadline.is_never()) {
        wait_.begin();
      }
      const BlockedThread blocked;
      std::unique_lock lock(spot.mutex);
      if (lacks_memory_) {
        (void)wait_on(spot.changed, lock, Deadline::after(absl::Milliseconds(1)));
        if (deadline.has_passed()) {
          return;
        }
        continue;
      }
      while (spot.news == news && !target_.is_done() &&
             (watch_ == nullptr || !watch_->has_news())) {
        if (!wait_on(spot.changed, lock, deadline)) {
          return;
        }
      }
    }
  }

  // Visits what the target waits for, depth first, and runs what can be run. No recursion: chains
  // of continuations may be long.
  bool run_something() noexcept {
    bool has_run = false;
    try {
      std::unordered_set<const JobState*> seen{&target_};
      std::vector<Step> path;
      path.push_back({HeldJob(&target_)});
      while (!path.empty()) {
        JobState* const job = path.back().job.get();
        const PoolCore::Found found = look(job);
        if (found == PoolCore::Found::begun) {
          PoolCore::perform_apart(job);
          has_run = true;
          if (target_.pool()->is_forked()) {
            break;
          }
          continue;  // Once more, if it is a bulk.
        }
        is_waiting_ = found == PoolCore::Found::missing;
        if (is_waiting_ && !path.back().is_expanded) {
          path.back().is_expanded = true;
          for (HeldJob& other : missing_) {
            if (!other->is_done() && seen.insert(other.get()).second) {
              path.push_back({std::move(other)});
            }
          }
          missing_.clear();
        } else {
          path.pop_back();
        }
      }
    } catch (const std::bad_alloc&) {
      lacks_memory_ = true;
    }
    return has_run;
  }

  // Looks at a job, and fills missing_. Throws std::bad_alloc.
  PoolCore::Found look(JobState* job) {
    while (true) {
      missing_.clear();
      left_out_ = 0;
      const PoolCore::Found found = PoolCore::begin_or_look(job, here_, *this);
      if (found != PoolCore::Found::missing || left_out_ == 0) {
        return found;
      }
      missing_.reserve(missing_.size() + left_out_);  // Not with the lock.
    }
  }
  void add(const LaneLock& /*lock*/, JobState* job, bool /*is_choice*/) noexcept override {
    if (missing_.size() < missing_.capacity()) {
      missing_.emplace_back(job);
    } else {
      ++left_out_;
    }
  }

  bool is_parked_ = false;
  bool is_waiting_ = false;    // After run_something(): the target, which it looked at last.
  bool lacks_memory_ = false;  // It did not look at all.
  std::vector<HeldJob> missing_;
  std::size_t left_out_ = 0;
  JobState& target_;
  PoolCore* const here_;
  BlockedWait& wait_;
  CancelWatch* const watch_;  // nullptr if the wait ends early for nothing.
};

void JobState::help(PoolCore* here, Deadline deadline) {
  BlockedWait wait(*this);
  help(here, deadline, wait, /*watch=*/nullptr);
}

void JobState::help(PoolCore* here, Deadline deadline, BlockedWait& wait, CancelWatch* watch) {
  // The ends of other jobs see nothing of the one that waits here.
  const Installed at_work(&empty_node, Origin::pool(here));
  Helper(*this, here, wait, watch).help(deadline);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
