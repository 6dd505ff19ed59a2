// SPDX-License-Identifier: Apache-2.0
//
// The handlers of a fork, with the order of the core's locks.

#include "lib/core/forking.h"

#include <pthread.h>

#include <atomic>

#include "lib/core/node_memory.h"
#include "lib/core/slot_registry.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/layer.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/watch.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

constinit std::atomic<bool> is_handled{false};

// No thread takes one of these locks while it has another, and no user's code runs with any.
void lock_all() noexcept {
  SlotRegistry::get().lock();
  lock_observers();
  lock_all_layers();
  lock_thrown();
  lock_threads();
}

void unlock_all(bool is_child) noexcept {
  if (is_child) {  // Of what spins until another thread has done something.
    // Relaxed: there is one thread. Each copy of the library counts: see process_number().
    process_wide().forks.fetch_add(1, std::memory_order_relaxed);
    forget_lookers();
  }
  unlock_threads(is_child);
  unlock_thrown();
  unlock_all_layers();
  unlock_observers();
  SlotRegistry::get().unlock();
}

}  // namespace

bool handle_forks() noexcept {
  // Without a lock or a static object's guard: malloc() may come here again.
  return is_handled.exchange(true, std::memory_order_relaxed) ||
         pthread_atfork(
             &lock_all, [] { unlock_all(/*is_child=*/false); },
             [] { unlock_all(/*is_child=*/true); }) == 0;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
