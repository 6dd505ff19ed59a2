// SPDX-License-Identifier: Apache-2.0
//
// What users see of thrown.h.

#include "taskctx/context_of.h"

#include <exception>

#include "taskctx/context.h"
#include "taskctx/internal/core/thrown.h"

namespace taskctx {
inline namespace v1 {

Context context_of(const std::exception_ptr& error) noexcept {
  return internal::ContextAccess::make(internal::node_of_thrown(error));
}

}  // namespace v1
}  // namespace taskctx
