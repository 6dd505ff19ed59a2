// SPDX-License-Identifier: Apache-2.0
//
// The variable that is set where propagation is suppressed; capture.cc looks for it.

#include "taskctx/suppress_propagation.h"

#include "taskctx/context_var.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit ContextVar<Suppression> suppression{"suppression of propagation"};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
