// SPDX-License-Identifier: Apache-2.0
//
// A pool's arena: how many threads it has, and with what priority.

#include "lib/pool/pool_arena.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

oneapi::tbb::task_arena::priority priority_of(JobPriority priority) {
  switch (priority) {
    case JobPriority::low:
      return oneapi::tbb::task_arena::priority::low;
    case JobPriority::high:
      return oneapi::tbb::task_arena::priority::high;
    case JobPriority::normal:
      break;
  }
  return oneapi::tbb::task_arena::priority::normal;
}

int threads_of(int concurrency) {
  return concurrency != 0 ? concurrency : oneapi::tbb::info::default_concurrency();
}

}  // namespace

int workers_of(const oneapi::tbb::task_arena& arena) noexcept {
  struct Arena : oneapi::tbb::task_arena {
    static int reserved(const oneapi::tbb::task_arena& arena) noexcept {
      return static_cast<int>(arena.*(&Arena::my_num_reserved_slots));
    }
  };
  const int slots = arena.max_concurrency();
  return slots == 1 ? 1 : slots - Arena::reserved(arena);  // Of one slot oneTBB makes two.
}

PoolArena::PoolArena(int threads, JobPriority priority)
    : own_(threads_of(threads), /*reserved_for_masters=*/0, priority_of(priority)),
      arena_(own_),
      threads_(threads_of(threads)) {}

PoolArena::PoolArena(oneapi::tbb::task_arena& arena) noexcept
    : arena_(arena), threads_(workers_of(arena)) {}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
