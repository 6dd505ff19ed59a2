// SPDX-License-Identifier: Apache-2.0
//
// The list of all waits that block a thread of a job, and the search for a circle among them.

#include "lib/pool/blocked_wait.h"

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>

#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

struct Waits {
  std::mutex mutex;
  BlockedWait* first = nullptr;  // Guarded by mutex, with the links of the list.
};

// Never destroyed: threads may wait until the very end of the program.
Waits& all_waits() noexcept {
  alignas(Waits) static std::byte place[sizeof(Waits)];
  static Waits& waits =
      first_of_copies(process_wide().blocked_waits, *::new (static_cast<void*>(place)) Waits);
  return waits;
}

}  // namespace

BlockedWait::BlockedWait(JobState& target) : target_(target), waiter_(current_activation()) {
  bool is_circle = false;
  {
    Waits& waits = all_waits();
    const std::lock_guard lock(waits.mutex);
    is_circle = closes_circle(lock);
    if (!is_circle) {
      next_ = std::exchange(waits.first, this);
      if (next_ != nullptr) {
        next_->previous_ = this;
      }
    }
  }
  for (std::size_t i = 0; i < count_; ++i) {  // Not with the lock: it may be the job's end.
    found_[i]->release();
  }
  if (is_circle) {
    target_.throw_waits_for_itself();
  }
}

BlockedWait::~BlockedWait() {
  Waits& waits = all_waits();
  const std::lock_guard lock(waits.mutex);
  (previous_ != nullptr ? previous_->next_ : waits.first) = next_;
  if (next_ != nullptr) {
    next_->previous_ = previous_;
  }
}

bool BlockedWait::closes_circle(const std::lock_guard<std::mutex>& /*lock*/) noexcept {
  look_at(&target_);
  for (std::size_t i = 0; i < count_; ++i) {
    JobState* const job = found_[i];
    if (job->is_done()) {
      continue;
    }
    if (is_at_work_for(job, waiter_)) {
      return true;
    }
    for (const BlockedWait* wait = all_waits().first; wait != nullptr; wait = wait->next_) {
      if (is_at_work_for(job, wait->waiter_)) {
        look_at(&wait->target_);
      }
    }
    (void)PoolCore::begin_or_look(job, /*here=*/nullptr, *this);  // Begins nothing.
  }
  return false;
}

void BlockedWait::add(const LaneLock& /*lock*/, JobState* job, bool is_choice) noexcept {
  if (!is_choice) {
    look_at(job);
  }
}

void BlockedWait::look_at(JobState* job) noexcept {
  const auto end = found_.begin() + static_cast<std::ptrdiff_t>(count_);
  if (end != found_.end() && std::find(found_.begin(), end, job) == end) {
    job->add_ref();
    found_[count_++] = job;
  }
}

void lock_blocked_waits() noexcept { all_waits().mutex.lock(); }

void unlock_blocked_waits(bool is_child) noexcept {
  Waits& waits = all_waits();
  if (is_child) {
    waits.first = nullptr;  // The thread that forks does not wait.
  }
  waits.mutex.unlock();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
