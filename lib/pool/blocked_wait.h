// SPDX-License-Identifier: Apache-2.0
//
// BlockedWait: a thread that blocks for a job without a deadline, and is at work in one itself.
// break_circle(): a coroutine that has been suspended until a job ends.
//
//   BlockedWait wait(target);
//   ... help ...
//   wait.begin();  // throws JobError if it would never end
//   ... block ...
//
// Whoever closes a circle of such waits finds that out, also if continuations are in it: all others
// stand still, so it is no less true a moment later. Other waits have an end of their own, or are
// for the first of several jobs: no circle has them.

#ifndef TASKCTX_LIB_POOL_BLOCKED_WAIT_H_
#define TASKCTX_LIB_POOL_BLOCKED_WAIT_H_

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class BlockedWait final {
 public:
  explicit BlockedWait(JobState& target) noexcept
      : target_(target), inside_(current_activation()) {}
  BlockedWait(const BlockedWait&) = delete;
  BlockedWait& operator=(const BlockedWait&) = delete;
  ~BlockedWait() {
    if (is_linked_) {
      unlink();
    }
  }

  // Says, from now until this object's end, that the thread waits for the target, whatever it does
  // meanwhile. The caller has set kBlocked or kAwaited there. Does nothing if it has begun already,
  // and outside of jobs. O(jobs that the target waits for). Throws JobError, and std::bad_alloc if
  // there is no memory for the message.
  void begin();

 private:
  friend class CircleSearch;

  void link() noexcept;
  void unlink() noexcept;

  JobState& target_;
  const Activation* const inside_;  // Where the thread is, and the job that it is there for.
  const Workplace* waiter_ = nullptr;
  bool is_nested_ = false;  // Other jobs are below that one on the thread's stack.
  bool is_linked_ = false;
  BlockedWait* next_ = nullptr;  // In the list of those whose waiter has the same hash.
  BlockedWait* previous_ = nullptr;
  BlockedWait* next_nested_ = nullptr;  // In the list of those that are nested.
  BlockedWait* previous_nested_ = nullptr;
};

// Lets a coroutine that waits for `awaited` resume with an error if that closes a circle. Takes
// over the references of PoolCore::suspend(). O(jobs that it waits for).
void break_circle(JobState* job, JobState* awaited) noexcept;

// Throws the JobError that says that `job` would wait for itself by waiting for `target`, and names
// all jobs of the circle, from `target` to `job`.
[[noreturn]] void throw_circle(JobState& job, JobState& target);

// For a fork. The lock is taken before those of lanes.
void lock_blocked_waits() noexcept;
void unlock_blocked_waits(bool is_child) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_BLOCKED_WAIT_H_
