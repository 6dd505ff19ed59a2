// SPDX-License-Identifier: Apache-2.0
//
// The core's locks around fork(): all are taken before it and given back after it. So a child finds
// nothing half done, whatever other threads were doing.

#ifndef TASKCTX_LIB_CORE_FORKING_H_
#define TASKCTX_LIB_CORE_FORKING_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Does that for each fork, from the first call on. The library calls it when it is loaded. Code
// whose locks are taken before the core's calls it before it registers its own handler: the handler
// that was registered last is called first.
bool handle_forks() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_FORKING_H_
