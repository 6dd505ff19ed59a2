// SPDX-License-Identifier: Apache-2.0
//
// JobList, Lane: where a pool keeps the jobs that have not ended, one list for each stage.

#ifndef TASKCTX_INTERNAL_POOL_JOB_LIST_H_
#define TASKCTX_INTERNAL_POOL_JOB_LIST_H_

#include <oneapi/tbb/spin_mutex.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Jobs in one stage, in the order of their coming.
class JobList {
 public:
  [[nodiscard]] JobState* front() const noexcept { return first_; }
  [[nodiscard]] static JobState* after(const JobState* job) noexcept { return job->in_list.next; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void push_back(JobState* job) noexcept {
    job->in_list = {last_, nullptr};
    (last_ != nullptr ? last_->in_list.next : first_) = job;
    last_ = job;
    ++size_;
  }
  void erase(JobState* job) noexcept {
    const auto [previous, next] = job->in_list;
    (previous != nullptr ? previous->in_list.next : first_) = next;
    (next != nullptr ? next->in_list.previous : last_) = previous;
    --size_;
  }

 private:
  JobState* first_ = nullptr;
  JobState* last_ = nullptr;
  std::size_t size_ = 0;
};

// A part of the pool's jobs: with several locks, threads rarely meet at one. The lists and numbers
// are read and written with the lock, see LaneLock; the atomics as they say.
struct alignas(64) Lane {
  oneapi::tbb::spin_mutex mutex;
  std::atomic<bool> has_queued{false};  // A hint for threads without the lock. Written with it.
  JobList queued;
  JobList running;
  std::uint64_t succeeded = 0;
  // Here ends the cache line of what each job changes with the lock. The next has what each job
  // changes without it.
  std::atomic<std::uint64_t> over{0};  // Jobs of which nothing is left but what handles keep.
  std::atomic<std::uint64_t> gone{0};  // Those that the lane has held, and that are no more.
  JobList waiting;
  JobList due;  // Queued, and taken before the others: those whose time has come.
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t aside = 0;  // Jobs that the lane holds, and that are never in its lists.

  // Both with the lock. How many jobs have left the lists as they ended; how many ever came.
  [[nodiscard]] std::uint64_t taken_out() const noexcept {
    return succeeded + failed + cancelled + expired;
  }
  [[nodiscard]] std::uint64_t submitted() const noexcept {
    return taken_out() + due.size() + queued.size() + waiting.size() + running.size();
  }
};

// Holds the lock of a lane until the end of the block. A function that needs the lock has a
// parameter of this type: nobody can call it without.
class LaneLock {
 public:
  explicit LaneLock(Lane& lane) noexcept : lane_(lane), lock_(lane.mutex) {}
  LaneLock(const LaneLock&) = delete;
  LaneLock& operator=(const LaneLock&) = delete;
  ~LaneLock() = default;

  [[nodiscard]] Lane& lane() const noexcept { return lane_; }
  // Returns the lists of all jobs of the lane that have not ended.
  [[nodiscard]] std::array<const JobList*, 4> lists() const noexcept {
    return {&lane_.due, &lane_.queued, &lane_.waiting, &lane_.running};
  }

 private:
  Lane& lane_;
  const oneapi::tbb::spin_mutex::scoped_lock lock_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_JOB_LIST_H_
