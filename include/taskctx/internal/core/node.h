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
// A context whose slots are all below 62 is one leaf. A wider one is a tree, of which a write
// copies one path; its first 3,968 slots are two loads further away, the others hang in a radix
// tree:
//
//   leaf   | header | entry 0 | entry 1 | ...                       up to 62 entries
//   wide   | header | leaf 0 | leaf 1 | ... | leaf 63 | deep |      deep: an inner node
//   inner  | header | child 0 | child 1 | ... | child 63 |          height 1: above leaves
//
// A node that more than one owner can see never changes; a node with one reference is written in
// place by that owner, if all above it have one reference, too.

#ifndef TASKCTX_INTERNAL_CORE_NODE_H_
#define TASKCTX_INTERNAL_CORE_NODE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/record.h"
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

inline void add_ref(Box* box) noexcept { box->refs.fetch_add(1, std::memory_order_relaxed); }
// Drops one reference; the last one destroys the value, which may run any code of the user's.
void release(Box* box) noexcept;

inline Box* box_of(const Entry& entry) noexcept { return reinterpret_cast<Box*>(entry.word); }

// Count what `entry` holds: inline values hold nothing.
inline void add_ref(const Entry& entry) noexcept {
  if ((entry.key & kBoxedBit) != 0) {
    add_ref(box_of(entry));
  }
}
inline void release(const Entry& entry) noexcept {
  if ((entry.key & kBoxedBit) != 0) {
    release(box_of(entry));
  }
}

struct Node {
  std::atomic<std::uint32_t> refs;
  std::uint32_t limit;                    // Size of the entries in bytes; 0 if it has children.
  Node** children;                        // Where a look-up beyond the limit continues; never null.
  std::atomic<std::uint64_t> version{0};  // Of the content, of a root; 0 until it is asked for.
  std::uint32_t boxes = 0;                // How many entries are boxed.
  std::uint16_t count = 0;   // How many children there are; all after them are empty leaves.
  std::uint16_t height = 0;  // Of an inner node: how many levels there are below it. Or one of:

  static constexpr std::uint16_t kLeaf = 0xffff;
  static constexpr std::uint16_t kMissing = 0xfffe;  // A leaf that stands for a child that is not.
};

static_assert(sizeof(Node) == kNodeHeader);  // Entries or children follow.

inline constexpr std::uint32_t kFanOut = 64;

// The node of every context in which nothing is set. It is not counted. (But another copy of the
// library counts it, because it is not that copy's own.)
extern Node empty_node;
// The first count of a static node: it reaches neither 0 nor 1, so nobody frees the node or writes
// in it.
inline constexpr std::uint32_t kStaticRefs = 1U << 31;

inline void add_ref(Node* node) noexcept {
  if (node != &empty_node) {
    node->refs.fetch_add(1, std::memory_order_relaxed);
  }
}

void destroy(Node* node) noexcept;

// Drops one reference. Returns whether it was the last, so that the caller is to destroy the node.
inline bool drop_ref(Node* node) noexcept {
  // The release publishes what this owner read or wrote to the owner that destroys the node or
  // writes in it: it pairs with the acquire here, of the last owner, and in locate_writable() and
  // exchange() (write.h).
  return node != &empty_node && node->refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
}
inline void release(Node* node) noexcept {
  if (drop_ref(node)) {
    destroy(node);
  }
}

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

// Where a variable's entry is, or would be.
struct Location {
  Node* leaf;
  Entry* entry;  // With another key, or none, if the variable is not set.
};

// Locates the entry of a variable whose slot is not beyond the leaves of a wide node. kBoxed is the
// key's own bit, known from the type of the value. A leaf has for children a table of empty ones:
// so this is one bounds check, also for what is not set.
template <bool kBoxed>
[[gnu::always_inline]] inline Location locate(const Node* node, const Variable& variable,
                                              std::uint64_t key) noexcept {
  const auto offset = static_cast<std::uint32_t>(key);
  if (offset < node->limit) [[likely]] {
    return {const_cast<Node*>(node), entry_at(node, kBoxed ? offset - kBoxedBit : offset)};
  }
  Node* leaf = node->children[variable.leaf_number()];
  return {leaf, at_position<Entry>(leaf, variable.leaf_position())};
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
  const Entry* entry = locate<kBoxed>(node, variable, key).entry;
  if (entry->key == key) [[likely]] {
    return entry;
  }
  return is_deep(key) ? kFindDeep(node, variable, key) : nullptr;
}

// The owner of one reference to a node. A copy takes another one.
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

// A node, and an entry in it that its owner may write.
struct Writable {
  Node* node;
  Node* leaf;
  Entry* entry;
};

// Makes the entry of `key` writable: in `node` itself if it is `exclusive`, that is, the caller has
// its only reference; else in a copy with one reference, for the caller. Shared parts below are
// copied in either case. Returns no node, and has changed nothing, if this thread's lists have not
// enough memory: fetch_to_write() gets it, with operator new, whose code may change anything.
Writable try_make_writable(Node* node, bool exclusive, std::uint64_t key) noexcept;
void fetch_to_write(class NodeSupply& supply, const Node* node, bool exclusive, std::uint64_t key);

// Puts `fresh` there, and returns what was there. References to boxes change hands, they are not
// counted. An entry without key stands for "unset".
inline Entry put(const Writable& writable, Entry fresh) noexcept {
  const Entry old = std::exchange(*writable.entry, fresh);
  writable.leaf->boxes += static_cast<std::uint32_t>(fresh.key & kBoxedBit) -
                          static_cast<std::uint32_t>(old.key & kBoxedBit);
  return old;
}

// Does as put() with what is set under `key` in the node that `owner` holds, or in a copy of it,
// which `owner` holds then. The entry that it returns may be one that a dead variable has left.
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

#endif  // TASKCTX_INTERNAL_CORE_NODE_H_
