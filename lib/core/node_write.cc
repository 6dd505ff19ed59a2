// SPDX-License-Identifier: Apache-2.0
//
// Copy on write, where a NodeRef is the owner.

#include "taskctx/internal/core/node_write.h"

#include <cstdint>
#include <utility>

#include "lib/core/loan.h"
#include "lib/core/node_forms.h"
#include "lib/core/node_memory.h"
#include "lib/core/writable.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

Entry exchange_in(NodeRef& owner, std::uint64_t key, Entry fresh) {
  Node* const node = owner.get();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};
  }
  // Nobody else writes in the node meanwhile, but its other owners may release it.
  const auto is_exclusive = [&] { return !owner.is_spread() && node->refs.is_one(); };
  NodeSupply supply;
  Writable writable = try_make_writable(node, is_exclusive(), key, Loan());
  while (writable.node == nullptr) {
    fetch_to_write(supply, node, is_exclusive(), key, Loan());
    writable = try_make_writable(node, is_exclusive(), key, Loan());
  }
  NodeRef left;  // Released last: what it has alone ends with it.
  if (writable.node != node) {
    left = std::exchange(owner, NodeRef::adopt(writable.node));
  }
  writable.node->version.store(0, std::memory_order_relaxed);
  return put(writable, fresh);
}

void move_in(NodeRef& owner, Entry entry) {
  Entry old;
  try {
    old = exchange_in(owner, entry.key, entry);
  } catch (...) {
    release(entry);
    throw;
  }
  release(old);
}

void put_in(NodeRef& owner, Entry entry) {
  add_ref(entry);  // First: operator new may release what has it.
  move_in(owner, entry);
}

NodeRef overlay_on(NodeRef base, const Node* over) {
  std::uint32_t slot = 0;
  for (; const Entry* entry = next_entry(over, slot); ++slot) {
    // A slot that was given again may have another variable here. The younger one is not dead.
    if (const Entry* other = entry_of_slot(base.get(), slot);
        other == nullptr || other->key <= entry->key) {
      put_in(base, *entry);
    }
  }
  return base;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
