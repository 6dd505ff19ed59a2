// SPDX-License-Identifier: Apache-2.0

#include "taskctx/internal/timer.h"

#include <pthread.h>

#include <csignal>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
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
    entry.place_ = entries_.emplace(entry.due_, &entry);
    entry.is_set_ = true;
    if (entry.place_ == entries_.begin()) {
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
  entries_.erase(entry.place_);
  entry.is_set_ = false;
  return true;
}

void Timer::run() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    if (entries_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = entries_.begin();
    if (first->first > absl::Now()) {
      (void)wait_on(changed_, lock, first->first);
      continue;
    }
    TimerEntry& entry = *first->second;
    entries_.erase(first);
    entry.is_set_ = false;
    lock.unlock();
    entry.fire_(entry);
    lock.lock();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
