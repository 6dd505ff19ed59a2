// SPDX-License-Identifier: Apache-2.0
//
// How a typed value gets into an entry and out of it: inline where it is small and trivial, in a
// box otherwise.

#ifndef TASKCTX_INTERNAL_CORE_VALUE_H_
#define TASKCTX_INTERNAL_CORE_VALUE_H_

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Values of these types live in the node itself; all others live in a box.
template <typename T>
inline constexpr bool kInline =
    sizeof(T) <= 8 && 8 % alignof(T) == 0 &&
    std::conjunction_v<std::is_trivially_copyable<T>, std::is_copy_constructible<T>>;

// Makes a T of a value that converts to one implicitly, as an argument is made. (Not by a cast:
// that would make a number of a pointer's bits.) Numbers may be narrowed without a warning.
template <typename T, std::convertible_to<T> V>
[[gnu::always_inline]] constexpr T converted(V&& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<T>(std::forward<V>(value));
  } else {
    return std::forward<V>(value);
  }
}

template <typename T>
struct TypedBox : Box {
  // Counts the record last: moving the value may throw.
  TypedBox(VariableRecord* owner, T&& initial) : Box(owner), value(std::move(initial)) {
    add_ref(record());
  }

  const T value;
};

// Borrows the value of an entry that is set.
template <typename T>
inline const T* value_of(const Entry& entry) noexcept {
  if constexpr (kInline<T>) {
    return reinterpret_cast<const T*>(&entry.word);
  } else {
    return &static_cast<const TypedBox<T>*>(box_of(entry))->value;
  }
}

// Makes the word for a value of the variable with this record. The caller owns the box that it
// leads to, if there is one.
template <typename T>
inline std::uint64_t make_word([[maybe_unused]] VariableRecord* record, T&& value) {
  if constexpr (kInline<T>) {
    std::uint64_t word = 0;
    __builtin_memcpy(&word, &value, sizeof value);
    return word;
  } else {
    Box* box = new TypedBox<T>(record, std::forward<T>(value));
    return reinterpret_cast<std::uint64_t>(box);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_VALUE_H_
