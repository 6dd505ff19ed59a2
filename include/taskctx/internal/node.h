// SPDX-License-Identifier: Apache-2.0
//
// Node: the storage of one context, an array of slots behind a reference count.
//
//   Node   | refs | limit | boxes | entry 0 | entry 1 | entry 2 | ...
//   Entry  | key | word |                    key 0: nothing is set here
//   key    | generation : 32 | slot * 16 : 31..4 | 0 | boxed : bit 0 |
//   word   a small trivially copyable value, or a pointer to a Box that all nodes with it share
//
// Every variable has a slot of its own, so a look-up is a bounds check, one load and a comparison
// of keys. A slot is given again after its variable's death, with another generation: so no key is
// ever used twice, and what a dead variable left in some context can't be taken for the value of
// its successor.
//
// A node that more than one owner can see never changes; a node with one reference is written in
// place by that owner.

#ifndef TASKCTX_INTERNAL_NODE_H_
#define TASKCTX_INTERNAL_NODE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "taskctx/internal/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Entry {
  std::uint64_t key = 0;
  alignas(8) unsigned char word[8] = {};
};

// The part of a boxed value that is the same for all types; the value follows in TypedBox.
struct Box {
  explicit Box(VariableRecord* owner) noexcept : record(owner) { add_ref(record); }

  std::atomic<std::uint32_t> refs{1};
  VariableRecord* const record;  // Keeps the name, and knows how to destroy the value.
};

inline void add_ref(Box* box) noexcept { box->refs.fetch_add(1, std::memory_order_relaxed); }
// Drops one reference; the last one destroys the value, which may run any code of the user's.
void release(Box* box) noexcept;

inline Box* box_of(const Entry& entry) noexcept {
  Box* box;
  __builtin_memcpy(&box, entry.word, sizeof box);
  return box;
}

struct Node {
  std::atomic<std::uint32_t> refs;
  std::uint32_t
      limit;  // Size of the array of entries in bytes: the first offset that is out of bounds.
  std::uint32_t
      boxes;  // How many entries are boxed: a node without any is copied and destroyed in one go.
};

// Places the entries behind the header, aligned for the words in them.
inline constexpr std::size_t kNodeHeader = 16;
static_assert(sizeof(Node) <= kNodeHeader && kNodeHeader % alignof(Entry) == 0);

// Is the node of every context in which nothing is set. It is not counted.
extern Node empty_node;

inline void add_ref(Node* node) noexcept {
  if (node != &empty_node) {
    node->refs.fetch_add(1, std::memory_order_relaxed);
  }
}

// Returns a copy of `node` with one reference, and with room for the entry at `offset`. Throws
// std::bad_alloc.
Node* clone(const Node* node, std::uint32_t offset);
void destroy(Node* node) noexcept;

inline void release(Node* node) noexcept {
  // The release order publishes what this owner read or wrote to the one who frees or reuses the
  // node; destroy() and the in-place write in current.h acquire it.
  if (node != &empty_node && node->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    destroy(node);
  }
}

// Returns the entry at the byte offset `offset` < node->limit.
inline Entry* entry_at(const Node* node, std::uint32_t offset) noexcept {
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<Node*>(node));
  return reinterpret_cast<Entry*>(bytes + kNodeHeader + offset);
}

// Finds what is set under `key`, or nullptr. kBoxed is the key's own bit, known from the type of
// the value.
template <bool kBoxed>
inline const Entry* lookup(const Node* node, std::uint64_t key) noexcept {
  const auto offset = static_cast<std::uint32_t>(key);
  if (offset >= node->limit) {
    return nullptr;
  }
  const Entry* entry = entry_at(node, kBoxed ? offset - kBoxedBit : offset);
  return entry->key == key ? entry : nullptr;
}

// Owns one reference to a node, or nothing. A copy takes a reference of its own.
class NodeRef {
 public:
  NodeRef() = default;
  // Takes over a reference that the caller has.
  static NodeRef adopt(Node* node) noexcept { return NodeRef(node); }
  // Takes a reference of its own.
  static NodeRef share(Node* node) noexcept {
    add_ref(node);
    return NodeRef(node);
  }
  NodeRef(const NodeRef& other) noexcept : node_(other.node_) { add_ref(node_); }
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, &empty_node)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef() { release(node_); }

  [[nodiscard]] Node* get() const noexcept { return node_; }
  // Gives the reference to the caller.
  [[nodiscard]] Node* detach() noexcept { return std::exchange(node_, &empty_node); }

 private:
  explicit NodeRef(Node* node) noexcept : node_(node) {}

  Node* node_ = &empty_node;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_NODE_H_
