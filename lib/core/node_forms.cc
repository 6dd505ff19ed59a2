// SPDX-License-Identifier: Apache-2.0
//
// Looking up in nodes of all forms, and walking over them.

#include "lib/core/node_forms.h"

#include <algorithm>
#include <cstdint>

#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Returns leaf `number` of a wide node; the empty one, or nullptr, if there is none.
const Node* find_leaf(const Node* wide, std::uint64_t number) noexcept {
  if (number < kFanOut) {
    return number < wide->count ? child_of(wide, static_cast<std::uint32_t>(number)) : nullptr;
  }
  number -= kFanOut;
  const Node* child = deep_of(wide);
  if (is_missing(child) || number >= capacity(height(child))) {
    return nullptr;
  }
  for (std::uint32_t level = height(child); level != 0 && !is_missing(child); --level) {
    child = child_of(child, static_cast<std::uint32_t>((number >> (6 * (level - 1))) % kFanOut));
  }
  return child;
}

// Returns an end for the numbers of leaves: greater than that of every leaf.
std::uint64_t leaf_count(const Node* wide) noexcept {
  const Node* const deep = deep_of(wide);
  return is_missing(deep) ? wide->count : kFanOut + capacity(height(deep));
}

// Do what next_entry() does, in a node of one form.
const Entry* next_in_packed(const Node* leaf, std::uint32_t& slot) noexcept {
  const Entry* next = nullptr;
  for_each_entry(leaf, [&](const Entry& entry) {
    const std::uint32_t other = slot_of(entry.key);
    if (other >= slot && (next == nullptr || other < slot_of(next->key))) {
      next = &entry;
    }
  });
  slot = next != nullptr ? slot_of(next->key) : slot;
  return next;
}
const Entry* next_in_dense(const Node* leaf, std::uint32_t first_slot,
                           std::uint32_t& slot) noexcept {
  for (; slot < first_slot + leaf->limit / kSlotSize; ++slot) {
    if (const Entry* entry = entry_at(leaf, (slot - first_slot) * kSlotSize); entry->key != 0) {
      return entry;
    }
  }
  return nullptr;
}
const Entry* next_in_wide(const Node* wide, std::uint32_t& slot) noexcept {
  const std::uint64_t leaves = leaf_count(wide);
  for (std::uint64_t number = slot / kLeafSlots; number < leaves; ++number) {
    const auto first_slot = static_cast<std::uint32_t>(number * kLeafSlots);
    slot = std::max(slot, first_slot);
    const Node* leaf = find_leaf(wide, number);
    if (leaf != nullptr && !is_missing(leaf)) {
      if (const Entry* entry = next_in_dense(leaf, first_slot, slot)) {
        return entry;
      }
    }
  }
  return nullptr;
}

}  // namespace

constinit EmptyLeaf empty_leaf{.node = {.refs = RefCount(RefCount::kStatic), .limit = kLeafLimit},
                               .entries = {}};

const Entry* entry_of_slot(const Node* node, std::uint32_t slot) noexcept {
  std::uint32_t offset = slot * kSlotSize;
  if (is_branch(node)) {
    node = find_leaf(node, slot / kLeafSlots);
    if (node == nullptr) {
      return nullptr;
    }
    offset = slot % kLeafSlots * kSlotSize;
  } else if (is_packed(node)) {
    return place_in_packed(node, slot);
  }
  return offset < node->limit ? entry_at(node, offset) : nullptr;
}

const Entry* find_entry(const Node* node, std::uint64_t key) noexcept {
  const Entry* entry = entry_of_slot(node, slot_of(key));
  return entry != nullptr && entry->key == key ? entry : nullptr;
}

const Entry* find_usable_entry(const Node* node, const Variable& variable, std::uint64_t key) {
  variable.check_usable();
  return find_entry(node, key);
}

const Entry* next_entry(const Node* node, std::uint32_t& slot) noexcept {
  return is_branch(node)   ? next_in_wide(node, slot)
         : is_packed(node) ? next_in_packed(node, slot)
                           : next_in_dense(node, 0, slot);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
