// SPDX-License-Identifier: Apache-2.0
//
// Who lends what, how a borrower settles when it is shared, and what ends with a node.

#include "lib/core/loan.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#include "lib/core/node_forms.h"
#include "lib/core/node_memory.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Tells whether the lender, a leaf, has a value that the borrower has not.
bool hides_in_leaf(const Node* borrower, const Node* lender) noexcept {
  bool hides = false;
  for_each_box(lender, [&](const Entry& entry) {
    const Entry* own = find_entry(borrower, entry.key);
    hides = hides || own == nullptr || *own != entry;
  });
  return hides;
}

// Likewise of two leaves of wide nodes.
bool hides_in_tree(const Node* borrower, const Node* lender) noexcept {
  bool hides = false;
  const Entry* own = entry_at(borrower, 0);
  for (const Entry* entry = entry_at(lender, 0); entry != entry_at(lender, kLeafLimit);
       ++entry, ++own) {
    hides = hides || ((entry->key & kBoxedBit) != 0 && *own != *entry);
  }
  return hides;
}

bool hides(const Node* borrower, const Node* lender) noexcept {
  if (!is_branch(lender)) {
    return hides_in_leaf(borrower, lender);
  }
  for (std::uint32_t i = 0; i < lender->count; ++i) {
    const Node* child = child_of(lender, i);
    const Node* own = child_of(borrower, i);
    if (child != own && !is_missing(child) && hides_in_tree(own, child)) {
      return true;
    }
  }
  return deep_of(lender) != deep_of(borrower) && !is_missing(deep_of(lender));
}

// Counts what `borrower` has borrowed, and will not have from `other`. Returns how many boxes it
// owns then, if it is a leaf.
std::uint8_t count_borrowed(Node* borrower, const Node* lender, const Node* other) noexcept {
  std::uint8_t own = 0;
  if (!is_branch(borrower)) {
    for_each_box(borrower, [&](const Entry& entry) {
      if (!has_lent(lender, entry)) {
        ++own;
      } else if (!has_lent(other, entry)) {
        box_of(entry)->refs.add_plain();
        ++own;
      }
    });
    return own;
  }
  for (std::uint32_t i = 0; i < borrower->count; ++i) {
    if (has_lent_child(lender, borrower, i)) {
      child_of(borrower, i)->refs.add_plain();
    }
  }
  if (has_lent_deep(lender, borrower)) {
    deep_of(borrower)->refs.add_plain();
  }
  return own;
}

// The version of a twin, for which nobody asks: this, less how far it is behind the beginning of
// its memory. It begins with a cache line.
constexpr std::uint64_t kTwinVersion = ~std::uint64_t{0};
constexpr std::uintptr_t kLine = 64;

bool is_twin(const Node* node) noexcept {
  return node->version.load(std::memory_order_relaxed) > kTwinVersion - kLine;
}

void free_twin(Node* twin) noexcept {
  const std::uint64_t behind = kTwinVersion - twin->version.load(std::memory_order_relaxed);
  free_node(reinterpret_cast<unsigned char*>(twin) - behind, leaf_size(twin) + kTwinRoom);
  count_twin(-1);
}

// Returns the twin of a node, or nullptr. The acquire gets what is in it: pairs with make_twin().
Node* twin_of(const Node* node) noexcept {
  const std::uintptr_t bits = node->lender.load(std::memory_order_acquire);
  return static_cast<Loan::Kind>(bits & 3) == Loan::Kind::twin
             ? reinterpret_cast<Node*>(bits & ~std::uintptr_t{15})
             : nullptr;
}

// Makes a twin of `lender`, with all that `borrower` has of it. Returns nullptr if there is no
// place for it, or this thread's lists have no memory.
Node* make_twin(const Node* borrower, Node* lender) noexcept {
  const std::uint32_t size = leaf_size(borrower);
  auto* const memory = static_cast<unsigned char*>(
      lender->lender.load(std::memory_order_relaxed) == 0 ? take_node(size + kTwinRoom) : nullptr);
  if (memory == nullptr) {
    return nullptr;
  }
  const std::uintptr_t behind = -reinterpret_cast<std::uintptr_t>(memory) % kLine;
  Node* const twin = new (memory + behind) Node{.refs = RefCount(1),
                                                .limit = borrower->limit,
                                                .mask = borrower->mask,
                                                .version = kTwinVersion - behind};
  count_twin(1);
  std::fill(entry_at(twin, 0), entry_at(twin, size), Entry{});
  for_each_box(borrower, [&](const Entry& entry) {
    if (has_lent(lender, entry)) {
      add_ref(*place_in(twin, slot_of(entry.key)) = entry);
      ++twin->boxes;
    }
  });
  std::uintptr_t none = 0;
  const Loan here{twin, Loan::Kind::twin, 0};
  // The release publishes what is in it: pairs with twin_of().
  if (lender->lender.compare_exchange_strong(none, here.bits(), std::memory_order_release,
                                             std::memory_order_relaxed)) {
    return twin;
  }
  destroy(twin);
  return twin_of(lender);
}

void release_child(Node* child) noexcept {
  if (!is_missing(child) && child->refs.drop()) {
    destroy(child);
  }
}

}  // namespace

bool has_lent_child(const Node* lender, const Node* borrower, std::uint32_t number) noexcept {
  const Node* child = child_of(borrower, number);
  return lender != nullptr && number < lender->count && child_of(lender, number) == child &&
         !is_missing(child);
}

bool has_lent_deep(const Node* lender, const Node* borrower) noexcept {
  return lender != nullptr && deep_of(lender) == deep_of(borrower) &&
         !is_missing(deep_of(borrower));
}

Loan loan_from(Node* node) noexcept {
  const Loan above = Loan::of(node);
  if (!is_branch(node) && node->boxes == 0) {  // All that it has to lend is borrowed.
    return {above.lender(), Loan::Kind::pinned, above.depth()};
  }
  if (above.depth() == Loan::kMostLenders) {
    return {};
  }
  return {node, Loan::Kind::pinned, above.depth() + 1};
}

void drop_twin(Node* node) noexcept {
  if (Node* const twin = twin_of(node); twin != nullptr) {
    node->lender.store(0, std::memory_order_relaxed);
    release(twin, /*is_spread=*/false);
  }
}

Loan settle(Node* node) noexcept {
  const Loan loan = Loan::of(node);
  if (!hides(node, loan.lender())) {
    if (loan.kind() == Loan::Kind::pinned) {
      node->lender.store(loan.counted().bits(), std::memory_order_relaxed);
    }
    return {};
  }
  Node* twin = nullptr;
  if (!is_branch(node)) {
    twin = twin_of(loan.lender());
    twin = twin != nullptr ? twin : make_twin(node, loan.lender());
    twin = twin != nullptr && hides(node, twin) ? nullptr : twin;
  }
  const std::uint8_t own = count_borrowed(node, loan.lender(), twin);
  const Loan fresh = Loan{twin, Loan::Kind::pinned, 1}.counted();
  // In this order, and at last, for mend(): so what is half done can be done again.
  node->boxes = own;
  node->lender.store(fresh.bits(), std::memory_order_release);
  return loan;
}

void mend(Node* node) noexcept {
  if (!is_branch(node)) {  // Of those, the lender alone says what they own.
    const Node* const lender = Loan::of(node).lender();
    node->boxes = 0;
    for_each_box(node, [node, lender](const Entry& entry) {
      if (!has_lent(lender, entry)) {
        ++node->boxes;
      }
    });
  }
  node->refs.set_fresh();
}

bool share_slowly(Node* node) noexcept {
  // If another thread settles it meanwhile, we wait for that thread below.
  if (Loan::of(node).lender() != nullptr && node->refs.begin_first()) {
    const Loan left = settle(node);
    node->refs.end_first();
    left.release();
  }
  return node->refs.add();
}

void destroy(Node* node) noexcept {
  const Loan loan = Loan::of(node);
  std::uint32_t size = leaf_size(node);
  if (is_branch(node)) {  // The recursion is bounded: the tree has at most five levels.
    for (std::uint32_t i = 0; i < node->count; ++i) {
      if (!has_lent_child(loan.lender(), node, i)) {
        release_child(child_of(node, i));
      }
    }
    if (!has_lent_deep(loan.lender(), node)) {
      release_child(deep_of(node));
    }
    size = height(node) != 0 ? kInnerSize : wide_size(node->count);
  } else {
    if (node->boxes != 0 && loan.lender() != nullptr && node->refs.is_left()) [[unlikely]] {
      mend(node);
    }
    for_boxes(node, node->boxes, [&loan](const Entry& entry) {
      const bool is_own = !has_lent(loan.lender(), entry);
      if (is_own) {
        release(box_of(entry));
      }
      return is_own;
    });
  }
  if (node->lender.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    drop_twin(node);
  }
  node->refs.end();
  is_twin(node) ? free_twin(node) : free_node(node, size);
  loan.release();  // Likewise: there are at most kMostLenders in a row.
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
