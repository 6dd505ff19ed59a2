// SPDX-License-Identifier: Apache-2.0
//
// Node: the storage of one context: slots behind a reference count.
//
//   Entry  | key | word |                    key 0: nothing is set here
//   key    the variable's (key.h); it leads to the entry's place
//   word   a small trivially copyable value, or a pointer to a Box that all nodes with it share
//
// Every variable has a slot of its own, so a look-up is arithmetic, a load or two, and a comparison
// of keys. A slot is given again after its variable's death, with another generation: so no key is
// ever used twice, and what a dead variable left in some context can't be taken for the value of
// its successor.
//
// A context is one leaf. Dense is the usual one, with a place for each slot up to the highest.
// Where few of many variables are set, it is packed: a table in which an entry is where the lowest
// bits of its slot say, or behind that. A context with more variables, in slots from 62 on, is a
// tree, of which a write copies one path. The first 3,968 slots are two loads further away, the
// others hang in a radix tree.
//
//   dense  | header | entry 0 | entry 1 | ...               up to 62 entries; `limit`
//   packed | header | entry | entry | ...                   2 to 64 of them, a power of 2; `mask`
//   wide   | header | deep | leaf 0 | leaf 1 | ...          `count` dense leaves of 62 entries
//   inner  | header | - | child 0 | ... | child 63 |        below `deep`; the height is in `limit`
//
// A node that more than one owner can see never changes; a node with one reference is written in
// place by that owner, if all above it have one reference, too.
//
// What a task inherits it usually leaves as it is. So when it writes for the first time, the copy
// of the node does not count all values that it has now in common with the first node: it borrows
// them. The lender is the first node, or the one that has lent to that. An entry (or a child of a
// wide node) that the lender has, too, is borrowed; all others are the node's own. Who has made the
// copy sees to it that the lender stays: the guard around the task does. As soon as the copy is
// captured it keeps its lender itself, by one reference (settle()). So the counts of values that
// many tasks inherit do not change at all. If a node hides a value of its lender then, it counts
// all that it has borrowed, and leaves its lender: so a value that nobody can get ends.

#ifndef TASKCTX_INTERNAL_CORE_NODE_H_
#define TASKCTX_INTERNAL_CORE_NODE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/ref_count.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Memory for any small value, or a pointer: values are read in it through their own type.
using Word [[gnu::may_alias]] = std::uint64_t;

struct Entry {
  std::uint64_t key = 0;
  Word word = 0;

  friend bool operator==(const Entry&, const Entry&) = default;
};
static_assert(sizeof(Entry) == kSlotSize);

// The part of a boxed value that is the same for all types; the value follows in TypedBox.
struct Box : Mortal {
  explicit Box(VariableRecord* owner) noexcept : Mortal(owner) {}

  // Returns the record, which is counted. It keeps the name, and knows how to destroy the value.
  [[nodiscard]] VariableRecord* record() const noexcept {
    return static_cast<VariableRecord*>(rule);
  }
};

// Drop one reference; the last one destroys the value, which may run any code of the user's.
void release(Box* box) noexcept;
void release_spread(Box* box) noexcept;

inline Box* box_of(const Entry& entry) noexcept { return reinterpret_cast<Box*>(entry.word); }

// Count what `entry` holds: inline values hold nothing. The reference is a plain one.
inline void add_ref(const Entry& entry) noexcept {
  if ((entry.key & kBoxedBit) != 0) {
    box_of(entry)->refs.add_plain();
  }
}
// Drops such a reference, or another one, if the key says so.
inline void release(const Entry& entry) noexcept {
  if ((entry.key & kBoxedBit) != 0) {
    (entry.key & kSpreadBit) == 0 ? release(box_of(entry)) : release_spread(box_of(entry));
  }
}

struct Node {
  RefCount refs;
  std::uint32_t limit = 0;  // Of a dense leaf: size of the entries in bytes.
  std::uint16_t mask = 0;   // Of a packed one: offset of the last entry.
  std::uint8_t count = 0;   // How many children there are; missing ones are empty leaves.
  std::uint8_t boxes = 0;   // How many boxes a leaf owns.
  std::atomic<std::uint64_t> version{0};  // Of the content, of a root; 0 until it is asked for.
  // Of a root: the node that has lent what is not its own, as loan.h says; or 0.
  std::atomic<std::uintptr_t> lender{0};
};

static_assert(sizeof(Node) == kNodeHeader);  // Entries or children follow.

// The node of every context in which nothing is set. It is not counted. (But another copy of the
// library counts it, because it is not that copy's own.)
extern Node empty_node;
// What a look-up finds where a node has no place for a variable.
extern const Entry no_entry;

// Makes a reference, as RefCount::add() does. What the node has borrowed is settled then.
bool share_slowly(Node* node) noexcept;
[[nodiscard]] inline bool share(Node* node) noexcept {
  if (node == &empty_node) {
    return false;
  }
  const RefCount::Added added = node->refs.try_add();
  return added != RefCount::Added::no ? added == RefCount::Added::spread : share_slowly(node);
}

void destroy(Node* node) noexcept;

// Drops one reference, of this kind. Returns whether it was the last, so that the caller is to
// destroy the node.
inline bool drop_ref(Node* node, bool is_spread) noexcept {
  return node != &empty_node && (is_spread ? node->refs.drop_spread() : node->refs.drop());
}
inline void release(Node* node, bool is_spread) noexcept {
  if (drop_ref(node, is_spread)) {
    destroy(node);
  }
}
// Does so with what an activation has written, which is no Context's.
inline void release_written(Node* node) noexcept { release(node, /*is_spread=*/false); }

// Returns a number that stands for the content of a context with this root: two roots with the same
// number have the same content. Thread-safe as reading the node is. O(1).
std::uint64_t version_of(Node* node) noexcept;

// Returns what is `position` bytes after the beginning of the node.
template <typename T>
inline T* at_position(const Node* node, std::uint32_t position) noexcept {
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<Node*>(node));
  return reinterpret_cast<T*>(bytes + position);
}

// Returns the entry at the byte offset `offset` < leaf->limit.
inline Entry* entry_at(const Node* leaf, std::uint32_t offset) noexcept {
  return at_position<Entry>(leaf, kNodeHeader + offset);
}

// Finds what is set under `key`, whatever its slot, or nullptr.
const Entry* find_entry(const Node* node, std::uint64_t key) noexcept;

// Returns what is set under `key`, or an entry without key.
inline Entry entry_or_none(const Node* node, std::uint64_t key) noexcept {
  const Entry* entry = find_entry(node, key);
  return entry != nullptr ? *entry : Entry{};
}

// Finds the first entry that is set, from `slot` on, and moves `slot` there; nullptr if there is
// none.
const Entry* next_entry(const Node* node, std::uint32_t& slot) noexcept;

// Returns the link to child `number` of a wide node.
inline Node*& child_of(const Node* node, std::uint32_t number) noexcept {
  return *at_position<Node*>(
      node, kNodeHeader + (number + 1) * static_cast<std::uint32_t>(sizeof(Node*)));
}

// Locates the entry of a variable whose slot is not beyond the leaves of a wide node: with another
// key, or none, if the variable is not set; in a packed leaf it may be elsewhere then. kBoxed is
// the key's own bit, known from the type of the value.
template <bool kBoxed>
[[gnu::always_inline]] inline const Entry* locate(const Node* node, const Variable& variable,
                                                  std::uint64_t key) noexcept {
  const auto offset = static_cast<std::uint32_t>(key);
  if (offset < node->limit) [[likely]] {
    return entry_at(node, kBoxed ? offset - kBoxedBit : offset);
  }
  if (const std::uint32_t number = variable.leaf_number(); number < node->count) {
    return at_position<Entry>(child_of(node, number), variable.leaf_position());
  }
  return node->mask != 0 ? entry_at(node, offset & node->mask) : &no_entry;
}

// Do what find_entry() does, for the key of a variable. The second one throws if the variable was
// refused: such a variable has a deep key, so that it comes here.
inline const Entry* find_entry_of(const Node* node, const Variable& /*variable*/,
                                  std::uint64_t key) noexcept {
  return find_entry(node, key);
}
const Entry* find_usable_entry(const Node* node, const Variable& variable, std::uint64_t key);

// Finds what is set in a context with any number of variables, or nullptr.
template <bool kBoxed, auto kFindDeep = find_entry_of>
inline const Entry* lookup(const Node* node,
                           const Variable& variable) noexcept(noexcept(kFindDeep(node, variable,
                                                                                 0))) {
  const std::uint64_t key = variable.key();
  const Entry* entry = locate<kBoxed>(node, variable, key);
  if (entry->key == key) [[likely]] {
    return entry;
  }
  return is_deep(key) || node->mask != 0 ? kFindDeep(node, variable, key) : nullptr;
}

// The owner of one reference to a node. A copy takes another one.
class NodeRef {
 public:
  NodeRef() = default;
  // Takes over a reference that the caller has, by default a plain one.
  static NodeRef adopt(Node* node, bool is_spread = false) noexcept { return {node, is_spread}; }
  // Takes a reference of its own.
  static NodeRef share(Node* node) noexcept { return {node, internal::share(node)}; }
  NodeRef(const NodeRef& other) noexcept : NodeRef(share(other.get())) {}
  NodeRef(NodeRef&& other) noexcept : bits_(std::exchange(other.bits_, nothing())) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~NodeRef() { release(get(), is_spread()); }

  [[nodiscard]] Node* get() const noexcept { return reinterpret_cast<Node*>(bits_ & ~kSpread); }
  [[nodiscard]] bool is_spread() const noexcept { return (bits_ & kSpread) != 0; }
  // Gives the reference, of either kind, to the caller, who has asked of which.
  [[nodiscard]] Node* detach() noexcept {
    Node* const node = get();
    bits_ = nothing();
    return node;
  }
  // Gives a plain reference to the caller.
  [[nodiscard]] Node* detach_plain() noexcept;
  // Drops the reference. Returns the node if it was the last one: the caller destroys it then.
  [[nodiscard]] Node* drop() noexcept {
    const bool was_spread = is_spread();
    Node* const node = detach();
    return drop_ref(node, was_spread) ? node : nullptr;
  }

 private:
  static constexpr std::uintptr_t kSpread = 1;
  static std::uintptr_t nothing() noexcept { return reinterpret_cast<std::uintptr_t>(&empty_node); }

  NodeRef(Node* node, bool is_spread) noexcept
      : bits_(reinterpret_cast<std::uintptr_t>(node) | (is_spread ? kSpread : 0)) {}

  std::uintptr_t bits_ = nothing();
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_NODE_H_
