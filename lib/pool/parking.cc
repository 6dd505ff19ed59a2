// SPDX-License-Identifier: Apache-2.0
//
// The spots where threads park, and how they are woken.

#include "lib/pool/parking.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>

#include "lib/cancel/timed_wait.h"
#include "lib/pool/cancel_watch.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

struct Spot {
  std::mutex mutex;
  std::condition_variable changed;
};
// Fewer than 64 with all other locks that fork() takes: ThreadSanitizer keeps books of no more.
struct Spots {
  std::array<Spot, 32> of_jobs;
  HelpersSpot of_helpers;
};

// Never destroyed: threads may wait until the very end of the program. Needs no memory.
Spots& all_spots() noexcept {
  alignas(Spots) static std::byte place[sizeof(Spots)];
  static Spots& spots =
      first_of_copies(process_wide().parking, *::new (static_cast<void*>(place)) Spots);
  return spots;
}

Spot& spot_of(const JobState* job) noexcept {
  auto& spots = all_spots().of_jobs;
  return spots[(reinterpret_cast<std::uintptr_t>(job) >> 6) % spots.size()];
}

}  // namespace

HelpersSpot& helpers_spot() noexcept { return all_spots().of_helpers; }

bool park(const JobState* job, Deadline deadline, const CancelWatch* watch) {
  Spot& spot = spot_of(job);
  std::unique_lock lock(spot.mutex);
  while (!job->is_done()) {
    if (watch != nullptr && watch->has_news()) {
      return false;
    }
    if (!wait_on(spot.changed, lock, deadline) && !job->is_done()) {
      return false;
    }
  }
  return true;
}

// Without the lock of the link: fork takes the spots' locks first.
void CancelWatch::Listener::fire() noexcept {
  has_fired_.store(true, std::memory_order_release);  // Pairs with has_fired().
  unpark(&job_);
}

void unpark(const JobState* job) noexcept {
  Spot& spot = spot_of(job);
  {
    const std::lock_guard lock(spot.mutex);  // A thread that saw it unfinished waits by now.
  }
  spot.changed.notify_all();
  unpark_helpers();
}

void unpark_all_helpers() noexcept {
  HelpersSpot& spot = helpers_spot();
  {
    const std::lock_guard lock(spot.mutex);
    ++spot.news;
  }
  spot.changed.notify_all();
}

void lock_spots() noexcept {
  Spots& spots = all_spots();
  spots.of_helpers.mutex.lock();
  for (Spot& spot : spots.of_jobs) {
    spot.mutex.lock();
  }
}

void unlock_spots(bool is_child) noexcept {
  Spots& spots = all_spots();
  const auto unlock = [is_child](auto& spot) {
    if (is_child) {
      renew(spot.changed);
    }
    spot.mutex.unlock();
  };
  for (Spot& spot : spots.of_jobs) {
    unlock(spot);
  }
  unlock(spots.of_helpers);
  if (is_child) {
    parked_helpers().store(0, std::memory_order_relaxed);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
