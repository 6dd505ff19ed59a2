// SPDX-License-Identifier: Apache-2.0
//
// An arena with more threads than a small machine has cores, and a way to see which threads ran. On
// oneTBB's default arena of such a machine nothing is stolen, so a test there proves nothing.

#ifndef TASKCTX_TESTS_STEALING_H_
#define TASKCTX_TESTS_STEALING_H_

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace taskctx_test {

// An arena for `threads` threads, one of which is the caller of execute().
class StealingArena {
 public:
  explicit StealingArena(int threads)
      : limit_(oneapi::tbb::global_control::max_allowed_parallelism,
               static_cast<std::size_t>(threads)),
        arena_(threads) {}

  oneapi::tbb::task_arena* operator->() { return &arena_; }

 private:
  oneapi::tbb::global_control limit_;
  oneapi::tbb::task_arena arena_;
};

// Collects the threads that call seen().
class ThreadSet {
 public:
  // Returns true at a thread's first call.
  bool seen() {
    const std::lock_guard lock(mutex_);
    return threads_.insert(std::this_thread::get_id()).second;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return threads_.size();
  }

 private:
  std::mutex mutex_;
  std::set<std::thread::id> threads_;
};

// Lets threads go on only when `count` of them have arrived: so that many run at once, and nobody
// sleeps. It may be destroyed as soon as one goes on: those that still wait share what they look
// at.
class Gate {
 public:
  explicit Gate(int count) : missing_(std::make_shared<std::atomic<int>>(count)) {}

  void arrive_and_wait() {
    const auto shared = missing_;
    if (shared->fetch_sub(1) == 1) {
      shared->notify_all();
    }
    for (int missing = *shared; missing > 0; missing = *shared) {
      shared->wait(missing);
    }
  }

 private:
  std::shared_ptr<std::atomic<int>> missing_;
};

// Makes all threads take part: each waits, at its first call, until `count` threads have come.
class AllThreads {
 public:
  explicit AllThreads(int count) : gate_(count) {}

  void take_part() {
    if (threads_.seen()) {
      gate_.arrive_and_wait();
    }
  }
  std::size_t count() { return threads_.count(); }

 private:
  ThreadSet threads_;
  Gate gate_;
};

// Opens once. It may be destroyed as soon as it is open, as a Gate.
class Latch {
 public:
  void open() {
    const auto shared = open_;
    *shared = true;
    shared->notify_all();
  }
  void wait() const {
    const auto shared = open_;
    shared->wait(false);
  }
  [[nodiscard]] bool is_open() const { return *open_; }

 private:
  std::shared_ptr<std::atomic<bool>> open_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_STEALING_H_
