// SPDX-License-Identifier: Apache-2.0
//
// The check of reads that find nothing set: none, until a tool sets it.

#include "taskctx/internal/core/miss_check.h"

#include <atomic>

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit std::atomic<MissCheck> miss_check{nullptr};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
