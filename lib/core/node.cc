// SPDX-License-Identifier: Apache-2.0
//
// The tree of nodes: copying one path of it, walking over it, and its end.

#include "taskctx/internal/core/node.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "lib/core/node_memory.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The leaf that stands for every child that is missing: a full leaf, so that look-ups need no test.
struct EmptyLeaf {
  Node node;
  std::array<unsigned char, kLeafLimit> entries;
};
extern EmptyLeaf empty_leaf;

// The children of nodes that have none.
template <std::size_t... kNumbers>
constexpr std::array<Node*, sizeof...(kNumbers)> all_missing(
    std::index_sequence<kNumbers...> /*numbers*/) {
  return {((void)kNumbers, &empty_leaf.node)...};
}
constinit std::array<Node*, kFanOut> no_children = all_missing(std::make_index_sequence<kFanOut>());

constinit EmptyLeaf empty_leaf{.node = {.refs = kStaticRefs,
                                        .limit = kLeafLimit,
                                        .children = no_children.data(),
                                        .height = Node::kMissing},
                               .entries = {}};

// Tells it not by the address: another copy of the library may have made the node.
bool is_missing(const Node* child) noexcept { return child->height == Node::kMissing; }

bool is_leaf(const Node* node) noexcept { return node->height >= Node::kMissing; }

// A wide node's root of all that has no place in its leaves.
Node*& deep(const Node* wide) noexcept { return wide->children[kFanOut]; }

// Returns how many leaves an inner node of this height may have below it.
std::uint64_t capacity(std::uint32_t height) noexcept { return std::uint64_t{1} << (6 * height); }

// Copies a leaf into one of `limit` bytes, at least its own. Returns nullptr if the lists have no
// memory for it.
Node* copy_leaf(const Node* leaf, std::uint32_t limit) noexcept {
  void* const memory = take_node(limit);
  if (memory == nullptr) [[unlikely]] {
    return nullptr;
  }
  Node* copy = new (memory) Node{.refs = 1,
                                 .limit = limit,
                                 .children = no_children.data(),
                                 .boxes = leaf->boxes,
                                 .height = Node::kLeaf};
  // Most leaves are small: loops are faster here than memcpy() and memset().
  Entry* end = std::copy_n(entry_at(leaf, 0), leaf->limit / kSlotSize, entry_at(copy, 0));
  std::fill(end, entry_at(copy, limit), Entry{});
  for (std::uint32_t at = 0, left = leaf->boxes; left != 0; at += kSlotSize) {
    if (const Entry* entry = entry_at(copy, at); (entry->key & kBoxedBit) != 0) {
      add_ref(box_of(*entry));
      --left;
    }
  }
  return copy;
}

constexpr std::uint32_t kBranchSize = (kFanOut + 1) * sizeof(Node*);

// What follows is called when the lists have memory for all that a write may need.

// Makes a wide node (height 0) or an inner one, without children.
Node* new_branch(std::uint16_t height) noexcept {
  void* memory = take_node(kBranchSize);
  auto** children = reinterpret_cast<Node**>(static_cast<unsigned char*>(memory) + kNodeHeader);
  std::fill_n(children, kFanOut + 1, &empty_leaf.node);
  return new (memory) Node{.refs = 1, .limit = 0, .children = children, .height = height};
}

Node* copy_branch(const Node* branch) noexcept {
  Node* copy = new_branch(branch->height);
  copy->count = branch->count;
  const auto share = [](Node* child) {
    if (!is_missing(child)) {
      add_ref(child);
    }
    return child;
  };
  std::transform(branch->children, branch->children + branch->count, copy->children, share);
  deep(copy) = share(deep(branch));
  return copy;
}

// Pairs with the release in drop_ref(): what others read in the node happened before we write in
// it.
bool is_exclusive(const Node* node) noexcept {
  return node->refs.load(std::memory_order_acquire) == 1;
}

void release_child(Node* child) noexcept {
  if (!is_missing(child)) {
    release(child);
  }
}

void replace(Node*& link, Node* fresh) noexcept { release_child(std::exchange(link, fresh)); }

// Returns the link to child `number`, and counts it.
Node*& link_of(Node* branch, std::uint64_t number) noexcept {
  branch->count = std::max(branch->count, static_cast<std::uint16_t>(number + 1));
  return branch->children[number];
}

// Returns the link to leaf `number` of all that are below the wide node's own. The nodes on the way
// have one owner then.
Node*& deep_link(Node* wide, std::uint64_t number) noexcept {
  Node*& root = deep(wide);
  if (is_missing(root)) {
    root = new_branch(1);
  }
  while (number >= capacity(root->height)) {
    Node* higher = new_branch(static_cast<std::uint16_t>(root->height + 1));
    link_of(higher, 0) = root;
    root = higher;
  }
  Node** link = &root;
  for (std::uint16_t height = root->height; height != 0; --height) {
    if (is_missing(*link)) {
      *link = new_branch(height);
    } else if (!is_exclusive(*link)) {
      replace(*link, copy_branch(*link));
    }
    link = &link_of(*link, (number >> (6 * (height - 1))) % kFanOut);
  }
  return *link;
}

// Returns leaf `number`; the empty one, or nullptr, if there is none.
const Node* find_leaf(const Node* node, std::uint64_t number) noexcept {
  if (is_leaf(node)) {
    return number == 0 ? node : nullptr;
  }
  if (number < kFanOut) {
    return node->children[number];
  }
  number -= kFanOut;
  const Node* child = deep(node);
  if (is_missing(child) || number >= capacity(child->height)) {
    return nullptr;
  }
  for (std::uint16_t height = child->height; height != 0 && !is_missing(child); --height) {
    child = child->children[(number >> (6 * (height - 1))) % kFanOut];
  }
  return child;
}

// Returns the entry of a slot, set or not; nullptr if the node has none.
const Entry* entry_of_slot(const Node* node, std::uint32_t slot) noexcept {
  const Node* leaf = find_leaf(node, slot / kLeafSlots);
  const std::uint32_t offset = slot % kLeafSlots * kSlotSize;
  return leaf != nullptr && offset < leaf->limit ? entry_at(leaf, offset) : nullptr;
}

// Returns an end for the numbers of leaves: greater than that of every leaf.
std::uint64_t leaf_count(const Node* node) noexcept {
  if (is_leaf(node)) {
    return 1;
  }
  return is_missing(deep(node)) ? node->count : kFanOut + capacity(deep(node)->height);
}

// Leaves that are a whole context grow by half, in steps of four slots: eight ints take 152 bytes.
std::uint32_t grown_limit(std::uint32_t limit, std::uint32_t offset) noexcept {
  constexpr std::uint32_t kStep = 4 * kSlotSize;
  const std::uint32_t wanted = std::max(offset + kSlotSize, limit + limit / 2);
  return std::min((wanted + kStep - 1) / kStep * kStep, kLeafLimit);
}

// How many nodes a write to a context that is no single leaf may need.
struct TreeNeed {
  int branches;
  int leaves;
};
TreeNeed need_of_tree(const Node* node, bool exclusive, std::uint64_t key) noexcept {
  // The tree below the wide node gets four levels at most. If it is new, it has a path of as many
  // nodes, and then the higher ones a path of their own.
  constexpr int kDeepest = 4;
  static_assert(std::uint64_t{std::numeric_limits<std::uint32_t>::max()} / kSlotSize / kLeafSlots <
                std::uint64_t{1} << (6 * kDeepest));
  const int deep = is_deep(key) ? 2 * kDeepest - 1 : 0;
  return {.branches = deep + static_cast<int>(is_leaf(node) || !exclusive),
          .leaves = is_leaf(node) && node->limit != 0 ? 2 : 1};
}

// Tells what a write in a context of one leaf needs: no more than a leaf.
bool is_in_leaf(const Node* node, std::uint32_t offset) noexcept {
  return is_leaf(node) && offset < kLeafLimit;
}
std::uint32_t limit_with(const Node* leaf, std::uint32_t offset) noexcept {
  return offset < leaf->limit ? leaf->limit : grown_limit(leaf->limit, offset);
}

}  // namespace

constinit Node empty_node{
    .refs = kStaticRefs, .limit = 0, .children = no_children.data(), .height = Node::kLeaf};

const Entry* find_entry(const Node* node, std::uint64_t key) noexcept {
  const Entry* entry = entry_of_slot(node, slot_of(key));
  return entry != nullptr && entry->key == key ? entry : nullptr;
}

const Entry* find_usable_entry(const Node* node, const Variable& variable, std::uint64_t key) {
  variable.check_usable();
  return find_entry(node, key);
}

const Entry* next_entry(const Node* node, std::uint32_t& slot) noexcept {
  const std::uint64_t leaves = leaf_count(node);
  for (std::uint64_t number = slot / kLeafSlots; number < leaves; ++number) {
    const Node* leaf = find_leaf(node, number);
    if (!is_missing(leaf)) {
      for (; slot < number * kLeafSlots + leaf->limit / kSlotSize; ++slot) {
        if (const Entry* entry = entry_at(leaf, slot % kLeafSlots * kSlotSize); entry->key != 0) {
          return entry;
        }
      }
    }
    slot = static_cast<std::uint32_t>((number + 1) * kLeafSlots);
  }
  return nullptr;
}

Writable try_make_writable(Node* node, bool exclusive, std::uint64_t key) noexcept {
  const std::uint32_t offset = slot_of(key) * kSlotSize;
  if (is_in_leaf(node, offset)) {
    if (!exclusive || offset >= node->limit) {
      node = copy_leaf(node, limit_with(node, offset));
      if (node == nullptr) [[unlikely]] {
        return {};
      }
    }
    return {node, node, entry_at(node, offset)};
  }

  const TreeNeed need = need_of_tree(node, exclusive, key);
  if (!has_free_nodes(kBranchSize, need.branches) || !has_free_nodes(kLeafLimit, need.leaves)) {
    return {};
  }
  Node* wide = node;
  if (is_leaf(node)) {
    wide = new_branch(0);
    if (node->limit != 0) {
      link_of(wide, 0) = copy_leaf(node, kLeafLimit);
    }
  } else if (!exclusive) {
    wide = copy_branch(node);
  }
  const std::uint32_t slot = offset / kSlotSize;
  const std::uint32_t number = slot / kLeafSlots;
  Node*& link = number < kFanOut ? link_of(wide, number) : deep_link(wide, number - kFanOut);
  if (!is_exclusive(link)) {
    replace(link, copy_leaf(link, kLeafLimit));
  }
  return {wide, link, entry_at(link, slot % kLeafSlots * kSlotSize)};
}

void fetch_to_write(NodeSupply& supply, const Node* node, bool exclusive, std::uint64_t key) {
  const std::uint32_t offset = slot_of(key) * kSlotSize;
  if (is_in_leaf(node, offset)) {
    supply.fetch(limit_with(node, offset), 1);
  } else {
    const TreeNeed need = need_of_tree(node, exclusive, key);
    supply.fetch(kBranchSize, need.branches);
    supply.fetch(kLeafLimit, need.leaves);
  }
  supply.hand_over();
}

Entry exchange_in(NodeRef& owner, std::uint64_t key, Entry fresh) {
  Node* node = owner.get();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};
  }
  NodeSupply supply;
  Writable writable = try_make_writable(node, is_exclusive(node), key);
  while (writable.node == nullptr) {
    // Nobody else writes in the node meanwhile, but its other owners may release it.
    fetch_to_write(supply, node, is_exclusive(node), key);
    writable = try_make_writable(node, is_exclusive(node), key);
  }
  if (writable.node != node) {
    owner = NodeRef::adopt(writable.node);
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

std::uint64_t version_of(Node* node) noexcept {
  // Relaxed: the number is all there is. Whoever reads the content got it in another way.
  std::uint64_t version = node->version.load(std::memory_order_relaxed);
  if (version == 0) {
    const std::uint64_t fresh = draw_id();
    // The first thread gives the version; the others take it.
    if (node->version.compare_exchange_strong(version, fresh, std::memory_order_relaxed)) {
      version = fresh;
    }
  }
  return version;
}

void destroy(Node* node) noexcept {
  for (std::uint32_t at = 0, left = node->boxes; left != 0; at += kSlotSize) {
    if (const Entry* entry = entry_at(node, at); (entry->key & kBoxedBit) != 0) {
      release(box_of(*entry));
      --left;
    }
  }
  if (!is_leaf(node)) {  // The recursion is bounded: the tree has at most five levels.
    std::for_each(node->children, node->children + node->count, release_child);
    release_child(deep(node));
  }
  free_node(node, is_leaf(node) ? node->limit : kBranchSize);
}

void release(Box* box) noexcept {
  // The release publishes what this owner read; the last owner acquires it here, and destroys.
  if (box->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    box->record()->ops->end(box);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
