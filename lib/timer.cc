// SPDX-License-Identifier: Apache-2.0

#include "taskctx/internal/timer.h"

#include <pthread.h>

#include <csignal>
#include <mutex>
#include <thread>

#include "taskctx/deadline.h"
#include "taskctx/internal/parking.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Never destroyed: the thread uses it until the very end of the program.
Timer& Timer::get() {
  static auto* const timer = new Timer;
  return *timer;
}

bool Timer::add(TimerEntry& entry) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!has_thread_) {
      // The program's signals are not for this thread: it inherits that they are blocked.
      sigset_t all;
      sigset_t before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      try {
        std::thread([this] { run(); }).detach();
        has_thread_ = true;
      } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    if (entry.is_settled_) {
      return true;
    }
    TimerEntry::Entries& entries = entries_of(entry.due_.clock());
    entry.place_ = entries.emplace(entry.due_.nanoseconds(), &entry);
    entry.is_set_ = true;
    if (entry.place_ == entries.begin()) {
      changed_.notify_one();
    }
    return true;
  } catch (...) {
    return false;
  }
}

bool Timer::remove(TimerEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  if (!entry.is_set_) {
    return false;
  }
  entries_of(entry.due_.clock()).erase(entry.place_);
  entry.is_set_ = false;
  return true;
}

void Timer::settle(TimerEntry& entry) noexcept {
  std::unique_lock lock(mutex_);
  entry.is_settled_ = true;
  if (entry.is_set_) {
    entries_of(entry.due_.clock()).erase(entry.place_);
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
        entries.erase(entries.begin());
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
