// SPDX-License-Identifier: Apache-2.0
//
// Loops and bulks that keep a pool's threads busy, in leaves that end one by one; and a job that is
// due meanwhile.

#ifndef TASKCTX_TESTS_BUSY_LOOP_H_
#define TASKCTX_TESTS_BUSY_LOOP_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"

namespace taskctx_test {

namespace ctbb = taskctx::tbb;

inline constinit taskctx::ContextVar<int> request{"request"};

// Holds threads in their leaves, and lets them go one by one.
class Leaves {
 public:
  // Called in each leaf: waits until this thread may go on.
  void step(int index) {
    std::unique_lock lock(mutex_);
    const auto me = std::this_thread::get_id();
    begun_[me] = index;
    ++total_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_ || permits_[me] > 0; });
    if (!is_open_) {
      --permits_[me];
      after_step_();
    }
  }
  // Has `function` be called at the end of each leaf that was let go.
  void after_step(std::function<void()> function) {
    const std::lock_guard lock(mutex_);
    after_step_ = std::move(function);
  }
  void wait_for(std::size_t threads) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_.size() >= threads; });
  }
  // Has `thread` end its leaf. Returns when another one has begun, or `happened()`.
  template <typename Happened>
  void let_go(std::thread::id thread, Happened happened) {
    std::unique_lock lock(mutex_);
    const int before = total_;
    ++permits_[thread];
    changed_.notify_all();
    changed_.wait(lock, [&] { return total_ != before || happened(); });
  }
  void tell() {
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
  }
  void open() {
    {
      const std::lock_guard lock(mutex_);
      is_open_ = true;
    }
    changed_.notify_all();
  }
  int total() {
    const std::lock_guard lock(mutex_);
    return total_;
  }
  std::vector<std::thread::id> threads() {
    const std::lock_guard lock(mutex_);
    std::vector<std::thread::id> threads;
    for (const auto& [thread, index] : begun_) {
      threads.push_back(thread);
    }
    return threads;
  }
  int index_of(std::thread::id thread) {
    const std::lock_guard lock(mutex_);
    return begun_.at(thread);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::thread::id, int> begun_;  // The index of each one's newest leaf.
  std::map<std::thread::id, int> permits_;
  int total_ = 0;
  bool is_open_ = false;
  std::function<void()> after_step_ = [] {};
};

// Returns when the timer has done all that was due before.
inline void let_timer_fire() {
  taskctx::JobPool other{{.concurrency = 1}};
  other.submit_after(absl::ZeroDuration(), [] {}).get();
}

constexpr int kIndices = 400;

// Counts how often each index was there.
class Indices {
 public:
  void add(int i) { ++counts_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] bool were_all_there_once() const {
    return std::all_of(counts_.begin(), counts_.end(),
                       [](const auto& count) { return count == 1; });
  }
  [[nodiscard]] bool was_there(int i) const { return counts_[static_cast<std::size_t>(i)] != 0; }

 private:
  std::vector<std::atomic<int>> counts_ = std::vector<std::atomic<int>>(kIndices);
};

using Leaf = std::function<void(int)>;
using Range = ctbb::blocked_range<int>;
struct Loop {
  const char* name;
  void (*run)(const Leaf& leaf);  // Calls it with the first index of each leaf.
};
inline void PrintTo(const Loop& loop, std::ostream* out) { *out << loop.name; }

// All loops whose threads can go after one leaf.
template <typename... Options>
void index_loop(const Leaf& leaf) {
  ctbb::parallel_for(0, kIndices, leaf, Options()...);
}
inline void affinity_loop(const Leaf& leaf) {
  ctbb::affinity_partitioner partitioner;
  ctbb::parallel_for(0, kIndices, leaf, partitioner);
}
inline void context_loop(const Leaf& leaf) {
  ctbb::task_group_context context;
  ctbb::parallel_for(0, kIndices, 1, leaf, ctbb::auto_partitioner(), context);
}
inline void item_loop(const Leaf& leaf) {
  std::vector<int> items(kIndices);
  std::iota(items.begin(), items.end(), 0);
  ctbb::parallel_for_each(items, [&](int item) { leaf(item); });
}
template <typename Partitioner>
void range_loop(const Leaf& leaf) {
  ctbb::parallel_for(
      Range(0, kIndices), [&](const Range& range) { leaf(range.begin()); }, Partitioner());
}
constexpr Loop kLoops[] = {
    {"Indices", &index_loop<>},
    {"IndicesAuto", &index_loop<ctbb::auto_partitioner>},
    {"IndicesSimple", &index_loop<ctbb::simple_partitioner>},
    {"IndicesStatic", &index_loop<ctbb::static_partitioner>},
    {"IndicesAffinity", &affinity_loop},
    {"IndicesContext", &context_loop},
    {"Items", &item_loop},
    {"RangesAuto", &range_loop<ctbb::auto_partitioner>},
    {"RangesSimple", &range_loop<ctbb::simple_partitioner>},
};

// A loop of a job that keeps all threads of a pool in their leaves, and a timed job.
class BusyPool {
 public:
  // `in_leaf(i)` is called first in each leaf.
  BusyPool(
      taskctx::JobPool& pool, void (*loop)(const Leaf&), Leaf in_leaf = [](int) {})
      : pool_(pool),
        job_(pool.submit([this, loop, in_leaf = std::move(in_leaf)] {
                   owner_ = std::this_thread::get_id();
                   loop([&](int i) {
                     indices_.add(i);
                     in_leaf(i);
                     leaves_.step(i);
                   });
                 })
                 .shared()) {
    leaves_.wait_for(static_cast<std::size_t>(pool.concurrency()));
  }

  // Lets `timed` be due, and one of the threads that work for the job's go on. Returns how many
  // leaves began then, before the timed job.
  template <typename F>
  int leaves_before(F timed) {
    const int before = leaves_.total();
    timed_ = pool_.submit_after(absl::ZeroDuration(), [this, before, timed = std::move(timed)] {
      begin(before);
      timed();
    });
    has_timed_ = true;
    let_timer_fire();
    return let_one_go();
  }
  int let_one_go() {
    for (const std::thread::id thread : leaves_.threads()) {
      if (thread != owner_) {
        index_ = leaves_.index_of(thread);
        leaves_.let_go(thread, [&] { return has_begun_.load(); });
        break;
      }
    }
    return has_begun_ ? begun_ : -1;
  }
  // To be called in the timed job.
  void begin(int before) {
    begun_ = leaves_.total() - before;
    has_begun_ = true;
    leaves_.tell();
  }
  void end() {
    leaves_.open();
    if (has_timed_) {
      timed_.get();
    }
    job_.get();
  }

  taskctx::SharedJob<void>& job() { return job_; }
  Leaves& leaves() { return leaves_; }
  Indices& indices() { return indices_; }
  // The index in which the thread was that was let go.
  [[nodiscard]] int index() const { return index_; }

 private:
  taskctx::JobPool& pool_;
  Leaves leaves_;
  Indices indices_;
  std::thread::id owner_;
  std::atomic<bool> has_begun_{false};
  int begun_ = -1;
  std::atomic<int> index_{-1};
  taskctx::SharedJob<void> job_;
  bool has_timed_ = false;
  taskctx::Job<void> timed_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_BUSY_LOOP_H_
