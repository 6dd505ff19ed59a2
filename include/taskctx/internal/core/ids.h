// SPDX-License-Identifier: Apache-2.0
//
// Ids: the numbers by which activations, and versions of contexts, are told apart.

#ifndef TASKCTX_INTERNAL_CORE_IDS_H_
#define TASKCTX_INTERNAL_CORE_IDS_H_

#include <cstdint>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns a number that no activation and no version has had before in this process; not 0.
std::uint64_t draw_id() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_IDS_H_
