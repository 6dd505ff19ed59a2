// SPDX-License-Identifier: Apache-2.0
//
// Writing in the current context: in place while only its activation has the node, else in a copy
// (copy on write).

#ifndef TASKCTX_INTERNAL_CORE_WRITE_H_
#define TASKCTX_INTERNAL_CORE_WRITE_H_

#include <atomic>
#include <cstdint>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Puts `fresh` in the place of what is set under `key` in the current context, and returns that. An
// entry without key stands for "unset", both ways. References to boxes change hands, they are not
// counted; the key says of which kind a reference is, also that of what is returned. Gives the
// activation its id if it has none. Throws std::bad_alloc; nothing has changed
// then.
Entry exchange(std::uint64_t key, Entry fresh);

// Tells whether the current activation has begun with this entry, which is set here.
bool is_inherited(const Entry& entry) noexcept;

// Sets everything that is set in `bindings`, which the caller pins, in the current context, too.
// Throws std::bad_alloc; nothing has changed then.
void overlay_current(Node* bindings);

// Where a variable's entry is, or would be.
struct Location {
  Node* leaf;
  Entry* entry;
};

// Locates the variable if `activation`, the current one, may write it in place; returns no leaf if
// not. What has a place of its own nowhere in the node, or in a packed leaf, takes the long way.
template <bool kBoxed>
[[gnu::always_inline]] inline Location locate_writable(const Variable& variable, std::uint64_t key,
                                                       const Activation* activation) {
  Node* node = current_node();
  // Nobody else can take a reference to a node that only this activation holds: so a count of 1
  // stays 1.
  if (activation->node == node && node->refs.is_one()) [[likely]] {
    // Relaxed: only the owner changes it. Where something is borrowed or lent, boxes, and children
    // of a wide node, take the long way.
    const bool has_loan = node->lender.load(std::memory_order_relaxed) != 0;
    const auto offset = static_cast<std::uint32_t>(key);
    if (offset < node->limit) [[likely]] {
      if (!kBoxed || !has_loan) [[likely]] {
        node->version.store(0, std::memory_order_relaxed);
        return {node, entry_at(node, kBoxed ? offset - kBoxedBit : offset)};
      }
    } else if (const std::uint32_t number = variable.leaf_number();
               number < node->count && !has_loan) {
      Node* const leaf = child_of(node, number);
      if (leaf->refs.is_one()) [[likely]] {
        node->version.store(0, std::memory_order_relaxed);
        return {leaf, at_position<Entry>(leaf, variable.leaf_position())};
      }
    }
  }
  return {nullptr, nullptr};
}

// The two halves of exchange(), short where nothing has to be copied. `activation` is the current
// one, before and after: the first write of a thread changes it.
template <bool kBoxed>
[[gnu::always_inline]] inline Entry set_entry(const Variable& variable, std::uint64_t key,
                                              std::uint64_t word, Activation*& activation) {
  if (const Location at = locate_writable<kBoxed>(variable, key, activation); at.leaf != nullptr)
      [[likely]] {
    if (at.entry->key == key) {
      const std::uint64_t old = at.entry->word;
      at.entry->word = word;
      return {key, old};
    }
    if (at.entry->key == 0 && !is_deep(key)) {  // A deep slot is elsewhere.
      at.entry->key = key;
      at.entry->word = word;
      if constexpr (kBoxed) {
        ++at.leaf->boxes;
      }
      return {};
    }
  }
  const Entry old = exchange(key, {key, word});
  activation = current_activation();
  return old;
}
template <bool kBoxed>
[[gnu::always_inline]] inline Entry unset_entry(const Variable& variable, std::uint64_t key,
                                                Activation*& activation) {
  const Location at = locate_writable<kBoxed>(variable, key, activation);
  if (at.leaf != nullptr && at.entry->key == key) [[likely]] {
    at.entry->key = 0;
    if constexpr (kBoxed) {
      --at.leaf->boxes;
    }
    return {key, at.entry->word};
  }
  const Entry old = exchange(key, {});
  activation = current_activation();
  return old;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_WRITE_H_
