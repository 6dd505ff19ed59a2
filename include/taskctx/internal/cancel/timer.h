// SPDX-License-Identifier: Apache-2.0
//
// Timer: the one thread of the process that waits for times to come, on both clocks. It runs no
// code of the user's.
//
//   struct Alarm : TimerEntry { Alarm(Deadline due) : TimerEntry(due, &ring) {} … };
//   Timer::get().start();
//   Timer::get().add(alarm);     // about 50 ns, also if a million are open
//   Timer::get().settle(alarm);  // it has rung, or never will

#ifndef TASKCTX_INTERNAL_CANCEL_TIMER_H_
#define TASKCTX_INTERNAL_CANCEL_TIMER_H_

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/timing_wheel.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Something that is to happen at a time. Must live until it has fired, or was removed.
class TimerEntry : private WheelEntry {
 public:
  // `fire` is called on the timer's thread, without any lock, and must not block.
  TimerEntry(Deadline due, void (*fire)(TimerEntry&) noexcept) noexcept;
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  [[nodiscard]] Deadline due() const noexcept { return due_; }
  // Makes it due in so much real time, whatever clock a test has. Only while it is not set.
  void set_due_in(std::int64_t ns) noexcept;

 protected:
  ~TimerEntry() = default;

 private:
  friend class Timer;
  static constexpr std::uint8_t kRealTime = 2;  // A line after those of Deadline::Clock.

  Deadline due_;
  void (*const fire_)(TimerEntry&) noexcept;
  std::uint8_t line_;
  bool is_settled_ = false;      // Guarded by the timer's mutex, like the rest.
  std::uint32_t is_set_in_ = 0;  // The process in which it is set, see Timer::process_; 0 if not.
};

class Timer {
 public:
  // Returns that of all copies of the library. The thread comes with the first entry, and stays.
  static Timer& get() noexcept;
  // Returns that of this copy, which may not be in use. For a fork.
  static Timer& own() noexcept;

  // Starts the thread, if it is not there. Throws std::system_error if there can be none.
  void start();
  // Lets `entry` fire when its time has come, soon if that is past. Those of one clock fire in the
  // order of their times. start() has returned before. O(1), needs no memory.
  void add(TimerEntry& entry) noexcept;
  // Returns whether the entry was there: it will not fire then. O(1).
  bool remove(TimerEntry& entry) noexcept;
  // Returns when the timer is done with the entry, for good: it was removed, or fire() has
  // returned, or add() won't take it any more. Waits for no more than fire(). O(1).
  void settle(TimerEntry& entry) noexcept;

  // Returns when all has fired whose time has come, after a clock was set. For tests; not from
  // within fire().
  void catch_up() noexcept;

  // For a fork. In the child nothing fires that was set before it: the entries may lie on stacks of
  // threads that are not there. What is set there fires.
  void lock() noexcept { mutex_.lock(); }
  void unlock(bool is_child) noexcept;

 private:
  // The entries of one clock. Those that come soon are in a wheel of their own, so that a million
  // others don't keep them waiting when they move down in theirs: that begins some time before they
  // are due, and goes on in small steps.
  struct Line {
    // Returns an entry whose time has come, or nullptr. Then there may be more to do at once.
    TimerEntry* pop(std::uint64_t now, bool& has_more) noexcept;
    // Returns when there is something to do next.
    std::uint64_t next() noexcept;

    TimingWheel near;
    TimingWheel far{4};
    std::size_t count = 0;
    std::uint64_t wake = TimingWheel::kNever;  // When the thread looks next, while it sleeps.
  };

  void run() noexcept;
  bool fire_one(std::unique_lock<std::mutex>& lock) noexcept;
  void sleep(std::unique_lock<std::mutex>& lock) noexcept;
  bool take_out(TimerEntry& entry) noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable has_fired_;
  const TimerEntry* firing_ = nullptr;
  bool has_thread_ = false;
  bool is_asleep_ = false;
  std::thread::id thread_;
  std::uint32_t process_ = 1;   // Counts forks.
  std::uint64_t asked_ = 0;     // How often somebody wanted to catch up,
  std::uint64_t answered_ = 0;  // and which of these times are over.
  std::array<Line, 3> lines_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_TIMER_H_
