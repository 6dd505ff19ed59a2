// SPDX-License-Identifier: Apache-2.0
//
// Timer: the one thread of the process that waits for times to come, on both clocks. It runs no
// code of the user's.

#ifndef TASKCTX_INTERNAL_CANCEL_TIMER_H_
#define TASKCTX_INTERNAL_CANCEL_TIMER_H_

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include "taskctx/deadline.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Something that is to happen at a time. Must live until it has fired, or was removed.
class TimerEntry {
 public:
  // `fire` is called on the timer's thread, without any lock, and must not block.
  TimerEntry(Deadline due, void (*fire)(TimerEntry&) noexcept) noexcept : due_(due), fire_(fire) {}
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  [[nodiscard]] Deadline due() const noexcept { return due_; }

  // Gets the memory that Timer::add() needs. Throws std::bad_alloc.
  void reserve();
  // Likewise, and all else that it needs. Throws std::system_error as well, see Timer::start().
  void prepare();
  // Only while the entry is not set.
  void set_due(Deadline due) noexcept;

 protected:
  ~TimerEntry() = default;

 private:
  friend class Timer;
  using Entries = std::multimap<std::int64_t, TimerEntry*>;  // By the clock's nanoseconds.

  Deadline due_;
  void (*const fire_)(TimerEntry&) noexcept;
  bool is_set_ = false;  // These are guarded by the timer's mutex.
  bool is_settled_ = false;
  Entries::iterator place_{};
  Entries::node_type node_;  // Is here while the entry is not set: so no memory is freed there.
};

class Timer {
 public:
  // Returns that of all copies of the library. The thread comes with the first entry, and stays.
  static Timer& get() noexcept;
  // Returns that of this copy, which may not be in use. For a fork.
  static Timer& own() noexcept;

  // Starts the thread, if it is not there. Throws std::system_error if there can be none, or if
  // this process was forked from one in which it is.
  void start();
  // Lets `entry`, which is prepared, fire when its time has come, soon if that is past. O(log n).
  void add(TimerEntry& entry) noexcept;
  // Returns whether the entry was there: it will not fire then. O(1).
  bool remove(TimerEntry& entry) noexcept;
  // Returns when the timer is done with the entry, for good: it was removed, or fire() has
  // returned, or add() won't take it any more. Waits for no more than fire(). O(1).
  void settle(TimerEntry& entry) noexcept;

  // For a fork.
  void lock() noexcept { mutex_.lock(); }
  void unlock(bool is_child) noexcept;

 private:
  void run() noexcept;
  TimerEntry::Entries& entries_of(Deadline::Clock clock) noexcept {
    return entries_[static_cast<std::size_t>(clock)];
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable has_fired_;
  const TimerEntry* firing_ = nullptr;
  bool has_thread_ = false;
  std::thread::id thread_;
  bool is_forked_ = false;                      // The thread is not here.
  std::array<TimerEntry::Entries, 2> entries_;  // By clock.
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_TIMER_H_
