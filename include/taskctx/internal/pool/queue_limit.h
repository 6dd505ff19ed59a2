// SPDX-License-Identifier: Apache-2.0
//
// QueueLimit: how many jobs may be queued in a pool (JobPoolOptions::queue_capacity), and
// how threads wait for room.
//
// A job that takes room is marked (JobState::kCounted), and gives it back when it begins, or is
// cancelled. The pool asks its limit only if it has one.

#ifndef TASKCTX_INTERNAL_POOL_QUEUE_LIMIT_H_
#define TASKCTX_INTERNAL_POOL_QUEUE_LIMIT_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class QueueLimit {
 public:
  // `mutex` and `changed` are the pool's. `capacity` 0: there is no limit.
  QueueLimit(std::size_t capacity, WhenFull when_full, std::mutex& mutex,
             std::condition_variable& changed) noexcept
      : mutex_(mutex), changed_(changed), capacity_(capacity), when_full_(when_full) {}
  QueueLimit(const QueueLimit&) = delete;
  QueueLimit& operator=(const QueueLimit&) = delete;

  [[nodiscard]] WhenFull when_full() const noexcept { return when_full_; }
  // How many jobs were rejected.
  [[nodiscard]] std::uint64_t rejected() const noexcept {
    return rejected_.load(std::memory_order_relaxed);
  }

  // Takes room for one job, if there is some.
  [[nodiscard]] bool take() noexcept;
  // Gives it back, and wakes the threads that wait for room.
  void give() noexcept;
  // Waits until it can take room. Returns false if `is_closed` returns true before that. It is
  // called with the pool's mutex.
  template <typename IsClosed>
  [[nodiscard]] bool wait(IsClosed is_closed) {
    bool is_taken = false;
    // Before the first look at the room: give() sees either us, or the room that we find.
    blocked_.fetch_add(1, std::memory_order_seq_cst);
    {
      std::unique_lock lock(mutex_);
      while (!is_closed() && !(is_taken = take())) {
        changed_.wait(lock);
      }
    }
    blocked_.fetch_sub(1, std::memory_order_relaxed);
    return is_taken;
  }
  // Counts a job as rejected, and throws the JobRejected that says so.
  [[noreturn]] void refuse(std::string_view job, const std::string& pool);

 private:
  alignas(64) std::atomic<std::size_t> counted_{0};  // The jobs that take room.
  std::atomic<int> blocked_{0};                      // The threads in wait().
  std::atomic<std::uint64_t> rejected_{0};
  std::mutex& mutex_;
  std::condition_variable& changed_;
  const std::size_t capacity_;
  const WhenFull when_full_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_QUEUE_LIMIT_H_
