// SPDX-License-Identifier: Apache-2.0

#include "taskctx/internal/pool_registry.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task.h>
#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "taskctx/errors.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

PoolRegistry& PoolRegistry::get() {
  static auto* const registry = new PoolRegistry;
  return *registry;
}

// The handlers come with the first pool: so pools with static storage are destroyed before the one
// for the program's end runs.
PoolRegistry::PoolRegistry() {
  pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                 [] {
                   get().mark_forked();
                   get().mutex_.unlock();
                 });
  (void)std::atexit([] { get().report_what_is_lost(); });
}

void PoolRegistry::add(PoolCore* core, int threads) {
  const std::lock_guard lock(mutex_);
  if (is_forked_) {
    throw JobError(
        "cannot create pool: this process was forked from one that had pools, and oneTBB has no "
        "threads here; call exec after fork");
  }
  cores_.push_back(core);
  change_limit(threads, 0);
}

void PoolRegistry::remove(PoolCore* core, int threads) noexcept {
  const std::lock_guard lock(mutex_);
  cores_.erase(std::find(cores_.begin(), cores_.end(), core));
  change_limit(-threads, 0);
}

// oneTBB has one limit of threads for the whole process, by default the number of cores, and takes
// the smallest value that anybody sets. So all pools share one setting, for the sum of what they
// want and of the threads that block, and never set less than the default.
void PoolRegistry::change_limit(int threads, int blocked) {
  if (threads == 0 && blocked == 0) {
    return;
  }
  const int cores = oneapi::tbb::info::default_concurrency();
  // oneTBB counts one for the thread that waits.
  const int wanted = std::max(cores, threads_ + threads + 1) + blocked_ + blocked;
  std::unique_ptr<oneapi::tbb::global_control> fresh;
  if (wanted > cores) {
    fresh = std::make_unique<oneapi::tbb::global_control>(
        oneapi::tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(wanted));
  }
  limit_ = std::move(fresh);
  threads_ += threads;
  blocked_ += blocked;
}

void PoolRegistry::count_blocked(int threads) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    change_limit(0, threads);
  } catch (...) {  // No memory: the limit stays as it is.
    blocked_ += threads;
  }
}

BlockedThread::BlockedThread() noexcept
    : is_in_task_(oneapi::tbb::task::current_context() != nullptr) {
  if (is_in_task_) {
    PoolRegistry::get().count_blocked(1);
  }
}

BlockedThread::~BlockedThread() {
  if (is_in_task_) {
    PoolRegistry::get().count_blocked(-1);
  }
}

void PoolRegistry::mark_forked() noexcept {
  is_forked_ = !cores_.empty() || is_forked_;
  for (PoolCore* core : cores_) {
    core->flags_.fetch_or(PoolCore::kForked, std::memory_order_relaxed);
  }
}

void PoolRegistry::report_what_is_lost() noexcept {
  if (is_forked_) {
    return;
  }
  if (JobPool* pool = existing_default_pool(); pool != nullptr) {
    (void)pool->drain();
  }
  const std::lock_guard lock(mutex_);
  for (const PoolCore* core : cores_) {
    const JobPoolStats stats = core->stats();
    const std::size_t lost = stats.queued + stats.waiting + stats.running;
    if (lost != 0) {
      report_misuse("cannot finish " + std::to_string(lost) + " jobs of pool '" + core->name() +
                        "': the program ends, and nobody has destroyed the pool",
                    {});
    }
  }
}

}  // namespace internal

namespace {

std::atomic<JobPool*> the_default_pool{nullptr};

}  // namespace

namespace internal {

JobPool* existing_default_pool() noexcept {
  return the_default_pool.load(std::memory_order_acquire);
}

}  // namespace internal

// Never destroyed, as code that runs at the program's end may use it: the registry waits for it.
JobPool& default_pool() {
  static auto* const pool = [] {
    auto* const made = new JobPool(JobPoolOptions{.name = "default"});
    the_default_pool.store(made, std::memory_order_release);
    return made;
  }();
  return *pool;
}

}  // namespace v1
}  // namespace taskctx
