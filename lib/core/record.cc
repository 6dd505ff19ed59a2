// SPDX-License-Identifier: Apache-2.0
//
// The end of a record.

#include "taskctx/internal/core/record.h"

#include <atomic>

namespace taskctx {
inline namespace v1 {
namespace internal {

void release(VariableRecord* record) noexcept {
  // The release publishes what this owner did with the record; the last owner acquires it here.
  if (!record->permanent && record->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete record;
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
