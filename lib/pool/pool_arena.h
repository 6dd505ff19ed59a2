// SPDX-License-Identifier: Apache-2.0
//
// PoolArena: the arena of oneTBB that a pool's shells run in: the pool's own, or a user's.

#ifndef TASKCTX_LIB_POOL_POOL_ARENA_H_
#define TASKCTX_LIB_POOL_POOL_ARENA_H_

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class PoolArena {
 public:
  // Makes an arena of the pool's own.
  PoolArena(int threads, JobPriority priority);
  // Uses one of the user's, which is initialised, and outlives the pool.
  explicit PoolArena(oneapi::tbb::task_arena& arena) noexcept;
  PoolArena(const PoolArena&) = delete;
  PoolArena& operator=(const PoolArena&) = delete;
  ~PoolArena() = default;

  [[nodiscard]] oneapi::tbb::task_arena& get() noexcept { return arena_; }
  [[nodiscard]] bool is_own() const noexcept { return &arena_ == &own_; }
  // Ends the pool's own arena.
  void terminate() noexcept { own_.terminate(); }
  // How many threads of oneTBB's it can have.
  [[nodiscard]] int threads() const noexcept { return threads_; }
  // The group in which calls are answered.
  [[nodiscard]] oneapi::tbb::task_group_context& answers() noexcept { return answers_; }

 private:
  oneapi::tbb::task_arena own_;
  oneapi::tbb::task_arena& arena_;
  oneapi::tbb::task_group_context answers_{oneapi::tbb::task_group_context::isolated};
  const int threads_;
};

// Returns how many threads of oneTBB's an arena that is initialised can have: what is reserved is
// for threads that enter it, and what is enqueued gets none of those.
int workers_of(const oneapi::tbb::task_arena& arena) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_POOL_ARENA_H_
