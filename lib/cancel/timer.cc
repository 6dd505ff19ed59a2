// SPDX-License-Identifier: Apache-2.0
//
// The timer's thread, and its two lists of what is to come, one for each clock.

#include "taskctx/internal/cancel/timer.h"

#include <csignal>
#include <cstddef>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "lib/cancel/start_thread.h"
#include "lib/cancel/timed_wait.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/core/copies.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

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

void TimerEntry::reserve() {
  Entries entries;
  entries.emplace(due_.nanoseconds(), this);
  node_ = entries.extract(entries.begin());
}

void TimerEntry::prepare() {
  reserve();
  Timer::get().start();
}

void TimerEntry::set_due(Deadline due) noexcept {
  due_ = due;
  node_.key() = due.nanoseconds();
}

void Timer::start() {
  const std::lock_guard lock(mutex_);
  if (is_forked_) {
    throw std::system_error(
        std::make_error_code(std::errc::no_child_process),
        "cannot wait for a time: this process was forked; call exec after fork");
  }
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
    is_forked_ = has_thread_;
  }
  mutex_.unlock();
}

void Timer::add(TimerEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  if (entry.is_settled_) {
    return;
  }
  TimerEntry::Entries& entries = entries_of(entry.due_.clock());
  entry.place_ = entries.insert(std::move(entry.node_));
  entry.is_set_ = true;
  if (entry.place_ == entries.begin()) {
    changed_.notify_one();
  }
}

bool Timer::remove(TimerEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  if (!entry.is_set_) {
    return false;
  }
  entry.node_ = entries_of(entry.due_.clock()).extract(entry.place_);
  entry.is_set_ = false;
  return true;
}

void Timer::settle(TimerEntry& entry) noexcept {
  std::unique_lock lock(mutex_);
  entry.is_settled_ = true;
  if (entry.is_set_) {
    entry.node_ = entries_of(entry.due_.clock()).extract(entry.place_);
    entry.is_set_ = false;
  }
  // Without memory for a shell, the timer's thread runs a job within fire(); see PoolCore.
  while (firing_ == &entry && std::this_thread::get_id() != thread_) {
    has_fired_.wait(lock);
  }
}

void Timer::run() noexcept {
  std::unique_lock lock(mutex_);
  thread_ = std::this_thread::get_id();
  while (true) {
    Deadline next;
    bool has_fired = false;
    for (TimerEntry::Entries& entries : entries_) {  // In turn: neither waits for all of the other.
      if (entries.empty()) {
        continue;
      }
      TimerEntry& entry = *entries.begin()->second;
      if (entry.due_.has_passed()) {
        entry.node_ = entries.extract(entries.begin());
        entry.is_set_ = false;
        firing_ = &entry;
        lock.unlock();
        entry.fire_(entry);
        lock.lock();
        firing_ = nullptr;
        has_fired_.notify_all();
        has_fired = true;
      } else if (const Deadline look = next_look(entry.due_);
                 look.nanoseconds() < next.nanoseconds()) {
        next = look;
      }
    }
    if (!has_fired) {
      (void)wait_on(changed_, lock, next);
    }
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
