// SPDX-License-Identifier: Apache-2.0
//
// What several tests need: values that are counted, misuse that is recorded, and a watchdog.

#ifndef TASKCTX_TESTS_SUPPORT_H_
#define TASKCTX_TESTS_SUPPORT_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/errors.h"
#include "tests/sanitizers.h"

namespace taskctx_test {

// A value that is counted while it lives.
class Tracked {
 public:
  explicit Tracked(int value) : value_(value) { ++alive_; }
  Tracked(const Tracked& other) : value_(other.value_) { ++alive_; }
  Tracked(Tracked&& other) noexcept : value_(other.value_) { ++alive_; }
  Tracked& operator=(const Tracked&) = default;
  Tracked& operator=(Tracked&&) = default;
  ~Tracked() { --alive_; }

  [[nodiscard]] int value() const { return value_; }
  friend bool operator==(const Tracked& a, const Tracked& b) { return a.value_ == b.value_; }

  static int alive() { return alive_; }

 private:
  static inline std::atomic<int> alive_{0};
  int value_;
};

// Records misuse instead of aborting, on all threads, for as long as it lives. One at a time.
class MisuseRecorder {
 public:
  MisuseRecorder() : previous_(taskctx::set_misuse_handler(&record)) {
    const std::lock_guard lock(mutex_);
    messages_.clear();
  }
  MisuseRecorder(const MisuseRecorder&) = delete;
  MisuseRecorder& operator=(const MisuseRecorder&) = delete;
  ~MisuseRecorder() { taskctx::set_misuse_handler(previous_); }

  [[nodiscard]] static std::vector<std::string> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  static void record(const taskctx::Misuse& misuse) {
    const std::lock_guard lock(mutex_);
    messages_.emplace_back(misuse.message);
  }

  static inline std::mutex mutex_;
  static inline std::vector<std::string> messages_;
  taskctx::MisuseHandler previous_;
};

// Ends the program if it lives longer than `limit`: for tests of what must not hang. Says what
// hung.
class Watchdog {
 public:
  explicit Watchdog(std::string what, std::chrono::seconds limit = std::chrono::seconds(60))
      : what_(std::move(what)), thread_([this, limit] { watch(limit); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    over_.notify_one();
    thread_.join();
  }

 private:
  void watch(std::chrono::seconds limit) {
    std::unique_lock lock(mutex_);
    if (!over_.wait_for(lock, limit, [this] { return is_over_; })) {
      std::fprintf(stderr, "watchdog: %s hung\n", what_.c_str());
      std::abort();
    }
  }

  std::string what_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_SUPPORT_H_
