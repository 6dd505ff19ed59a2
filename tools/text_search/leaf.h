// SPDX-License-Identifier: Apache-2.0
//
// Leaf: one piece of a job's work that waits for nothing, measured.
//
//   LeafCounters counters;          // at the job's start, on the job's thread
//   { const Leaf leaf(counters); }  // around each piece, on whichever thread
//   counters.elsewhere();           // how many of them ran on another thread
//
// Leaves never contain each other: a piece with a parallel loop in it is no leaf, so that its time
// is not that of whatever its thread runs while it waits.

#ifndef TOOLS_TEXT_SEARCH_LEAF_H_
#define TOOLS_TEXT_SEARCH_LEAF_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <thread>

namespace text_search {

// Returns the CPU time that the calling thread has used.
inline std::chrono::nanoseconds thread_cpu_time() noexcept {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Thread-safe.
class LeafCounters {
 public:
  [[nodiscard]] std::uint64_t leaves() const noexcept { return leaves_; }
  [[nodiscard]] std::uint64_t elsewhere() const noexcept { return elsewhere_; }
  [[nodiscard]] std::chrono::nanoseconds cpu() const noexcept {
    return std::chrono::nanoseconds(cpu_ns_);
  }

 private:
  friend class Leaf;

  const std::thread::id job_thread_ = std::this_thread::get_id();
  std::atomic<std::uint64_t> leaves_{0};
  std::atomic<std::uint64_t> elsewhere_{0};
  std::atomic<std::int64_t> cpu_ns_{0};
};

class Leaf {
 public:
  explicit Leaf(LeafCounters& counters) noexcept : counters_(counters) {
    counters_.leaves_.fetch_add(1, std::memory_order_relaxed);
    if (std::this_thread::get_id() != counters_.job_thread_) {
      counters_.elsewhere_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;
  ~Leaf() {
    counters_.cpu_ns_.fetch_add((thread_cpu_time() - begin_).count(), std::memory_order_relaxed);
  }

 private:
  LeafCounters& counters_;
  const std::chrono::nanoseconds begin_ = thread_cpu_time();
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_LEAF_H_
