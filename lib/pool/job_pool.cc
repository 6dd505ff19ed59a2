// SPDX-License-Identifier: Apache-2.0
//
// JobPool: what its options may be; and the process's own pool, default_pool().

#include "taskctx/job_pool.h"

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/version.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "lib/pool/pool_arena.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

namespace {

// oneTBB numbers an arena's threads with 16 bits, and uses one of those numbers for no thread.
// Newer versions than 2021.8 count the threads that arenas ask for with 15 bits: a larger arena
// gets none.
int most_threads() noexcept { return TBB_runtime_interface_version() > 12'080 ? 32'767 : 65'535; }

void check(const JobPoolOptions& options) {
  if (options.priority < JobPriority::low || options.priority > JobPriority::high) {
    throw std::invalid_argument("cannot create pool: priority is " +
                                std::to_string(static_cast<int>(options.priority)));
  }
  if (options.when_full < WhenFull::block || options.when_full > WhenFull::run_in_caller) {
    throw std::invalid_argument("cannot create pool: when_full is " +
                                std::to_string(static_cast<int>(options.when_full)));
  }
}

}  // namespace

JobPool::JobPool(JobPoolOptions options) {
  if (options.concurrency < 0 || options.concurrency > most_threads()) {
    throw std::invalid_argument(
        "cannot create pool: concurrency is " + std::to_string(options.concurrency) +
        (options.concurrency < 0 ? std::string()
                                 : ", and oneTBB has at most " + std::to_string(most_threads())));
  }
  check(options);
  auto arena = std::make_unique<internal::PoolArena>(options.concurrency, options.priority);
  core_ = new internal::PoolCore(std::move(options), std::move(arena));
}

JobPool::JobPool(oneapi::tbb::task_arena& arena, JobPoolOptions options) {
  if (options.concurrency != 0) {
    throw std::invalid_argument(
        "cannot create pool: concurrency is given, and the arena has its own");
  }
  if (options.priority != JobPriority::normal) {
    throw std::invalid_argument("cannot create pool: priority is given, and the arena has its own");
  }
  check(options);
  arena.initialize();
  const int threads = internal::workers_of(arena);
  if (threads == 0) {
    throw std::invalid_argument("cannot create pool: all " +
                                std::to_string(arena.max_concurrency()) +
                                " slots of the arena are reserved for threads that enter it");
  }
  if (threads > most_threads()) {
    throw std::invalid_argument("cannot create pool: the arena is for " + std::to_string(threads) +
                                " threads, and oneTBB has at most " +
                                std::to_string(most_threads()));
  }
  core_ = new internal::PoolCore(std::move(options), std::make_unique<internal::PoolArena>(arena));
}

JobPool::~JobPool() { core_->close(); }

int JobPool::concurrency() const noexcept { return core_->concurrency(); }

namespace {

std::atomic<JobPool*> the_default_pool{nullptr};

}  // namespace

namespace internal {

JobPool* existing_default_pool() noexcept {
  return the_default_pool.load(std::memory_order_acquire);  // Pairs with default_pool().
}

}  // namespace internal

// Never destroyed, as code that runs at the program's end may use it: the registry waits for it.
// Several threads may make one, and all but the first to be ready is dropped: without a lock that
// would be held for long, and forever in a process that is forked meanwhile.
JobPool& default_pool() {
  JobPool* pool = the_default_pool.load(std::memory_order_acquire);
  if (pool == nullptr) {
    auto made = std::make_unique<JobPool>(JobPoolOptions{.name = "default"});
    // Releases the pool to those who load the pointer, or fail to exchange it.
    if (the_default_pool.compare_exchange_strong(pool, made.get(), std::memory_order_acq_rel)) {
      pool = made.release();
    }
  }
  return *pool;
}

}  // namespace v1
}  // namespace taskctx
