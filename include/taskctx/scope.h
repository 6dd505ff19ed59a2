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
//           nothing. A scope that ends before a younger one of its context is reported as well, and
//           restores what it replaced (blindly, as ContextVar::reset() does out of order).

#ifndef TASKCTX_SCOPE_H_
#define TASKCTX_SCOPE_H_

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/token.h"

namespace taskctx {
inline namespace v1 {

template <typename T, typename Rest = void>
class Scope;

// The type of `unset`, which stands for "no value" in a Scope.
struct Unset {};
inline constexpr Unset unset{};

namespace internal {

// A variable, and the place in the source where it was named.
template <typename T>
struct Named {
  // Implicit: stands for the variable in the constructors of scopes.
  Named(const ContextVar<T>& named,  // NOLINT(google-explicit-constructor)
        SourcePlace location = SourcePlace::current()) noexcept
      : variable(named), place(location) {}

  const ContextVar<T>& variable;
  SourcePlace place;
};

// One variable of a scope: a token whose fields the compiler can keep in registers.
template <typename T>
class ScopedBinding {
 public:
  [[gnu::always_inline]] ScopedBinding(const Named<T>& named, Unset /*unset*/,
                                       Activation* activation = current_activation())
      : variable_(named.variable),
        place_(named.place),
        undo_(variable_.unset_undoably(activation)),
        depth_(++activation->scopes) {}
  template <typename V>
  [[gnu::always_inline]] ScopedBinding(const Named<T>& named, V&& value,
                                       Activation* activation = current_activation())
      : variable_(named.variable),
        place_(named.place),
        undo_(variable_.set_undoably(converted<T>(std::forward<V>(value)), activation)),
        depth_(++activation->scopes) {}
  ScopedBinding(Token<T>&& token, SourcePlace place) noexcept
      : variable_(token.var()),
        place_(place),
        undo_(token.undo_),
        used_(std::exchange(token.used_, true)),
        depth_(count()) {}
  ScopedBinding(const ScopedBinding&) = delete;
  ScopedBinding& operator=(const ScopedBinding&) = delete;
  [[gnu::always_inline]] ~ScopedBinding() { close(); }

 private:
  [[gnu::always_inline]] void close() noexcept {
    Activation* activation = current_activation();
    if (used_ || undo_.key != variable_.variable_.write_key() || undo_.id != activation->id ||
        activation->scopes != depth_) [[unlikely]] {
      close_slowly(variable_, undo_, place_, used_, depth_);
      return;
    }
    activation->scopes = depth_ - 1;
    try {
      variable_.undo(undo_, activation, [] {});
    } catch (...) {  // A snapshot is out, so the slots had to be copied, and there is no memory.
      give_up(variable_, undo_, place_, ScopeFault::no_memory);
    }
  }

  // Closes a scope with which something is wrong, or whose variable is watched. Its
  // arguments are values on purpose, so that the compiler can keep the scope itself in registers.
  [[gnu::noinline]] static void close_slowly(const ContextVar<T>& variable, Undo undo,
                                             SourcePlace place, bool used,
                                             std::uint32_t depth) noexcept {
    if (used) {
      report_scope(ScopeFault::used, variable.name(), place);
    } else if (undo.key != variable.variable_.key()) {
      give_up(variable, undo, place, ScopeFault::other_variable);
    } else if (undo.id != current_activation()->id) {
      give_up(variable, undo, place, ScopeFault::other_context);
    } else {
      if (depth != 0 && current_activation()->scopes-- > depth) {
        report_scope(ScopeFault::out_of_order, variable.name(), place);
      }
      try {
        variable.undo_slowly(undo, [] {});
      } catch (...) {
        give_up(variable, undo, place, ScopeFault::no_memory);
      }
    }
  }

  static void give_up(const ContextVar<T>& variable, Undo undo, SourcePlace place,
                      ScopeFault fault) noexcept {
    release(undo.old);
    report_scope(fault, variable.name(), place);
  }

  // Counts this scope in the current context, if its variable was set there. Returns how many it
  // has.
  [[nodiscard]] std::uint32_t count() const noexcept {
    Activation* activation = current_activation();
    return undo_.id == activation->id ? ++activation->scopes : 0;
  }

  const ContextVar<T>& variable_;
  const SourcePlace place_;
  const Undo undo_;  // Owns the box in it.
  const bool used_ = false;
  // How many scopes were open in the context, this one included; 0 for an adopted token of another
  // context. Fewer may be open when this one ends, if an older one has ended before.
  const std::uint32_t depth_;
};

// The place of the whole scope: the variables after the first one have it, too.
struct ScopePlace {
  SourcePlace place;
};
struct NoMore {
  explicit NoMore(ScopePlace /*place*/) noexcept {}
};

// Tell whether the arguments of a scope are pairs of a variable and something else, or a token.
template <typename W>
concept AVariable = requires(const std::remove_cvref_t<W>& variable) {
  []<typename T>(const ContextVar<T>&) {}(variable);
};
template <typename... Args>
inline constexpr bool kArePairs = sizeof...(Args) == 0;
template <AVariable W, typename V, typename... More>
inline constexpr bool kArePairs<W, V, More...> = kArePairs<More...>;
template <typename... Args>
inline constexpr bool kAreForScope = sizeof...(Args) != 0 && kArePairs<Args...>;
template <typename T>
inline constexpr bool kAreForScope<Token<T>> = true;

// Tell whether V is what set() takes for a T, or unset; and whether all values of a scope are.
template <typename V, typename T>
concept ValueOf = std::same_as<std::remove_cvref_t<V>, Unset> || std::convertible_to<V, T>;
template <typename... More>
inline constexpr bool kAreValues = true;
template <AVariable W, typename V, typename... More>
inline constexpr bool kAreValues<W, V, More...> =
    ValueOf<V, typename std::remove_cvref_t<W>::value_type> && kAreValues<More...>;
template <typename W, typename V, typename... More>
concept HaveAnotherType = kArePairs<More...> && !kAreValues<W, V, More...>;

// The type of the Scope of these pairs.
template <typename... Pairs>
struct ScopeOf {
  using type = void;  // NOLINT(readability-identifier-naming): a trait
};
template <typename W, typename V, typename... More>
  requires requires { typename std::remove_cvref_t<W>::value_type; }
struct ScopeOf<W, V, More...> {
  using type = Scope<typename std::remove_cvref_t<W>::value_type,  // NOLINT: likewise
                     typename ScopeOf<More...>::type>;
};

// The type of a scope's variable where there is none.
struct NoVariable {};

}  // namespace internal

// A guard that sets variables for as long as it lives. The template arguments are deduced: T is the
// type of the first variable, Rest the Scope of the others. As a member of a class it is written
// Scope<T>.
template <typename T, typename Rest>
class [[nodiscard]] Scope {
 public:
  // Sets `variable` to `value`, or removes it if that is taskctx::unset; then does so for `more`
  // pairs of variable and value. Takes what set() takes. Costs as much as that for each.
  template <typename V, typename... More>
    requires(internal::kArePairs<More...> && internal::kAreValues<ContextVar<T>, V, More...>)
  [[nodiscard("give it a name: without one it ends at once")]] [[gnu::always_inline]] explicit Scope(
      internal::Named<T> variable, V&& value, More&&... more)
      : binding_(variable, std::forward<V>(value)),
        rest_(internal::ScopePlace{variable.place}, std::forward<More>(more)...) {}

  // Adopts a token: what it can undo is undone when the scope ends.
  [[nodiscard("give it a name: without one it ends at once")]] explicit Scope(
      Token<T>&& token, SourcePlace place = SourcePlace::current()) noexcept
      : binding_(std::move(token), place), rest_(internal::ScopePlace{place}) {}

  // All else is refused, with a message.
  template <typename... More>
    requires(!internal::kAreForScope<const ContextVar<T>&, More...>)
  explicit Scope(internal::Named<T> variable, More&&... more)
      __attribute__((unavailable("write a value after each variable: Scope scope{a, 1, b, 2};")));
  explicit Scope(const Token<T>& token)
      __attribute__((unavailable("a token is used up: Scope scope{std::move(token)};")));
  template <typename V, typename... More>
    requires internal::HaveAnotherType<ContextVar<T>, V, More...>
  explicit Scope(internal::Named<T> variable, V&& value_of_another_type, More&&... more) = delete;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Restores what was there, in the opposite order. Costs as much as ContextVar::reset() for each;
  // never throws.
  [[gnu::always_inline]] ~Scope() = default;

 private:
  template <typename U, typename R>
  friend class Scope;

  // Sets the variables after another scope's first one.
  template <typename V, typename... More>
  [[gnu::always_inline]] Scope(internal::ScopePlace scope, const ContextVar<T>& variable, V&& value,
                               More&&... more)
      : Scope(internal::Named<T>(variable, scope.place), std::forward<V>(value),
              std::forward<More>(more)...) {}

  internal::ScopedBinding<T> binding_;
  [[no_unique_address]] std::conditional_t<std::is_void_v<Rest>, internal::NoMore, Rest> rest_;
};

template <>
class Scope<internal::NoVariable> {
 public:
  template <typename... Args>
  explicit Scope(Args&&...)
      __attribute__((unavailable("write a value after each variable: Scope scope{a, 1, b, 2};")));
};

template <typename T>
Scope(Token<T>&&) -> Scope<T>;
template <typename T>
Scope(const Token<T>&) -> Scope<T>;  // Refused, as what follows last.
template <typename T, typename V>
Scope(const ContextVar<T>&, V&&) -> Scope<T>;
template <typename T, typename V, typename W, typename... More>
  requires internal::kArePairs<W, More...>
Scope(const ContextVar<T>&, V&&, W&&, More&&...)
    -> Scope<T, typename internal::ScopeOf<W, More...>::type>;
template <typename... Args>
  requires(!internal::kAreForScope<std::remove_cvref_t<Args>...>)
Scope(Args&&...) -> Scope<internal::NoVariable>;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_SCOPE_H_
