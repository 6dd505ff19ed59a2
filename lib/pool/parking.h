// SPDX-License-Identifier: Apache-2.0
//
// The places where threads wait that std::atomic::wait can't serve: for a job, but only until a
// deadline; or as helpers, for a job that depends on others, while there may be something to run.

#ifndef TASKCTX_LIB_POOL_PARKING_H_
#define TASKCTX_LIB_POOL_PARKING_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "taskctx/deadline.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What the parked helpers wait on.
struct HelpersSpot {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t news = 0;  // Guarded by mutex: counts the events that may have given somebody work.
};
HelpersSpot& helpers_spot() noexcept;

// Blocks until `job`, whose kAwaited is set, has ended; or returns false at `deadline`, and when
// `watch`, if there is one, has news.
bool park(const JobState* job, Deadline deadline, const CancelWatch* watch);

// Wakes the threads that wait for `job`, which has ended.
void unpark(const JobState* job) noexcept;

// Counts the threads that wait until there may be something to help with.
inline std::atomic<int>& parked_helpers() noexcept { return process_wide().parked_helpers; }

// Wakes the threads that could help: a job can continue, or has begun to wait for another. Called
// after that can be seen with the lock of the job's lane. So a thread that counted itself, and then
// found nothing with that lock, is seen here.
void unpark_all_helpers() noexcept;
inline void unpark_helpers() noexcept {
  if (parked_helpers().load(std::memory_order_acquire) != 0) [[unlikely]] {
    unpark_all_helpers();
  }
}

// For a fork: so that the child finds nothing half done.
void lock_spots() noexcept;
void unlock_spots(bool is_child) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_PARKING_H_
