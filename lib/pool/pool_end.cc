// SPDX-License-Identifier: Apache-2.0
//
// A pool at the end of its process, and in a process that was forked.

#include <dlfcn.h>
#include <unwind.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "lib/cancel/timed_wait.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_stats.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace {

// The longest time without an end of a job that the program's end waits for those that are left.
constexpr absl::Duration kPatienceAtExit = absl::Seconds(5);

}  // namespace

// Looks through the stack: no handler could tell, as what static objects have registered before it
// runs after it, and what they register later, before it.
bool is_in_exit() noexcept {
  const void* const symbol = dlsym(RTLD_DEFAULT, "exit");  // Not what a program has for calling it.
  struct Search {
    const void* exit;
    bool is_found;
  } search{symbol != nullptr ? symbol : reinterpret_cast<const void*>(&std::exit), false};
  _Unwind_Backtrace(
      [](_Unwind_Context* frame, void* data) {
        auto* const sought = static_cast<Search*>(data);
        // The call's own place: exit() ends with one, and what follows it is another function.
        const std::uintptr_t place = _Unwind_GetIP(frame) - 1;
        sought->is_found =
            _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(place)) == sought->exit;
        return sought->is_found ? _URC_END_OF_STACK : _URC_NO_REASON;
      },
      &search);
  return search.is_found;
}

void report_loss(const std::string& message) noexcept {
  report_misuse({.message = message, .variable = {}, .is_warning = true});
}

bool PoolCore::has_only_calls() noexcept {
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[i];
    const LaneLock lock(lane);
    for (const JobList* list : lock.lists()) {
      for (const JobState* job = list->front(); job != nullptr; job = JobList::after(job)) {
        if ((job->bits() & JobState::kCall) == 0) {
          return false;
        }
      }
    }
  }
  return true;
}

bool PoolCore::drain_at_exit() noexcept {
  const auto count = [this] {
    std::uint64_t ended = 0;
    for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
      const LaneLock lock(lanes_[i]);
      ended += lanes_[i].taken_out();
    }
    return ended;
  };
  std::uint64_t ended = count();
  Deadline patience = Deadline::after(kPatienceAtExit);
  while (!wait_until_quiet(Deadline::after(absl::Milliseconds(20)))) {
    if (const std::uint64_t now = count(); now != ended) {
      ended = now;
      patience = Deadline::after(kPatienceAtExit);
    } else if (patience.has_passed() || has_only_calls()) {
      return false;
    }
  }
  return true;
}

bool PoolCore::wait_for_all() noexcept {
  if (wait_until_quiet(Deadline::after(absl::Milliseconds(20)))) {
    return true;
  }
  return is_in_exit() ? drain_at_exit() : wait_until_quiet(Deadline());
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

void PoolCore::report_what_is_lost(const std::string& why) noexcept {
  const JobPoolStats now = stats();
  const std::size_t lost = now.queued + now.waiting + now.running;
  if (lost != 0 && !is_loss_known_.exchange(true)) {
    report_loss("cannot finish " + std::to_string(lost) + " jobs of pool '" + name_ +
                "': the program ends, and " + why);
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
