// SPDX-License-Identifier: Apache-2.0
//
// The forms of nodes (node.h), for those who go through one: which it is, where its parts are, and
// how large it is.

#ifndef TASKCTX_LIB_CORE_NODE_FORMS_H_
#define TASKCTX_LIB_CORE_NODE_FORMS_H_

#include <cstdint>

#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The size of an inner node in bytes, without the header.
inline constexpr std::uint32_t kInnerSize = (kFanOut + 1) * sizeof(Node*);

// A leaf that stands for every child that is missing. So look-ups need no test.
struct EmptyLeaf {
  Node node;
  Entry entries[kLeafSlots];
};
extern EmptyLeaf empty_leaf;

// Tells it not by the address: another copy of the library may have made the node.
inline bool is_missing(const Node* child) noexcept { return child->refs.is_static(); }

// Tells whether the node is wide, or an inner one: else it is a leaf.
inline bool is_branch(const Node* node) noexcept { return node->count != 0; }
inline bool is_packed(const Node* node) noexcept { return node->mask != 0; }

// Returns how many levels are below an inner node.
inline std::uint32_t height(const Node* inner) noexcept { return inner->limit; }
// Returns how many leaves an inner node of this height may have below it.
inline std::uint64_t capacity(std::uint32_t height) noexcept {
  return std::uint64_t{1} << (6 * height);
}

// Returns the root of all that has no place in a wide node's own leaves.
inline Node*& deep_of(const Node* wide) noexcept { return *at_position<Node*>(wide, kNodeHeader); }

// Returns the size of a wide node with so many children, without the header: such that there is
// room for some more, up to the next multiple of 64 bytes.
inline std::uint32_t wide_size(std::uint32_t count) noexcept {
  constexpr std::uint32_t kStep = 64 / sizeof(Node*);
  return (count + 1 + kStep - 1) / kStep * 64;
}
inline bool has_room(const Node* wide, std::uint32_t count) noexcept {
  return wide_size(count) == wide_size(wide->count);
}

inline std::uint32_t leaf_size(const Node* leaf) noexcept {
  return is_packed(leaf) ? std::uint32_t{leaf->mask} + kSlotSize : leaf->limit;
}

// Calls `f(entry)` for all entries of a leaf that are set.
template <typename F>
void for_each_entry(const Node* leaf, F f) {
  for (Entry *entry = entry_at(leaf, 0), *end = entry_at(leaf, leaf_size(leaf)); entry != end;
       ++entry) {
    if (entry->key != 0) {
      f(*entry);
    }
  }
}
// Does so for those with a box, until `f` has returned true `most` times.
template <typename F>
void for_boxes(const Node* leaf, std::uint32_t most, F f) {
  for (const Entry* entry = entry_at(leaf, 0); most != 0; ++entry) {
    if ((entry->key & kBoxedBit) != 0 && f(*entry)) {
      --most;
    }
  }
}
template <typename F>
void for_each_box(const Node* leaf, F f) {
  for (const Entry *entry = entry_at(leaf, 0), *end = entry_at(leaf, leaf_size(leaf)); entry != end;
       ++entry) {
    if ((entry->key & kBoxedBit) != 0) {
      f(*entry);
    }
  }
}

// Returns the entry of a slot in a packed leaf; or the free one in which it would have its place;
// or nullptr, if there is neither.
inline Entry* place_in_packed(const Node* leaf, std::uint32_t slot) noexcept {
  const std::uint32_t first = slot * kSlotSize & leaf->mask;
  std::uint32_t offset = first;
  do {
    Entry* const entry = entry_at(leaf, offset);
    if (entry->key == 0 || slot_of(entry->key) == slot) {
      return entry;
    }
    offset = (offset + kSlotSize) & leaf->mask;
  } while (offset != first);
  return nullptr;
}
// Returns the place of a slot in a leaf that has one.
inline Entry* place_in(const Node* leaf, std::uint32_t slot) noexcept {
  return is_packed(leaf) ? place_in_packed(leaf, slot) : entry_at(leaf, slot * kSlotSize);
}

// Returns the entry of a slot, set or not; nullptr if the node has none.
const Entry* entry_of_slot(const Node* node, std::uint32_t slot) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_NODE_FORMS_H_
