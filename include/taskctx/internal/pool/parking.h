// SPDX-License-Identifier: Apache-2.0
//
// Where threads wait that std::atomic::wait can't serve: for a job, but no longer than until some
// time; or for a job that depends on others, while there may be something to help with.

#ifndef TASKCTX_INTERNAL_POOL_PARKING_H_
#define TASKCTX_INTERNAL_POOL_PARKING_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>

#include "taskctx/deadline.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns when, on the monotonic clock, to see again whether `deadline` has passed.
Deadline next_look(Deadline deadline) noexcept;

// Waits until `changed` is notified, or something like that, or until `deadline` with false.
bool wait_on(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
             Deadline deadline);

// Blocks until `job`, whose kAwaited is set, has ended, or until `deadline`.
bool park(const JobState* job, Deadline deadline);

// Wakes those who wait for `job`, which has ended.
void unpark(const JobState* job) noexcept;

// Counts the threads that wait until there may be something to help with.
inline std::atomic<int>& parked_helpers() noexcept { return process_wide().parked_helpers; }

// Wakes those who could help: a job can go on, or has begun to wait for another. Called after that
// can be seen with the lock of the job's lane: who has counted itself, and then found nothing with
// that lock, is seen here.
void unpark_all_helpers() noexcept;
inline void unpark_helpers() noexcept {
  if (parked_helpers().load(std::memory_order_acquire) != 0) [[unlikely]] {
    unpark_all_helpers();
  }
}

// Makes a condition variable anew: in a forked process, where those who wait on it are not.
inline void renew(std::condition_variable& changed) noexcept {
  ::new (static_cast<void*>(std::addressof(changed))) std::condition_variable;
}

// For a fork: so that the child finds nothing half done.
void lock_spots() noexcept;
void unlock_spots(bool is_child) noexcept;

// Runs, on this thread, which is at work in the pool `here`, what nobody has begun of `target` and
// of what it waits for. Returns when it is done, when somebody else runs it, or at `deadline`.
void help(JobState& target, PoolCore* here, Deadline deadline);

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_PARKING_H_
