// SPDX-License-Identifier: Apache-2.0
//
// Which form a node gets that is written, and how it gets it.

#include "lib/core/writable.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "lib/core/loan.h"
#include "lib/core/node_forms.h"
#include "lib/core/node_memory.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The forms of leaves. A dense one grows by half, in steps of four slots: eight ints take 160
// bytes. Where there are more variables than a dense leaf can have, a packed one is taken in its
// place if that is half as large.
constexpr std::uint32_t kAlwaysDense = 16 * kSlotSize;
constexpr std::uint32_t kLargestPacked = 64 * kSlotSize;

std::uint32_t dense_size(std::uint32_t size, std::uint32_t offset) noexcept {
  constexpr std::uint32_t kStep = 4 * kSlotSize;
  const std::uint32_t wanted = std::max(offset + kSlotSize, size + size / 2);
  return std::min((wanted + kStep - 1) / kStep * kStep, kLeafLimit);
}
// An eighth of a packed leaf is free, so searches are short; a small one may be full.
std::uint32_t packed_size(std::uint32_t entries) noexcept {
  return std::bit_ceil(std::max(entries <= 8 ? entries : entries * 8 / 7, 2U)) * kSlotSize;
}

struct LeafForm {
  std::uint32_t size;  // 0: a leaf has no place.
  bool is_packed;
};

// Returns the form of a leaf that has what `leaf` has, and a place for `slot`, which that has not.
LeafForm grown_form(const Node* leaf, std::uint32_t slot) noexcept {
  std::uint32_t entries = 1;
  std::uint32_t highest = slot;
  for_each_entry(leaf, [&](const Entry& entry) {
    ++entries;
    highest = std::max(highest, slot_of(entry.key));
  });
  const std::uint32_t packed = packed_size(entries);
  if (highest < kLeafSlots) {
    const std::uint32_t dense = dense_size(leaf->limit, highest * kSlotSize);
    // Relaxed: a number, no more.
    if (dense <= kAlwaysDense || dense < 2 * packed ||
        process_wide().next_slot.load(std::memory_order_relaxed) <= kLeafSlots) {
      return {dense, false};
    }
  }
  return {packed <= kLargestPacked ? packed : 0, true};
}

LeafForm form_with(const Node* leaf, std::uint32_t slot) noexcept {
  if (is_packed(leaf)) {
    const Entry* const place = place_in_packed(leaf, slot);
    if (place != nullptr && place->key != 0) {
      return {leaf_size(leaf), true};
    }
  } else if (slot * kSlotSize < leaf->limit) {
    return {leaf->limit, false};
  }
  const LeafForm grown = grown_form(leaf, slot);
  // There may be room in it.
  return is_packed(leaf) && grown.is_packed && grown.size != 0
             ? LeafForm{std::max(grown.size, leaf_size(leaf)), true}
             : grown;
}

// How many nodes a write to a context that is no single leaf may need.
struct TreeNeed {
  std::uint32_t count;  // Children of the wide node.
  bool is_new;          // The wide node.
  int leaves;
  int inner;
};
TreeNeed need_of_tree(const Node* node, bool exclusive, std::uint64_t key) noexcept {
  // The tree below the wide node gets four levels at most. If it is new, it has a path of as many
  // nodes, and then the higher ones a path of their own.
  constexpr int kDeepest = 4;
  static_assert(std::uint64_t{std::numeric_limits<std::uint32_t>::max()} / kSlotSize / kLeafSlots <
                std::uint64_t{1} << (6 * kDeepest));
  const auto number_of = [](std::uint64_t of_key) { return slot_of(of_key) / kLeafSlots; };
  TreeNeed need{.count = node->count, .is_new = !exclusive, .leaves = 1, .inner = 0};
  std::uint64_t seen = 0;  // A bit for each number.
  const auto add = [&](std::uint64_t of_key) {
    const std::uint32_t number = number_of(of_key);
    if (number >= kFanOut) {
      need.inner += 2 * kDeepest - 1;
      ++need.leaves;
    } else {
      need.count = std::max(need.count, number + 1);
      need.leaves += (seen >> number & 1) != 0 ? 0 : 1;
      seen |= std::uint64_t{1} << number;
    }
  };
  if (!is_branch(node)) {
    need.is_new = true;
    for_each_entry(node, [&add](const Entry& entry) { add(entry.key); });
  }
  add(key);
  need.count = std::max(need.count, 1U);
  need.is_new = need.is_new || !has_room(node, need.count);
  return need;
}

bool has_memory(const TreeNeed& need) noexcept {
  const std::uint32_t wide = wide_size(need.count);
  const auto has = [&](std::uint32_t size, int number) {
    return has_free_nodes(size, number + (need.is_new && is_one_list(size, wide) ? 1 : 0));
  };
  return has(wide, 0) && has(kLeafLimit, need.leaves) && has(kInnerSize, need.inner);
}

// What follows is called when the lists have memory for all that a write may need.

Node* new_wide(std::uint32_t count) noexcept {
  Node* const wide = new (take_node(wide_size(count)))
      Node{.refs = RefCount(1), .count = static_cast<std::uint8_t>(count)};
  std::fill_n(&deep_of(wide), wide_size(count) / sizeof(Node*), &empty_leaf.node);
  return wide;
}

Node* new_inner(std::uint32_t height) noexcept {
  Node* const inner =
      new (take_node(kInnerSize)) Node{.refs = RefCount(1), .limit = height, .count = kFanOut};
  std::fill_n(&deep_of(inner), kFanOut + 1, &empty_leaf.node);
  return inner;
}

// Copies a leaf below a wide node, and counts what is in it.
Node* copy_tree_leaf(const Node* leaf) noexcept {
  Node* const copy = new (take_node(kLeafLimit)) Node{.refs = RefCount(1), .limit = kLeafLimit};
  std::copy_n(entry_at(leaf, 0), kLeafSlots, entry_at(copy, 0));
  copy->boxes = leaf->boxes;
  for_boxes(copy, leaf->boxes, [](const Entry& entry) {
    box_of(entry)->refs.add_plain();
    return true;
  });
  return copy;
}

void count_child(Node* child) noexcept {
  if (!is_missing(child)) {
    child->refs.add_plain();
  }
}

Node* copy_inner(const Node* inner) noexcept {
  Node* const copy = new_inner(height(inner));
  for (std::uint32_t i = 0; i < kFanOut; ++i) {
    child_of(copy, i) = child_of(inner, i);
    count_child(child_of(copy, i));
  }
  return copy;
}

// Puts a copy in the place of a node that others have, too: so ours is not the last reference.
void replace(Node*& link, Node* copy, bool is_lent) noexcept {
  Node* const old = std::exchange(link, copy);
  if (!is_missing(old) && !is_lent && old->refs.drop()) {
    destroy(old);
  }
}

bool is_own(const Node* node) noexcept { return !is_missing(node) && node->refs.is_one(); }

// Returns the link to leaf `number` of all that are below the wide node's own. The nodes on the way
// have one owner then.
Node*& deep_link(Node* wide, std::uint64_t number, const Node* lender) noexcept {
  Node*& root = deep_of(wide);
  bool is_lent = has_lent_deep(lender, wide);
  if (is_missing(root)) {
    root = new_inner(1);
  }
  while (number >= capacity(height(root))) {
    Node* const higher = new_inner(height(root) + 1);
    if (std::exchange(is_lent, false)) {
      root->refs.add_plain();
    }
    child_of(higher, 0) = root;
    root = higher;
  }
  Node** link = &root;
  for (std::uint32_t level = height(root); level != 0; --level) {
    if (is_missing(*link)) {
      *link = new_inner(level);
    } else if (is_lent || !is_own(*link)) {
      replace(*link, copy_inner(*link), is_lent);
    }
    is_lent = false;
    link = &child_of(*link, static_cast<std::uint32_t>((number >> (6 * (level - 1))) % kFanOut));
  }
  return *link;
}

// Returns leaf `number` of a wide node that the caller may write in, as one that he may write in.
Node* own_leaf(Node* wide, std::uint32_t number) noexcept {
  const Node* const lender = Loan::of(wide).lender();
  const bool is_deep = number >= kFanOut;
  const bool is_lent = !is_deep && has_lent_child(lender, wide, number);
  Node*& link = is_deep ? deep_link(wide, number - kFanOut, lender) : child_of(wide, number);
  if (is_lent || !is_own(link)) {
    replace(link, copy_tree_leaf(link), is_lent);
  }
  return link;
}

// Makes a wide node of a leaf. It borrows nothing.
Node* widen(Node* leaf, bool exclusive, const TreeNeed& need) noexcept {
  const Node* const lender = Loan::of(leaf).lender();
  Node* const wide = new_wide(need.count);
  for_each_entry(leaf, [&](const Entry& entry) {
    const std::uint32_t slot = slot_of(entry.key);
    Node* const part = own_leaf(wide, slot / kLeafSlots);
    *entry_at(part, slot % kLeafSlots * kSlotSize) = entry;
    if ((entry.key & kBoxedBit) != 0) {
      ++part->boxes;
      if (!exclusive || has_lent(lender, entry)) {
        add_ref(entry);
      }
    }
  });
  if (exclusive) {
    leaf->boxes = 0;
  }
  return wide;
}

// Takes over, for a node of the same entries, all that belongs to an exclusive one.
void take_over(Node* node, Node* from) noexcept {
  node->boxes = std::exchange(from->boxes, 0);
  node->lender.store(from->lender.exchange(0, std::memory_order_relaxed),
                     std::memory_order_relaxed);
}

Node* copy_wide(Node* wide, bool exclusive, Loan loan, std::uint32_t count) noexcept {
  Node* const copy = new_wide(count);
  std::copy_n(&deep_of(wide), wide->count + 1, &deep_of(copy));
  if (exclusive) {
    std::fill_n(&deep_of(wide), wide->count + 1, &empty_leaf.node);
    take_over(copy, wide);
    return copy;
  }
  copy->lender.store(loan.bits(), std::memory_order_relaxed);
  if (loan.lender() != wide) {
    for (std::uint32_t i = 0; i < wide->count; ++i) {
      if (!has_lent_child(loan.lender(), copy, i)) {
        count_child(child_of(copy, i));
      }
    }
    if (!has_lent_deep(loan.lender(), copy)) {
      count_child(deep_of(copy));
    }
  }
  return copy;
}

// Copies a leaf into one of this form. Returns nullptr if the lists have no memory for it.
Node* copy_leaf(Node* leaf, LeafForm form, bool exclusive, Loan loan) noexcept {
  void* const memory = take_node(form.size);
  if (memory == nullptr) [[unlikely]] {
    return nullptr;
  }
  Node* const copy =
      new (memory) Node{.refs = RefCount(1),
                        .limit = form.is_packed ? 0 : form.size,
                        .mask = form.is_packed ? static_cast<std::uint16_t>(form.size - kSlotSize)
                                               : std::uint16_t{0}};
  if (form.is_packed == is_packed(leaf) && (!form.is_packed || form.size == leaf_size(leaf))) {
    // Most leaves are small: loops are faster here than memcpy() and memset().
    Entry* end = std::copy_n(entry_at(leaf, 0), leaf_size(leaf) / kSlotSize, entry_at(copy, 0));
    std::fill(end, entry_at(copy, form.size), Entry{});
  } else {
    std::fill(entry_at(copy, 0), entry_at(copy, form.size), Entry{});
    for_each_entry(leaf,
                   [copy](const Entry& entry) { *place_in(copy, slot_of(entry.key)) = entry; });
  }
  if (exclusive) {
    take_over(copy, leaf);
    return copy;
  }
  copy->lender.store(loan.bits(), std::memory_order_relaxed);
  const Node* const lender = Loan::of(leaf).lender();
  if (loan.lender() == leaf) {
    return copy;
  }
  if (loan.lender() == lender) {
    copy->boxes = leaf->boxes;
    for_boxes(copy, leaf->boxes, [lender](const Entry& entry) {
      const bool is_own = !has_lent(lender, entry);
      if (is_own) {
        box_of(entry)->refs.add_plain();
      }
      return is_own;
    });
  } else {
    for_each_box(copy, [&](const Entry& entry) {
      if (!has_lent(loan.lender(), entry)) {
        box_of(entry)->refs.add_plain();
        ++copy->boxes;
      }
    });
  }
  return copy;
}

// Lets a new node be captured without settle(), if that has nothing to do.
void note_loan(Node* node) noexcept {
  if (node->lender.load(std::memory_order_relaxed) == 0) {
    node->refs.set_used();
  }
}

// Tells whether a write may be the first one to replace something of this lender's: then there is
// to be memory for a twin, too, because settle() can't get any.
bool may_need_twin(std::uint64_t key, const Loan& loan) noexcept {
  return (key & kBoxedBit) != 0 && loan.lender() != nullptr &&
         loan.lender()->lender.load(std::memory_order_relaxed) == 0;
}

// Closes the gap that an entry has left in a packed leaf: those behind it that could be found only
// over it move up.
void close_gap(Node* leaf, Entry* gap) noexcept {
  const std::uint32_t mask = leaf->mask;
  const auto offset_of = [leaf](const Entry* entry) {
    return static_cast<std::uint32_t>((entry - entry_at(leaf, 0)) * kSlotSize);
  };
  const std::uint32_t first = offset_of(gap);
  std::uint32_t hole = first;
  for (std::uint32_t at = (hole + kSlotSize) & mask; at != first && entry_at(leaf, at)->key != 0;
       at = (at + kSlotSize) & mask) {
    const std::uint32_t home = slot_of(entry_at(leaf, at)->key) * kSlotSize & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      *entry_at(leaf, hole) = std::exchange(*entry_at(leaf, at), Entry{});
      hole = at;
    }
  }
}

// Does what try_make_writable() does, of what is no single leaf, or can be that no longer.
[[gnu::noinline]] Writable make_writable_in_tree(Node* node, bool exclusive, std::uint64_t key,
                                                 Loan loan) noexcept {
  const std::uint32_t slot = slot_of(key);
  const TreeNeed need = need_of_tree(node, exclusive, key);
  if (!has_memory(need)) {
    return {};
  }
  Node* wide = node;
  if (!is_branch(node)) {
    wide = widen(node, exclusive, need);
  } else if (need.is_new) {
    wide = copy_wide(node, exclusive, loan, need.count);
  }
  if (wide != node) {
    note_loan(wide);
  }
  wide->count = static_cast<std::uint8_t>(need.count);
  Node* const leaf = own_leaf(wide, slot / kLeafSlots);
  return {wide, leaf, entry_at(leaf, slot % kLeafSlots * kSlotSize)};
}

}  // namespace

Writable try_make_writable(Node* node, bool exclusive, std::uint64_t key, Loan loan) noexcept {
  const std::uint32_t slot = slot_of(key);
  if (!is_branch(node)) {
    const LeafForm form = slot * kSlotSize < node->limit ? LeafForm{node->limit, false}  // Usually.
                                                         : form_with(node, slot);
    if (form.size != 0) {
      if (!exclusive || form.is_packed != is_packed(node) || form.size != leaf_size(node)) {
        if (may_need_twin(key, loan) && !has_free_nodes(form.size + kTwinRoom, 1)) [[unlikely]] {
          return {};
        }
        node = copy_leaf(node, form, exclusive, loan);
        if (node == nullptr) [[unlikely]] {
          return {};
        }
        note_loan(node);
      }
      return {node, node, place_in(node, slot)};
    }
  }

  return make_writable_in_tree(node, exclusive, key, loan);
}

void fetch_to_write(NodeSupply& supply, const Node* node, bool exclusive, std::uint64_t key,
                    Loan loan) {
  if (!is_branch(node)) {
    if (const LeafForm form = form_with(node, slot_of(key)); form.size != 0) {
      supply.fetch(form.size, 1);
      supply.fetch(form.size + kTwinRoom, may_need_twin(key, loan) ? 1 : 0);
      supply.hand_over();
      return;
    }
  }
  const TreeNeed need = need_of_tree(node, exclusive, key);
  if (need.is_new) {
    supply.fetch(wide_size(need.count), 1);
  }
  supply.fetch(kLeafLimit, need.leaves);
  supply.fetch(kInnerSize, need.inner);
  supply.hand_over();
}

Entry put_slowly(const Writable& writable, Entry fresh) noexcept {
  Node* const leaf = writable.leaf;
  Entry old = *writable.entry;
  if (writable.node->lender.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    drop_twin(writable.node);
    if (Loan::of(writable.node).lender() != nullptr && (old.key & kBoxedBit) != 0) {
      writable.node->refs.set_fresh();  // It may hide something now, in a leaf below it as well.
    }
  }
  // Leaves of trees own what they have.
  const Node* const lender = leaf == writable.node ? Loan::of(leaf).lender() : nullptr;
  if ((fresh.key & kBoxedBit) != 0) {
    Box* const box = box_of(fresh);
    const bool was_spread = (fresh.key & kSpreadBit) != 0;
    fresh.key &= ~std::uint64_t{kSpreadBit};
    if (has_lent(lender, fresh)) {  // Borrowed again: ours is not the last reference.
      (void)(was_spread ? box->refs.drop_spread() : box->refs.drop());
    } else {
      ++leaf->boxes;
      if (was_spread) {  // Likewise.
        box->refs.add_plain();
        (void)box->refs.drop_spread();
      }
    }
  }
  *writable.entry = fresh;
  if ((old.key & kBoxedBit) != 0) {
    if (has_lent(lender, old)) {
      old.key |= box_of(old)->refs.add() ? kSpreadBit : 0;
    } else {
      --leaf->boxes;
    }
  }
  if (fresh.key == 0 && is_packed(leaf)) {
    close_gap(leaf, writable.entry);
  }
  return old;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
