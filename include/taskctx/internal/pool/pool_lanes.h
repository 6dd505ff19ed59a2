// SPDX-License-Identifier: Apache-2.0
//
// Calls with a lane's lock, for code outside of PoolCore. Apart from pool_core.h, since the lock is
// oneTBB's, and job.h does without its headers.

#ifndef TASKCTX_INTERNAL_POOL_POOL_LANES_H_
#define TASKCTX_INTERNAL_POOL_POOL_LANES_H_

#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename Leave>
bool PoolCore::end_share(JobState* job, Leave leave) noexcept {
  const LaneLock lock(lane_of(job));
  const auto [has_more, is_last] = leave(lock);
  if (!has_more && job->stage_ == Stage::queued) {
    erase_queued(lock, job);
    push_running(lock, job);
  }
  return is_last;
}

template <typename F>
auto PoolCore::locked(const JobState* job, F change) {
  const LaneLock lock(lane_of(job));
  return change(lock);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_POOL_LANES_H_
