// SPDX-License-Identifier: Apache-2.0
//
// The core's locks around fork(): all are taken before and given back behind it, so that a child
// finds nothing half done, whatever other threads were at.

#ifndef TASKCTX_LIB_CORE_FORKING_H_
#define TASKCTX_LIB_CORE_FORKING_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Sees to that, from the first call on. That happens when the library is loaded, or when who has
// locks that are taken before the core's registers a handler of its own: the last one that is
// registered is the first to be called.
bool handle_forks() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_FORKING_H_
