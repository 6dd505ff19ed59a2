// SPDX-License-Identifier: Apache-2.0
//
// PoolRegistry: what pools share, and what must know all of them: oneTBB's limit of threads, a
// forked process, the end of the program.

#ifndef TASKCTX_LIB_POOL_POOL_REGISTRY_H_
#define TASKCTX_LIB_POOL_POOL_REGISTRY_H_

#include <oneapi/tbb/global_control.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class PoolRegistry : private TimerEntry {
 public:
  // Returns the one of all copies of the library: oneTBB and its limit are there once.
  static PoolRegistry& get();

  // Adds a pool, and `threads` to oneTBB's limit. Throws JobError in a process that was forked from
  // one with pools: oneTBB's threads are not there.
  void add(PoolCore* core, int threads);
  void remove(PoolCore* core, int threads) noexcept;

  // Has pools be looked after until no shell waits. Costs a load, mostly.
  void watch() noexcept;

 private:
  friend class BlockedThread;

  PoolRegistry() noexcept : TimerEntry(Deadline(), &look) {}
  static PoolRegistry& make() noexcept;
  // Holds mutex_. A function that needs that has a parameter of this type.
  using Lock = std::lock_guard<std::mutex>;
  // Throws std::bad_alloc, changing nothing.
  void change_limit(const Lock& lock, int threads, int blocked);
  void change_limit_if_possible(const Lock& lock, int threads, int blocked) noexcept;
  void count_blocked(int threads) noexcept;
  void start_watching(const Lock& lock) noexcept;
  // Looks after the pools, on the timer's thread, and again while threads block, or shells wait.
  static void look(TimerEntry& self) noexcept;
  // Returns a list of pools that are to be called.
  PoolCore* look() noexcept;
  void look_later(const Lock& lock) noexcept;
  void end_program(int status, bool is_last) noexcept;
  void report_what_is_lost() noexcept;
  void lock_all() noexcept;
  void unlock_all(bool is_child) noexcept;
  template <typename F>
  void for_each_account(F visit) noexcept;

  std::mutex mutex_;
  std::vector<PoolCore*> cores_;
  bool has_had_pools_ = false;  // oneTBB keeps its threads.
  bool is_forked_ = false;
  int threads_ = 0;  // Of all pools.
  int blocked_ = 0;  // Threads in oneTBB's tasks that block for a pool.
  std::unique_ptr<oneapi::tbb::global_control> limit_;

  std::atomic<bool> is_watching_{false};  // look() will come. Written with the mutex.
  absl::Duration until_look_;
  sigset_t signals_{};  // Those blocked where the newest pool was made.
};

// Says that the calling thread blocks until the end of the enclosing block, because it waits for
// something of a pool. If oneTBB runs a task on it, it may be the very thread that the pool lacks:
// leaves outside the pool, or jobs of another one, can keep all of them. So oneTBB may use another
// one meanwhile, and the pool gets one of ours if it does not: see pool_relief.cc. Costs a look, or
// some microseconds. Must not be made with a lock of ours.
class BlockedThread {
 public:
  BlockedThread() noexcept;
  BlockedThread(const BlockedThread&) = delete;
  BlockedThread& operator=(const BlockedThread&) = delete;
  ~BlockedThread();

 private:
  const bool is_in_task_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_POOL_REGISTRY_H_
