// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/progress.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>

namespace text_search {

using std::chrono_literals::operator""ms;

Progress::Progress(const std::atomic<std::uint64_t>& done, std::uint64_t total, bool visible)
    : done_(done), total_(total) {
  if (visible) {
    thread_ = std::thread([this] { run(); });
  }
}

Progress::~Progress() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
}

void Progress::run() {
  std::string line;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, 200ms, [this] { return is_over_; })) {
    line = "files: " + std::to_string(done_.load(std::memory_order_relaxed)) + "/" +
           std::to_string(total_);
    std::fprintf(stderr, "\r%s", line.c_str());
  }
  if (!line.empty()) {
    std::fprintf(stderr, "\r%s\r", std::string(line.size(), ' ').c_str());
  }
}

}  // namespace text_search
