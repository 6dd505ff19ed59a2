// SPDX-License-Identifier: Apache-2.0
//
// Loan: what a node has borrowed, and from whom (node.h).
//
//   const Loan loan = loan_from(base);  // for a copy of `base`, whose owner keeps `base` alive
//   copy->lender = loan.bits();
//
// A node that is lent from may have borrowed itself: there are at most kMostLenders in a row.
// A lender is kept for what others have borrowed, also if they have replaced some of it meanwhile.
// So a value that was inherited, and then replaced, lives as long as the context that has replaced
// it, but not longer: before that context is captured it leaves a lender of which it hides
// something. Many tasks replace the same values, and are captured. So the first one leaves a twin
// of the lender: a node with what it has not replaced. The others borrow from the twin, which ends
// with the lender. A node that has no lender has the twin in that place.

#ifndef TASKCTX_LIB_CORE_LOAN_H_
#define TASKCTX_LIB_CORE_LOAN_H_

#include <cstdint>

#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// One word, as in Node::lender: the node, its kind, and how many lenders are in the row.
class Loan {
 public:
  // How the borrower keeps its lender: by a reference, or because others see to that.
  enum class Kind : std::uint8_t { plain, spread, pinned, twin };
  static constexpr unsigned kMostLenders = 3;

  Loan() = default;
  Loan(Node* lender, Kind kind, unsigned depth) noexcept
      : bits_(lender == nullptr
                  ? 0
                  : reinterpret_cast<std::uintptr_t>(lender) | static_cast<std::uintptr_t>(kind) |
                        std::uintptr_t{depth} << 2) {}

  // Of what Node::lender has.
  static Loan of(const Node* borrower) noexcept {
    Loan loan;
    // Relaxed: it changes before the node is shared, or by settle(), which orders that.
    loan.bits_ = borrower->lender.load(std::memory_order_relaxed);
    return loan.kind() == Kind::twin ? Loan() : loan;
  }

  // Returns nullptr if nothing is borrowed.
  [[nodiscard]] Node* lender() const noexcept {
    return reinterpret_cast<Node*>(bits_ & ~std::uintptr_t{15});
  }
  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(bits_ & 3); }
  [[nodiscard]] unsigned depth() const noexcept { return static_cast<unsigned>(bits_ >> 2 & 3); }
  [[nodiscard]] std::uintptr_t bits() const noexcept { return bits_; }

  // Returns the same loan, kept in another way.
  [[nodiscard]] Loan as(Kind kind) const noexcept { return {lender(), kind, depth()}; }
  // Returns the same loan with a reference of its own.
  [[nodiscard]] Loan counted() const noexcept {
    return bits_ == 0 ? Loan() : as(share(lender()) ? Kind::spread : Kind::plain);
  }
  // Drops the reference, if there is one.
  void release() const noexcept {
    if (bits_ != 0 && kind() != Kind::pinned) {
      internal::release(lender(), kind() == Kind::spread);
    }
  }

 private:
  std::uintptr_t bits_ = 0;
};

// Returns the loan for copies of `node`, as long as somebody keeps `node`.
Loan loan_from(Node* node) noexcept;

// Tell whether the lender has this very box, or child.
inline bool has_lent(const Node* lender, const Entry& boxed) noexcept {
  if (lender == nullptr) {
    return false;
  }
  const std::uint32_t offset = slot_of(boxed.key) * kSlotSize;
  const Entry* entry =
      offset < lender->limit ? entry_at(lender, offset) : find_entry(lender, boxed.key);
  return entry != nullptr && *entry == boxed;
}
bool has_lent_child(const Node* lender, const Node* borrower, std::uint32_t number) noexcept;
bool has_lent_deep(const Node* lender, const Node* borrower) noexcept;

// What a twin takes beside what a node with its entries takes: it has its cache lines for itself.
// All that borrow from it read it, and the thread that has made it writes to what lies beside it.
inline constexpr std::uint32_t kTwinRoom = 128;

// Drops the twin of a node that has one, before the node changes or ends.
void drop_twin(Node* node) noexcept;

// Makes a node, which borrows something, one that may be captured: it keeps its lender from now on,
// or has what is in it. Returns the loan that is to be released.
Loan settle(Node* node) noexcept;

// In a forked child, makes a node whole that a thread of the parent was about to settle
// (RefCount::is_left()), for the owner of its only reference: its lender may still be the old one,
// and `boxes` the new number.
void mend(Node* node) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_LOAN_H_
