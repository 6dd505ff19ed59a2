// SPDX-License-Identifier: Apache-2.0
//
// Capturing: what a new task gets of its creator's context.

#ifndef TASKCTX_INTERNAL_CORE_CAPTURE_H_
#define TASKCTX_INTERNAL_CORE_CAPTURE_H_

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Captures what a task that is created here starts with: the current bindings, except those that
// have another policy. Throws what copying a value throws, and std::bad_alloc.
NodeRef capture_by_policy();
inline NodeRef capture() {
  return propagated_keys.empty() ? NodeRef::share(current_node()) : capture_by_policy();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_CAPTURE_H_
