// SPDX-License-Identifier: Apache-2.0
//
// Keys: the numbers under which variables are set in nodes.
//
//   key    | generation : 32 | slot * 16 : 31..4 | 0 | boxed : bit 0 |
//
// The lower half is the byte offset of the variable's entry in a leaf that is large enough, and one
// more if the value is boxed. No key is ever used twice: a slot is given again with another
// generation (slot_registry.h).

#ifndef TASKCTX_INTERNAL_CORE_KEY_H_
#define TASKCTX_INTERNAL_CORE_KEY_H_

#include <cstdint>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

inline constexpr std::uint32_t kBoxedBit = 1;
// Of a key outside of nodes, whose owner has a reference to the box: that it is a spread one
// (ref_count.h).
inline constexpr std::uint32_t kSpreadBit = 2;
inline constexpr std::uint32_t kNodeHeader = 32;  // sizeof(Node)
inline constexpr std::uint32_t kSlotSize = 16;    // sizeof(Entry)
inline constexpr std::uint32_t kLeafSlots = 62;
inline constexpr std::uint32_t kLeafLimit = kLeafSlots * kSlotSize;
// How many children a node may have; and the first offset that has no place in a wide node's own
// leaves.
inline constexpr std::uint32_t kFanOut = 64;
inline constexpr std::uint32_t kWideLimit = kFanOut * kLeafLimit;
// The key of a variable that was never set: no entry has it, and a look-up needs no special case.
inline constexpr std::uint64_t kUnassigned = kWideLimit - 1;
// The key of a variable that can't be used; no entry has it either. (It is a deep one.)
inline constexpr std::uint64_t kRefused = ~std::uint64_t{0};

// Tells whether the slot has no place in a wide node's own leaves.
inline bool is_deep(std::uint64_t key) noexcept {
  return static_cast<std::uint32_t>(key) >= kWideLimit;
}

inline std::uint32_t slot_of(std::uint64_t key) noexcept {
  return static_cast<std::uint32_t>(key) / kSlotSize;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_KEY_H_
