// SPDX-License-Identifier: Apache-2.0
//
// BlockedWait: a thread that blocks for a job without a deadline, and is at work in one itself.
//
//   const BlockedWait wait(target);  // throws JobError if it would never end
//   ... block ...
//
// A thread that closes a circle of such waits finds that out, also if continuations and coroutines
// that wait are between them: all others stand still, so it is no less true a moment later. The
// search ends after 64 jobs, and needs no memory.

#ifndef TASKCTX_LIB_POOL_BLOCKED_WAIT_H_
#define TASKCTX_LIB_POOL_BLOCKED_WAIT_H_

#include <array>
#include <cstddef>
#include <mutex>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class BlockedWait final : private Missing {
 public:
  explicit BlockedWait(JobState& target);
  BlockedWait(const BlockedWait&) = delete;
  BlockedWait& operator=(const BlockedWait&) = delete;
  ~BlockedWait();

 private:
  bool closes_circle(const std::lock_guard<std::mutex>& lock) noexcept;
  void add(const LaneLock& lock, JobState* job, bool is_choice) noexcept override;
  void look_at(JobState* job) noexcept;

  JobState& target_;
  const Activation* const waiter_;
  BlockedWait* next_ = nullptr;  // In the list of all.
  BlockedWait* previous_ = nullptr;
  std::array<JobState*, 64> found_;  // What the target waits for; not all of it set.
  std::size_t count_ = 0;
};

// For a fork. The lock is taken before those of lanes.
void lock_blocked_waits() noexcept;
void unlock_blocked_waits(bool is_child) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_BLOCKED_WAIT_H_
