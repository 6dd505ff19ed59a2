// SPDX-License-Identifier: Apache-2.0
//
// How objects end that may hold others of their kind, however many in a row.
//
//   struct Thing : Mortal { Context context; ... };  // whose values hold Things, and so on
//   end(thing);                                      // instead of `delete thing`
//
// A value may hold a context, that a value, that another context, a million levels deep. If the
// destructor of each called that of the next one, the stack would overflow. So what dies while
// kEndingDepth others are being destroyed around it on this stack is put into a list of the thread,
// linked through the dead object itself, and the one at that depth empties the list: this needs no
// memory and never fails. Above that depth everything is destroyed at once, in the order that a
// reader of the code expects. Everything has ended when the outermost end() returns.
//
// All chains lead through one of these, so nothing more needs to take part: the box of a value that
// is set in a context, a job, and what a std::shared_ptr of ours refers to (make_mortal()).

#ifndef TASKCTX_INTERNAL_CORE_ENDING_H_
#define TASKCTX_INTERNAL_CORE_ENDING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/ref_count.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Mortal;

// A function that destroys objects of one kind, and frees them. A base of what outlives them.
struct EndRule {
  void (*destroy)(Mortal* object) noexcept;
};

// The part of an object that its end needs. The count is not used any more when the object ends.
struct Mortal {
  // The rule may be set as late as at the end.
  explicit Mortal(std::uint32_t references) noexcept : refs(references) {}
  explicit Mortal(EndRule* kind) noexcept : refs(1), rule(kind) {}
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;

  union {
    RefCount refs;
    Mortal* behind;  // In the list.
  };
  EndRule* rule;
};

inline constexpr std::uint32_t kEndingDepth = 32;

// Calls `object->rule->destroy(object)`: now, or before the end() returns that is running on this
// thread already.
void end(Mortal* object) noexcept;

// Tells whether the destructor of a T may end other objects, directly or indirectly.
template <typename T>
inline constexpr bool kMayHold = !std::is_trivially_destructible_v<T>;
template <>
inline constexpr bool kMayHold<void> = false;
template <typename C, typename Traits, typename A>
inline constexpr bool kMayHold<std::basic_string<C, Traits, A>> = false;

// An object that a std::shared_ptr refers to. It refers to its own memory as a weak_ptr does, until
// it has been destroyed.
template <typename T>
struct MortalValue : Mortal, std::enable_shared_from_this<MortalValue<T>> {
  template <typename... Args>
  explicit MortalValue(Args&&... args) : Mortal(&kRule), value(std::forward<Args>(args)...) {}

  static void destroy(Mortal* object) noexcept {
    auto* self = static_cast<MortalValue*>(object);
    const std::weak_ptr<MortalValue> memory = self->weak_from_this();
    self->~MortalValue();
  }
  static inline constinit EndRule kRule{&destroy};

  T value;
};

// Makes std::shared_ptr leave it to end() when the object is destroyed.
template <typename T>
struct MortalAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {  // NOLINT(readability-identifier-naming): the standard's name
    using other = MortalAllocator<U>;
  };
  MortalAllocator() = default;
  template <typename U>
  MortalAllocator(const MortalAllocator<U>& /*other*/) noexcept {}  // NOLINT: as std::allocator

  template <typename V>
  void destroy(MortalValue<V>* object) noexcept {
    end(object);
  }
};

// Does what std::make_shared<T>(args...) does, for a T that may hold others of its kind. Allocates
// once.
template <typename T, typename... Args>
std::shared_ptr<T> make_mortal(Args&&... args) {
  using Value = std::remove_const_t<T>;
  if constexpr (!kMayHold<Value>) {
    return std::make_shared<T>(std::forward<Args>(args)...);
  } else {
    auto object = std::allocate_shared<MortalValue<Value>>(MortalAllocator<MortalValue<Value>>(),
                                                           std::forward<Args>(args)...);
    T* value = &object->value;
    return std::shared_ptr<T>(std::move(object), value);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_ENDING_H_
