// SPDX-License-Identifier: Apache-2.0
//
// The policies of variables, applied where a task is created.

#include "taskctx/internal/core/capture.h"

#include <cstdint>

#include "taskctx/context.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/suppress_propagation.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

using Propagation = VariableRules::Propagation;

NodeRef capture_by_policy() {
  // Copying runs user code, which may change the current context: this holds on to what it was.
  const Context around = copy_context();
  if (around.contains(suppression)) {
    return {};
  }
  const NodeRef current = ContextAccess::node(around);
  NodeRef captured = current;
  propagated_keys.for_each([&](std::uint64_t key) {
    const Entry* entry = find_entry(current.get(), key);
    const RecordRef record(entry != nullptr ? find_record(key) : nullptr);
    if (record == nullptr) {
      return;
    }
    if (record->rules.propagation == Propagation::never) {
      release(exchange_in(captured, key, Entry{}));
    } else if (record->rules.propagation == Propagation::copy) {
      move_in(captured, record->ops->copy(record.get(), *entry));
    }
  });
  return captured;
}

LinkRef link_of(Origin whose) {
  if (const Workplace* const job = whose.tagged_job(); job != nullptr) {
    return job->is_ending() ? LinkRef() : LinkRef::share(const_cast<Workplace*>(job)->link());
  }
  return LinkRef::share(whose.link());
}

LinkRef link_in(Origin origin) { return link_of(origin.whose()); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
