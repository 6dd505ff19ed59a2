// SPDX-License-Identifier: Apache-2.0
//
// Writes for which set_entry() and unset_entry() are not enough: the first one in an activation,
// and those that copy.

#include "taskctx/internal/core/write.h"

#include <atomic>
#include <cstdint>

#include "lib/core/forking.h"
#include "lib/core/loan.h"
#include "lib/core/node_memory.h"
#include "lib/core/writable.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/watch.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Before threads begin that a fork could meet at work. Here, because nothing is locked in a program
// that never writes.
[[maybe_unused]] const bool forks_are_handled = handle_forks();

// Tells whether the current activation may write in place in `node`, which is current.
bool is_exclusive(const Activation* activation, const Node* node) noexcept {
  return activation->node == node && node->refs.is_one();
}

// Returns from whom a copy of `node`, which is current, is to borrow. What the activation has
// written itself is counted: others may have it in a snapshot, and it is to end with that.
Loan loan_for(const Activation* activation, Node* node) noexcept {
  if (activation->node != node || activation->is_inherited) {
    return loan_from(node);
  }
  return Loan::of(node).as(Loan::Kind::pinned);
}

// Makes a Context keep the lender of its copy of `node`: of other activations the guard does that.
// Returns true if that took the Context's reference to `node`.
bool keep_lender(const Activation* activation, Node* copy, const Node* node) noexcept {
  const Loan loan = Loan::of(copy);
  if (loan.lender() == node) {
    const Loan kept = loan.as(activation->is_spread ? Loan::Kind::spread : Loan::Kind::plain);
    copy->lender.store(kept.bits(), std::memory_order_relaxed);
    return true;
  }
  copy->lender.store(loan.counted().bits(), std::memory_order_relaxed);
  return false;
}

// Operator new may write in the current context: so all is looked at anew after it.
[[gnu::noinline]] Entry fetch_and_exchange(std::uint64_t key, Entry fresh) {
  const Activation* const activation = current_activation();
  Node* const node = current_node();
  NodeSupply supply;
  const bool is_exclusive = internal::is_exclusive(activation, node);
  fetch_to_write(supply, node, is_exclusive, key,
                 is_exclusive ? Loan() : loan_for(activation, node));
  return exchange(key, fresh);
}

}  // namespace

Entry exchange(std::uint64_t key, Entry fresh) {
  Activation* activation = identified_activation();
  Node* node = current_node();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};  // Nothing to unset.
  }
  const bool is_exclusive = internal::is_exclusive(activation, node);
  if (is_exclusive && node->refs.is_left()) [[unlikely]] {
    mend(node);
  }
  const Writable writable = try_make_writable(node, is_exclusive, key,
                                              is_exclusive ? Loan() : loan_for(activation, node));
  if (writable.node == nullptr) [[unlikely]] {
    return fetch_and_exchange(key, fresh);
  }
  Node* left = nullptr;
  bool is_left_spread = false;
  if (activation->node != node) {
    activation->base = node;
  } else if (writable.node != node && (is_exclusive || !is_context(activation) ||
                                       !keep_lender(activation, writable.node, node))) {
    left = node;
    is_left_spread = activation->is_spread;
  }
  if (writable.node != node) {
    activation->node = writable.node;
    set_current(writable.node, activation);
  } else {
    node->version.store(0, std::memory_order_relaxed);
  }
  // Of an exclusive node as well: it has no other reference, so ours may count as a plain one.
  activation->is_spread = false;
  activation->is_inherited = false;
  Entry old = put(writable, fresh);

  // Now the context is whole again, so destructors of values may use it.
  if (left != nullptr) {
    release(left, is_left_spread);
  }
  if ((old.key & ~std::uint64_t{kSpreadBit}) != key && old.key != 0) {
    release(old);  // Left by a dead variable that had the slot before.
    old = Entry{};
  }
  return old;
}

bool is_inherited(const Entry& entry) noexcept {
  const Activation* activation = current_activation();
  if (activation->node == nullptr) {
    return true;  // Nothing has been written here.
  }
  if (is_context(activation)) {
    return false;  // Its bindings are its own.
  }
  const Entry* inherited = find_entry(activation->base, entry.key);
  return inherited != nullptr && inherited->word == entry.word;
}

void overlay_current(Node* bindings) {
  NodeSupply supply;
  supply.keep_freed();  // So that an operator new that writes does not keep us here for ever.
  while (true) {
    Activation* const activation = identified_activation();
    NodeRef before = NodeRef::share(current_node());
    NodeRef fresh = overlay_on(before, bindings);
    if (current_node() != before.get()) {
      continue;
    }
    NodeRef left;
    if (activation->node == before.get()) {
      left = NodeRef::adopt(before.get(), activation->is_spread);
    } else {
      activation->base = before.get();
    }
    const NodeRef after = fresh;  // Keeps it, whatever on_change does.
    activation->node = fresh.detach_plain();
    activation->is_spread = false;
    activation->is_inherited = false;
    set_current(activation->node, activation);
    notify_of_changes(before.get(), after.get(), /*by_switch=*/false);
    return;
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
