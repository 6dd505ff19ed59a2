// SPDX-License-Identifier: Apache-2.0
//
// What happens with a lane's lock, for code outside of pool_core.cc. Apart from pool_core.h, since
// the lock is oneTBB's, and job.h does without its headers.

#ifndef TASKCTX_INTERNAL_POOL_POOL_LANES_H_
#define TASKCTX_INTERNAL_POOL_POOL_LANES_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

inline NodeRef PoolCore::take_out(JobState* job, std::uint32_t how, std::optional<NodeRef> left,
                                  bool keeps_context) noexcept {
  Lane& lane = lanes_[job->lane];
  const LaneLock lock(lane);
  lane.running.erase(job);
  job->stage = Stage::ended;
  ++(how == 0                          ? lane.succeeded
     : how == JobState::kFailed        ? lane.failed
     : (how & JobState::kExpired) != 0 ? lane.expired
                                       : lane.cancelled);
  return job->settle_context(lock, std::move(left), keeps_context);
}

template <typename Leave>
bool PoolCore::end_share(JobState* job, Leave leave) noexcept {
  const LaneLock lock(lane_of(job));
  const auto [has_more, is_last] = leave(lock);
  if (!has_more && job->stage == Stage::queued) {
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
