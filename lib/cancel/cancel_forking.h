// SPDX-License-Identifier: Apache-2.0
//
// The locks of deadlines and cancellation around fork(): all are taken before it and given back
// after it, as those of the core are (forking.h).

#ifndef TASKCTX_LIB_CANCEL_CANCEL_FORKING_H_
#define TASKCTX_LIB_CANCEL_CANCEL_FORKING_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Does that for each fork, from the first call on. What uses the timer calls it before that, say
// when it is loaded; code whose locks are taken before these calls it before it registers its own
// handler. Returns whether that was possible.
bool handle_cancel_forks() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CANCEL_CANCEL_FORKING_H_
