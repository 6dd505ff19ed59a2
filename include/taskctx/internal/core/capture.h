// SPDX-License-Identifier: Apache-2.0
//
// Capturing: what a new task gets of its creator: values of the context, and the link.

#ifndef TASKCTX_INTERNAL_CORE_CAPTURE_H_
#define TASKCTX_INTERNAL_CORE_CAPTURE_H_

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"
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

// Returns the link of `whose`: that of a job is made if there is none yet, and is nothing if the
// job is ending. Throws std::bad_alloc.
LinkRef link_of(Origin whose);
// Returns that of the code with this origin, likewise.
LinkRef link_in(Origin origin);
// Captures whose work a task is that is created here. Costs an atomic increment, and for the first
// task of a job an allocation; outside of all jobs and scopes nothing. Throws std::bad_alloc.
inline LinkRef capture_link() {
  // (The analyzer does not know what the inline assembly sets.)
  const Origin origin = current_activation()->origin;  // NOLINT(clang-analyzer-core*)
  return origin.leads_nowhere() ? LinkRef() : link_in(origin);
}

// Both, for a job.
struct Inherited {
  NodeRef node;
  LinkRef link;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_CAPTURE_H_
