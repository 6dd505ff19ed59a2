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

#include <exception>
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

// One variable of a scope.
template <typename T>
class Binding {
 public:
  Binding(const ContextVar<T>& variable, Unset /*unset*/) : token_(variable.unset()) {}
  template <typename V>
  Binding(const ContextVar<T>& variable, V&& value)
      : token_(variable.set(T(std::forward<V>(value)))) {}
  explicit Binding(Token<T>&& token) noexcept : token_(std::move(token)) {}
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;
  ~Binding() { close(); }

 private:
  void close() noexcept {
    const ContextVar<T>& variable = token_.var();
    if (const auto error = variable.check(token_)) [[unlikely]] {
      report_misuse(token_error_message("close scope of variable", *error, variable.name()),
                    variable.name());
      return;
    }
    try {
      variable.reset(std::move(token_));
    } catch (const std::exception&
                 error) {  // Out of memory: a snapshot is out, so the slots had to be copied.
      report_misuse(error.what(), variable.name());
    }
  }

  Token<T> token_;
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
  explicit Scope(const ContextVar<T>& variable, V&& value, More&&... more)
      : binding_(variable, std::forward<V>(value)), rest_{std::forward<More>(more)...} {}

  // Adopts a token: what it can undo is undone when the scope ends.
  explicit Scope(Token<T>&& token) noexcept : binding_(std::move(token)) {}

  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Restores what was there, in the opposite order. Costs as much as ContextVar::reset() for each;
  // never throws.
  ~Scope() = default;

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
