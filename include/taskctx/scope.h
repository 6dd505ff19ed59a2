// SPDX-License-Identifier: Apache-2.0
//
// Scope: variables that are set for one block.
//
//   taskctx::Scope scope{request_id, "r-1"};                       // until the end of the block
//   taskctx::Scope both{request_id, "r-2", user, taskctx::unset};  // any number; unset removes one
//   taskctx::Scope later{retries.set(5)};                          // takes over a token
//
// Threads:  a scope may end on another thread than it began, in the same context: in a coroutine,
//           or in a suspended task.
// Lifetime: keeps alive what was set before, until the scope ends. The variables outlive it.
// Errors:   the constructor throws what ContextVar::set() throws; nothing is set then. A scope that
//           ends in another context than it began is reported to the misuse handler, and changes
//           nothing.

#ifndef TASKCTX_SCOPE_H_
#define TASKCTX_SCOPE_H_

#include <type_traits>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/token.h"

namespace taskctx {
inline namespace v1 {

// Stands for "no value" in a Scope.
struct Unset {};
inline constexpr Unset unset{};

namespace internal {

// One variable of a scope: a token whose fields the compiler can keep in registers.
template <typename T>
class Binding {
 public:
  [[gnu::always_inline]] Binding(const ContextVar<T>& variable, Unset /*unset*/)
      : variable_(variable), undo_(variable.unset_undoably()) {}
  template <typename V>
  [[gnu::always_inline]] Binding(const ContextVar<T>& variable, V&& value)
      : variable_(variable), undo_(variable.set_undoably(T(std::forward<V>(value)))) {}
  explicit Binding(Token<T>&& token) noexcept
      : variable_(token.var()), undo_(token.undo_), used_(std::exchange(token.used_, true)) {}
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;
  [[gnu::always_inline]] ~Binding() { close(); }

 private:
  [[gnu::always_inline]] void close() noexcept {
    if (used_) [[unlikely]] {
      report_scope(TokenError::Kind::used, variable_.name());
    } else if (undo_.key != variable_.variable_.key()) [[unlikely]] {
      give_up(TokenError::Kind::other_variable);
    } else if (undo_.id != current_activation()->id) [[unlikely]] {
      give_up(TokenError::Kind::other_context);
    } else {
      try {
        variable_.undo(undo_, [] {});
      } catch (...) {  // A snapshot is out, so the slots had to be copied, and there is no memory.
        release(undo_.old);
        report_scope_without_memory(variable_.name());
      }
    }
  }

  void give_up(TokenError::Kind kind) noexcept {
    release(undo_.old);
    report_scope(kind, variable_.name());
  }

  const ContextVar<T>& variable_;
  const Undo undo_;  // Owns the box in it.
  const bool used_ = false;
};

struct NoMore {};

}  // namespace internal

// Sets variables for as long as it lives. The template arguments are deduced: T is the type of the
// first variable, Rest the Scope of the others. As a member of a class it is written Scope<T>.
template <typename T, typename Rest = void>
class [[nodiscard]] Scope {
 public:
  // Sets `variable` to `value`, or removes it if that is taskctx::unset, then goes on with `more`
  // pairs of variable and value. Costs as much as ContextVar::set() for each.
  template <typename V, typename... More>
  [[gnu::always_inline]] explicit Scope(const ContextVar<T>& variable, V&& value, More&&... more)
      : binding_(variable, std::forward<V>(value)), rest_{std::forward<More>(more)...} {}

  // Adopts a token: what it can undo is undone when the scope ends.
  explicit Scope(Token<T>&& token) noexcept : binding_(std::move(token)) {}

  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Restores what was there, in the opposite order. Costs as much as ContextVar::reset() for each;
  // never throws.
  [[gnu::always_inline]] ~Scope() = default;

 private:
  internal::Binding<T> binding_;
  [[no_unique_address]] std::conditional_t<std::is_void_v<Rest>, internal::NoMore, Rest> rest_;
};

template <typename T>
Scope(Token<T>&&) -> Scope<T>;
template <typename T, typename V>
Scope(const ContextVar<T>&, V&&) -> Scope<T>;
template <typename T, typename V, typename W, typename... More>
Scope(const ContextVar<T>&, V&&, W&&, More&&...)
    -> Scope<T, decltype(Scope{std::declval<W>(), std::declval<More>()...})>;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_SCOPE_H_
