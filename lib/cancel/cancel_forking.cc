// SPDX-License-Identifier: Apache-2.0
//
// The handlers of a fork, with the order of this floor's locks.

#include "lib/cancel/cancel_forking.h"

#include <pthread.h>

#include "lib/core/forking.h"
#include "taskctx/internal/cancel/callback_threads.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/timer.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Each copy of the library takes its own locks: one of them is in use, or none.
void lock_all() noexcept {
  (void)Timer::get();  // So that no thread is in the middle of the first call.
  lock_callback_threads();
  lock_cancel_links();
  Timer::own().lock();
}

void unlock_all(bool is_child) noexcept {
  Timer::own().unlock(is_child);
  unlock_cancel_links(is_child);
  unlock_callback_threads(is_child);
}

// Before threads begin that a fork could meet in the first call.
[[maybe_unused]] const bool forks_are_handled = handle_cancel_forks();

}  // namespace

bool handle_cancel_forks() noexcept {
  static const bool is_handled = [] {
    return handle_forks() &&  // Of the core, whose locks come after ours.
           pthread_atfork(
               &lock_all, [] { unlock_all(/*is_child=*/false); },
               [] { unlock_all(/*is_child=*/true); }) == 0;
  }();
  return is_handled;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
