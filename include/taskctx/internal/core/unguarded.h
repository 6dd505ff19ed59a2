// SPDX-License-Identifier: Apache-2.0
//
// What a thread writes outside any guard: in its root, or, while it waits with a hidden context, in
// a Foreign. The thread's end releases both.

#ifndef TASKCTX_INTERNAL_CORE_UNGUARDED_H_
#define TASKCTX_INTERNAL_CORE_UNGUARDED_H_

#include <cstdint>
#include <memory>

#include "taskctx/internal/core/activation.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Return the current activation, which has an id then: one that another thread may stand in for.
// The first one is for `current` without an id. Throw std::bad_alloc.
Activation* identify(Activation* current);
inline Activation* identified_activation() {
  // (The analyzer does not know what the inline assembly sets.)
  Activation* const current = current_activation();
  return current->id != 0 ? current : identify(current);  // NOLINT(clang-analyzer-core*)
}

// Tells whether this is the one that this thread writes in while it is in no guard.
bool is_root(const Activation* activation) noexcept;

// Tells whether this is what is current on this thread while no guard is there, and it does not
// wait within one.
inline bool is_outermost(const Activation* activation) noexcept {
  return is_root(activation) || activation == &no_activation;
}

// Tells whether the thread is in no guard, or waits.
bool is_unguarded(const Activation* activation) noexcept;

// The owner of what foreign code (a task that taskctx did not create) has written on a thread while
// a context was hidden below it on the stack: the thread's root may be that context. Rare, so each
// has memory of its own.
struct Foreign : Activation {
  Foreign* next = nullptr;
};

// Takes this from the thread, if it is one of the thread's; else returns nullptr.
std::unique_ptr<Foreign> take_foreign(const Activation* activation) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_UNGUARDED_H_
