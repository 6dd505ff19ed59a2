// SPDX-License-Identifier: Apache-2.0
//
// The defaults of variables that are computed when they are first needed.

#ifndef TASKCTX_INTERNAL_CORE_COMPUTED_DEFAULT_H_
#define TASKCTX_INTERNAL_CORE_COMPUTED_DEFAULT_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class Variable;

// Runs `compute(call)` in an empty context. Throws LookupError if the default of `variable` is
// being computed around here already.
void compute_default(const Variable& variable, void (*compute)(const void* call), const void* call);

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_COMPUTED_DEFAULT_H_
