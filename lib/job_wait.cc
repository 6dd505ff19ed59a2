// SPDX-License-Identifier: Apache-2.0
//
// Waiting for jobs: blocking, and helping.

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "taskctx/deadline.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/parking.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/internal/pool_registry.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

struct Spot {
  std::mutex mutex;
  std::condition_variable changed;
};

// Never destroyed: threads may wait until the very end of the program.
Spot& spot_of(const JobState* job) {
  static auto& spots = *new std::array<Spot, 64>;
  return spots[(reinterpret_cast<std::uintptr_t>(job) >> 6) % spots.size()];
}

struct HelpersSpot : Spot {
  std::atomic<int> parked{0};
  std::uint64_t news = 0;  // Guarded by mutex: counts what may have given somebody work.
};

HelpersSpot& helpers_spot() {
  static auto& spot = *new HelpersSpot;
  return spot;
}

}  // namespace

bool park(const JobState* job, Deadline deadline) {
  Spot& spot = spot_of(job);
  std::unique_lock lock(spot.mutex);
  while (!job->is_done()) {
    if (!wait_on(spot.changed, lock, deadline) && !job->is_done()) {
      return false;
    }
  }
  return true;
}

void unpark(const JobState* job) noexcept {
  Spot& spot = spot_of(job);
  {
    const std::lock_guard lock(spot.mutex);  // Whoever has seen the job unfinished waits by now.
  }
  spot.changed.notify_all();
  unpark_helpers();
}

void unpark_helpers() noexcept {
  HelpersSpot& spot = helpers_spot();
  if (spot.parked.load(std::memory_order_acquire) != 0) {
    {
      const std::lock_guard lock(spot.mutex);
      ++spot.news;
    }
    spot.changed.notify_all();
  }
}

bool JobState::block(Deadline deadline) {
  const BlockedThread blocked;
  if (!deadline.is_never()) {
    if ((bits_.fetch_or(kAwaited, std::memory_order_acq_rel) & kDone) != 0) {
      return true;
    }
    return park(this, deadline);
  }
  std::uint32_t state = bits_.fetch_or(kBlocked, std::memory_order_acq_rel) | kBlocked;
  while ((state & kDone) == 0) {
    bits_.wait(state, std::memory_order_acquire);
    state = bits();
  }
  return true;
}

bool JobState::wait_slowly(Deadline deadline) {
  pool()->check_not_forked("wait for job", name());
  const void* here = current_activation()->origin.executor();
  if (here != nullptr) {
    help(*this, static_cast<PoolCore*>(const_cast<void*>(here)), deadline);
  }
  return block(deadline);
}

// Helps one waiting thread.
class Helper {
 public:
  Helper(JobState& target, PoolCore* here) : target_(target), here_(here) {}

  void help(Deadline deadline) {
    // Whoever waits has a handle, so performing it is not the end of the target.
    while (!target_.is_done()) {  // NOLINT(clang-analyzer-cplusplus.NewDelete)
      std::vector<HeldJob> missing;
      const PoolCore::Found found = PoolCore::begin_or_look(&target_, here_, missing);
      if (found == PoolCore::Found::nothing) {
        return;
      }
      if (found == PoolCore::Found::begun) {
        PoolCore::perform_apart(&target_);  // Once more if it is a bulk.
      } else {
        return help_what_it_waits_for(deadline);
      }
    }
  }

 private:
  struct Step {
    HeldJob job;
    bool is_expanded = false;
  };

  void help_what_it_waits_for(Deadline deadline) {
    HelpersSpot& spot = helpers_spot();
    // Counted before we look: whoever makes a job ready after that, wakes us.
    spot.parked.fetch_add(1, std::memory_order_acq_rel);
    while (true) {
      std::uint64_t news = 0;
      {
        const std::lock_guard lock(spot.mutex);
        news = spot.news;
      }
      if (run_something()) {
        continue;
      }
      if (!is_waiting_) {
        break;  // Done, or somebody else runs it.
      }
      target_.bits_.fetch_or(JobState::kAwaited, std::memory_order_acq_rel);
      const BlockedThread blocked;
      std::unique_lock lock(spot.mutex);
      while (spot.news == news && !target_.is_done()) {
        if (!wait_on(spot.changed, lock, deadline)) {
          spot.parked.fetch_sub(1, std::memory_order_relaxed);
          return;
        }
      }
    }
    spot.parked.fetch_sub(1, std::memory_order_relaxed);
  }

  // Visits what the target waits for, depth first, and runs what can be run. No recursion: chains
  // of continuations may be long.
  bool run_something() {
    bool has_run = false;
    std::unordered_set<const JobState*> seen{&target_};
    std::vector<Step> path;
    path.push_back({HeldJob(&target_)});
    while (!path.empty()) {
      JobState* const job = path.back().job.get();
      std::vector<HeldJob> missing;
      const PoolCore::Found found = PoolCore::begin_or_look(job, here_, missing);
      if (found == PoolCore::Found::begun) {
        PoolCore::perform_apart(job);
        has_run = true;
        continue;  // Once more, if it is a bulk.
      }
      is_waiting_ = found == PoolCore::Found::missing;
      if (is_waiting_ && !path.back().is_expanded) {
        path.back().is_expanded = true;
        for (HeldJob& other : missing) {
          if (!other->is_done() && seen.insert(other.get()).second) {
            path.push_back({std::move(other)});
          }
        }
      } else {
        path.pop_back();
      }
    }
    return has_run;
  }

  bool is_waiting_ = false;  // After run_something(): the target, which it looked at last.
  JobState& target_;
  PoolCore* const here_;
};

void help(JobState& target, PoolCore* here, Deadline deadline) {
  Helper(target, here).help(deadline);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
