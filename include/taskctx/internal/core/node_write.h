// SPDX-License-Identifier: Apache-2.0
//
// Writing in nodes that are not current: contexts as values are changed so.
//
//   NodeRef node = NodeRef::share(other);
//   put_in(node, entry);  // `node` is a copy now, if it has other owners

#ifndef TASKCTX_INTERNAL_CORE_NODE_WRITE_H_
#define TASKCTX_INTERNAL_CORE_NODE_WRITE_H_

#include <cstdint>

#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Puts `fresh` in the place of what is set under `key` in the node that `owner` holds, or in a copy
// of it, which `owner` holds then. Returns what was there; that may be what a dead variable has
// left. References to boxes change hands. An entry without key stands for "unset", both ways.
// Throws std::bad_alloc; nothing has changed then.
Entry exchange_in(NodeRef& owner, std::uint64_t key, Entry fresh);

// Do likewise, and release what was there. The first takes over the caller's reference to a box, in
// any case; the second takes one of its own.
void move_in(NodeRef& owner, Entry entry);
void put_in(NodeRef& owner, Entry entry);

// Returns a context with all that is set in `over`, and with the rest of `base`. Throws
// std::bad_alloc.
NodeRef overlay_on(NodeRef base, const Node* over);

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_NODE_WRITE_H_
