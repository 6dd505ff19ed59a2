// SPDX-License-Identifier: Apache-2.0
//
// The timer's thread, and its lines of what is to come, one for each clock.

#include "taskctx/internal/cancel/timer.h"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "lib/cancel/clocks.h"
#include "lib/cancel/start_thread.h"
#include "lib/cancel/timed_wait.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/timing_wheel.h"
#include "taskctx/internal/core/copies.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// How long before its time an entry comes to those that come soon: enough for a million to move.
constexpr std::uint64_t kAhead = std::uint64_t{1} << 28;  // ns
// How many steps a wheel does while others wait for the lock.
constexpr int kSteps = 64;
constexpr std::size_t kFew = 16;

constexpr std::uint64_t kFirst = std::uint64_t{1} << 63;

// From a clock's nanoseconds to those that wheels count, and back.
constexpr std::uint64_t on_wheel(std::int64_t ns) noexcept {
  return static_cast<std::uint64_t>(ns) ^ kFirst;
}
constexpr std::int64_t on_clock(std::uint64_t time) noexcept {
  return static_cast<std::int64_t>(time ^ kFirst);
}

constexpr std::uint64_t ahead_of(std::uint64_t time) noexcept {
  return time + std::min(kAhead, ~std::uint64_t{0} - time);
}

}  // namespace

TimerEntry::TimerEntry(Deadline due, void (*fire)(TimerEntry&) noexcept) noexcept
    : due_(due), fire_(fire), line_(static_cast<std::uint8_t>(due.clock())) {
  time = on_wheel(due.nanoseconds());
}

void TimerEntry::set_due_in(std::int64_t ns) noexcept {
  line_ = kRealTime;
  time = on_wheel(real_now() + ns);
}

TimerEntry* Timer::Line::pop(std::uint64_t now, bool& has_more) noexcept {
  near.rewind(now);
  far.rewind(ahead_of(now));
  WheelEntry* entry = nullptr;
  for (int i = 0; far.step(ahead_of(now), entry); ++i) {
    if (entry != nullptr) {
      near.add(*entry);
      entry = nullptr;
    }
    if (i == kSteps) {
      has_more = true;
      if (far.position() <= now) {  // It may have what comes before all that is near.
        return nullptr;
      }
      break;
    }
  }
  for (int i = 0; near.step(now, entry); ++i) {
    if (entry != nullptr) {
      return static_cast<TimerEntry*>(entry);
    }
    if (i == kSteps) {
      has_more = true;
      break;
    }
  }
  return nullptr;
}

// A few can move when they are due: that saves a look.
std::uint64_t Timer::Line::next() noexcept {
  const std::uint64_t later = far.next();
  return std::min(near.next(), count <= kFew ? later : later - std::min(kAhead, later));
}

Timer& Timer::get() noexcept {
  static Timer& timer = first_of_copies(process_wide().timer, own());
  return timer;
}

// Never destroyed: the thread uses it until the very end of the program.
Timer& Timer::own() noexcept {
  alignas(Timer) static std::byte place[sizeof(Timer)];
  static Timer& timer = *::new (static_cast<void*>(place)) Timer;
  return timer;
}

void Timer::start() {
  const std::lock_guard lock(mutex_);
  if (has_thread_) {
    return;
  }
  sigset_t all;
  sigfillset(&all);
  const int error = start_thread(
      [](void* timer) -> void* {
        static_cast<Timer*>(timer)->run();
        return nullptr;
      },
      this, all);  // The program's signals are not for this thread.
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), "cannot start thread of timer");
  }
  has_thread_ = true;
}

void Timer::unlock(bool is_child) noexcept {
  if (is_child) {
    renew(changed_);
    renew(has_fired_);
    firing_ = nullptr;
    has_thread_ = false;
    is_asleep_ = false;
    ++process_;
    for (Line& line : lines_) {
      ::new (static_cast<void*>(std::addressof(line))) Line;
    }
  }
  mutex_.unlock();
}

void Timer::add(TimerEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  if (entry.is_settled_) {
    return;
  }
  Line& line = lines_[entry.line_];
  (entry.time < line.far.position() ? line.near : line.far).add(entry);
  entry.is_set_in_ = process_;
  ++line.count;
  if (is_asleep_ && entry.time < line.wake) {
    is_asleep_ = false;  // One call wakes it.
    changed_.notify_one();
  }
}

bool Timer::take_out(TimerEntry& entry) noexcept {
  if (entry.is_set_in_ != process_) {
    return false;
  }
  entry.is_set_in_ = 0;
  TimingWheel::remove(entry);
  --lines_[entry.line_].count;
  return true;
}

bool Timer::remove(TimerEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  return take_out(entry);
}

void Timer::settle(TimerEntry& entry) noexcept {
  std::unique_lock lock(mutex_);
  entry.is_settled_ = true;
  (void)take_out(entry);
  // Without memory for a shell, the timer's thread runs a job within fire(); see PoolCore.
  while (firing_ == &entry && std::this_thread::get_id() != thread_) {
    has_fired_.wait(lock);
  }
}

void Timer::catch_up() noexcept {
  std::unique_lock lock(mutex_);
  const std::uint64_t asked = ++asked_;
  changed_.notify_one();
  while (has_thread_ && answered_ < asked && std::this_thread::get_id() != thread_) {
    has_fired_.wait(lock);
  }
}

// Returns whether there was something to do.
bool Timer::fire_one(std::unique_lock<std::mutex>& lock) noexcept {
  bool has_more = false;
  for (std::size_t i = 0; i < lines_.size(); ++i) {  // In turn: none waits for all of another.
    Line& line = lines_[i];
    if (line.count == 0) {
      continue;  // Its clock is not looked at.
    }
    const std::int64_t now = i == TimerEntry::kRealTime ? real_now()
                             : i == static_cast<std::size_t>(Deadline::Clock::wall)
                                 ? wall_clock.now()
                                 : monotonic_clock.now();
    TimerEntry* const entry = line.pop(on_wheel(now), has_more);
    if (entry == nullptr) {
      continue;
    }
    has_more = true;
    entry->is_set_in_ = 0;
    --line.count;
    firing_ = entry;
    lock.unlock();
    entry->fire_(*entry);
    lock.lock();
    firing_ = nullptr;
    has_fired_.notify_all();
  }
  return has_more;
}

// Sleeps until one of the lines has something to do, or somebody changes that.
void Timer::sleep(std::unique_lock<std::mutex>& lock) noexcept {
  std::int64_t until = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    Line& line = lines_[i];
    line.wake = line.count != 0 ? line.next() : TimingWheel::kNever;
    const std::int64_t wake = on_clock(line.wake);
    if (i == TimerEntry::kRealTime) {
      until = std::min(until, wake);
    } else if (monotonic_clock.runs()) {  // Otherwise catch_up() wakes us.
      until = std::min(until, next_look(static_cast<Deadline::Clock>(i), wake));
    }
  }
  is_asleep_ = true;
  wait_until(changed_, lock, until);
  is_asleep_ = false;
}

void Timer::run() noexcept {
  std::unique_lock lock(mutex_);
  thread_ = std::this_thread::get_id();
  while (true) {
    const std::uint64_t asked = asked_;
    if (fire_one(lock)) {
      lock.unlock();  // Others may have waited while wheels were turned.
      lock.lock();
      continue;
    }
    if (answered_ != asked) {
      answered_ = asked;
      has_fired_.notify_all();
    }
    if (asked_ == asked) {
      sleep(lock);
    }
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
