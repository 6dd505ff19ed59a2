// SPDX-License-Identifier: Apache-2.0
//
// The tree of nodes: copying one path of it, walking over it, and its end.

#include "taskctx/internal/node.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "taskctx/internal/current.h"
#include "taskctx/internal/node_memory.h"
#include "taskctx/internal/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Stands for every child that is missing: a full leaf, so that look-ups need no test.
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

// Not by their addresses: another copy of the library may have made the node.
bool is_missing(const Node* child) noexcept { return child->height == Node::kMissing; }

bool is_leaf(const Node* node) noexcept { return node->height >= Node::kMissing; }

// A wide node's root of all that has no place in its leaves.
Node*& deep(const Node* wide) noexcept { return wide->children[kFanOut]; }

// How many leaves an inner node of this height may have below it.
std::uint64_t capacity(std::uint32_t height) noexcept { return std::uint64_t{1} << (6 * height); }

Node* new_leaf(std::uint32_t limit) {
  return new (allocate_node(limit))
      Node{.refs = 1, .limit = limit, .children = no_children.data(), .height = Node::kLeaf};
}

// Copies a leaf into one of `limit` bytes, at least its own.
Node* copy_leaf(const Node* leaf, std::uint32_t limit) {
  Node* copy = new_leaf(limit);
  copy->boxes = leaf->boxes;
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

// Makes a wide node (height 0) or an inner one, without children.
Node* new_branch(std::uint16_t height) {
  void* memory = allocate_node(kBranchSize);
  auto** children = reinterpret_cast<Node**>(static_cast<unsigned char*>(memory) + kNodeHeader);
  std::fill_n(children, kFanOut + 1, &empty_leaf.node);
  return new (memory) Node{.refs = 1, .limit = 0, .children = children, .height = height};
}

Node* copy_branch(const Node* branch) {
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
Node*& deep_link(Node* wide, std::uint64_t number) {
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

// Returns the place of a slot; nullptr if there is none.
const Entry* entry_of_slot(const Node* node, std::uint32_t slot) noexcept {
  const Node* leaf = find_leaf(node, slot / kLeafSlots);
  const std::uint32_t offset = slot % kLeafSlots * kSlotSize;
  return leaf != nullptr && offset < leaf->limit ? entry_at(leaf, offset) : nullptr;
}

// Returns a number that no leaf has, nor any behind it.
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

Writable make_writable(Node* node, bool exclusive, std::uint64_t key) {
  const std::uint32_t offset = slot_of(key) * kSlotSize;
  if (is_leaf(node) && offset < kLeafLimit) {
    if (!exclusive || offset >= node->limit) {
      node = copy_leaf(node, offset < node->limit ? node->limit : grown_limit(node->limit, offset));
    }
    return {node, node, entry_at(node, offset)};
  }

  NodeRef fresh;  // Owns what is made here until all of it has been made.
  Node* wide = node;
  if (is_leaf(node)) {
    wide = new_branch(0);
    fresh = NodeRef::adopt(wide);
    if (node->limit != 0) {
      link_of(wide, 0) = copy_leaf(node, kLeafLimit);
    }
  } else if (!exclusive) {
    wide = copy_branch(node);
    fresh = NodeRef::adopt(wide);
  }
  const std::uint32_t slot = offset / kSlotSize;
  const std::uint32_t number = slot / kLeafSlots;
  Node*& link = number < kFanOut ? link_of(wide, number) : deep_link(wide, number - kFanOut);
  if (!is_exclusive(link)) {
    replace(link, copy_leaf(link, kLeafLimit));
  }
  (void)fresh.detach();
  return {wide, link, entry_at(link, slot % kLeafSlots * kSlotSize)};
}

Entry exchange_in(NodeRef& owner, std::uint64_t key, Entry fresh) {
  Node* node = owner.get();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};
  }
  const Writable writable = make_writable(node, is_exclusive(node), key);
  if (writable.node != node) {
    owner = NodeRef::adopt(writable.node);
  }
  writable.node->version.store(0, std::memory_order_relaxed);
  return put(writable, fresh);
}

NodeRef merge(NodeRef base, const Node* over) {
  std::uint32_t slot = 0;
  for (; const Entry* entry = next_entry(over, slot); ++slot) {
    // A slot that was given again may have another variable here. The younger one is not dead.
    if (const Entry* other = entry_of_slot(base.get(), slot);
        other == nullptr || other->key <= entry->key) {
      bind_in(base, *entry);
    }
  }
  return base;
}

std::uint64_t version_of(Node* node) noexcept {
  std::uint64_t version = node->version.load(std::memory_order_relaxed);
  if (version == 0) {
    const std::uint64_t fresh = draw_id();
    // Whoever is first gives the version; the others take it.
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
  if (!is_leaf(node)) {  // The tree is five levels high at most: so much for the recursion.
    std::for_each(node->children, node->children + node->count, release_child);
    release_child(deep(node));
  }
  free_node(node, is_leaf(node) ? node->limit : kBranchSize);
}

void release(Box* box) noexcept {
  if (box->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    box->record()->ops->end(box);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
