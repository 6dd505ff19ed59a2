// SPDX-License-Identifier: Apache-2.0
//
// A pool at the end of its process, and in a process that was forked.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>

#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/parking.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/job_stats.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

void report_loss(const std::string& message) noexcept {
  report_misuse({.message = message, .variable = {}, .is_warning = true});
}

bool PoolCore::has_only_calls() noexcept {
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[i];
    const std::lock_guard lock(lane.mutex);
    for (const JobList* list : {&lane.queued, &lane.waiting, &lane.running}) {
      for (const JobState* job = list->front(); job != nullptr; job = JobList::after(job)) {
        if ((job->bits() & JobState::kCall) == 0) {
          return false;
        }
      }
    }
  }
  return true;
}

void PoolCore::drain_at_exit() noexcept {
  const auto count = [this] {
    std::uint64_t ended = 0;
    for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
      ended += lanes_[i].ended.load(std::memory_order_relaxed);
    }
    return ended;
  };
  std::uint64_t ended = count();
  Deadline patience = Deadline::after(absl::Seconds(5));
  while (!wait_until_quiet(Deadline::after(absl::Milliseconds(20))) && !has_only_calls()) {
    if (const std::uint64_t now = count(); now != ended) {
      ended = now;
      patience = Deadline::after(absl::Seconds(5));
    } else if (patience.has_passed()) {
      return;
    }
  }
}

void PoolCore::lock_lanes() noexcept {
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    lanes_[i].mutex.lock();
  }
}

void PoolCore::unlock(bool is_child) noexcept {
  if (is_child) {
    flags_.fetch_or(kForked | kClosed, std::memory_order_relaxed);
    renew(changed_);
    enqueuing_.store(0, std::memory_order_relaxed);
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[i];
    if (is_child) {
      lane.has_queued.store(false, std::memory_order_relaxed);  // No shell begins any more.
      for (JobState* job = lane.running.front(); job != nullptr; job = JobList::after(job)) {
        job->bits_.fetch_or(JobState::kInterrupted, std::memory_order_relaxed);  // For suspend().
      }
    }
    lane.mutex.unlock();
  }
  mutex_.unlock();
}

void PoolCore::report_what_is_lost() const noexcept {
  const JobPoolStats now = stats();
  const std::size_t lost = now.queued + now.waiting + now.running;
  if (lost != 0) {
    report_loss("cannot finish " + std::to_string(lost) + " jobs of pool '" + name_ +
                "': the program ends, and nobody has destroyed the pool");
  }
}

// A job has forked, and has returned: the thread is one of oneTBB's, and nobody else is here.
void PoolCore::leave_child() noexcept {
  report_loss("cannot go on in pool '" + name_ +
              "': one of its jobs has forked this process, and returned; call exec after fork");
  std::_Exit(EXIT_FAILURE);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
