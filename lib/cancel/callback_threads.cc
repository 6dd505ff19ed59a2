// SPDX-License-Identifier: Apache-2.0
//
// The queue of callbacks, and the threads that empty it.

#include "taskctx/internal/cancel/callback_threads.h"

#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

#include "lib/cancel/start_thread.h"
#include "lib/cancel/timed_wait.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace {

// How many threads there may be: if so many callbacks block, more of them wait.
constexpr int kMostThreads = 64;

class CallbackThreads {
 public:
  // Never destroyed: its threads use it until the very end of the program.
  static CallbackThreads& get() noexcept {
    alignas(CallbackThreads) static std::byte place[sizeof(CallbackThreads)];
    static CallbackThreads& threads = *::new (static_cast<void*>(place)) CallbackThreads;
    return threads;
  }

  void prepare() {
    const std::lock_guard lock(mutex_);
    if (threads_ == 0) {
      if (const int error = start(); error != 0) {
        throw std::system_error(error, std::generic_category(), "cannot start thread of callbacks");
      }
    }
  }

  void push(CallbackList& callbacks) noexcept {
    {
      const std::lock_guard lock(mutex_);
      callbacks.next = nullptr;
      (last_ != nullptr ? last_->next : first_) = &callbacks;
      last_ = &callbacks;
      if (++queued_ > idle_ && threads_ < kMostThreads) {
        (void)start();  // If there can be no more, one of those that we have comes to it.
      }
    }
    changed_.notify_one();
  }

  void lock() noexcept { mutex_.lock(); }
  void unlock(bool is_child) noexcept {
    if (is_child) {
      renew(changed_);
      threads_ = idle_ = queued_ = 0;
      first_ = last_ = nullptr;  // Of threads that are not here.
    }
    mutex_.unlock();
  }

 private:
  int start() noexcept {
    sigset_t all;
    sigfillset(&all);  // The program's signals are not for this thread.
    const int error = start_thread(
        [](void* self) -> void* {
          static_cast<CallbackThreads*>(self)->run();
          return nullptr;
        },
        this, all);
    if (error == 0) {
      ++threads_;
      ++idle_;
    }
    return error;
  }

  void run() noexcept {
    std::unique_lock lock(mutex_);
    while (true) {
      while (first_ == nullptr) {
        changed_.wait(lock);
      }
      --idle_;
      --queued_;
      CallbackList* const callbacks = std::exchange(first_, first_->next);
      if (first_ == nullptr) {
        last_ = nullptr;
      }
      lock.unlock();
      callbacks->call(callbacks);
      lock.lock();
      ++idle_;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  CallbackList* first_ = nullptr;
  CallbackList* last_ = nullptr;
  int threads_ = 0;
  int idle_ = 0;    // Of these, that call nothing.
  int queued_ = 0;  // What is in the list.
};

}  // namespace

void prepare_callback_threads() { CallbackThreads::get().prepare(); }

void leave_to_callback_threads(CallbackList& callbacks) noexcept {
  CallbackThreads::get().push(callbacks);
}

void lock_callback_threads() noexcept { CallbackThreads::get().lock(); }

void unlock_callback_threads(bool is_child) noexcept { CallbackThreads::get().unlock(is_child); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
