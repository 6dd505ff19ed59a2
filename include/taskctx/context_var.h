// SPDX-License-Identifier: Apache-2.0
//
// ContextVar: a typed variable whose value follows the task, not the thread (PEP 567).
//
//   inline taskctx::ContextVar<int> retries{"retries", 3};
//   auto token = retries.set(5);      // here, and in every task that is created from here on
//   retries.reset(std::move(token));  // 3 again, whichever thread runs this line
//
// Threads:  share one variable freely; a call touches the calling thread's current context only,
//           and takes no lock.
// Lifetime: at namespace scope, as a rule. It may be created and destroyed at run time as well; it
//           is usable before main and while static objects are destroyed.
// Errors:   those named at each member, and what copying or moving T throws; nothing has changed
//           then.

#ifndef TASKCTX_CONTEXT_VAR_H_
#define TASKCTX_CONTEXT_VAR_H_

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskctx/errors.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/node.h"
#include "taskctx/internal/value.h"
#include "taskctx/internal/variable.h"
#include "taskctx/token.h"

namespace taskctx {
inline namespace v1 {

// T may be move-only, lack a default constructor, be over-aligned, and throw when copied or moved.
// It is compared with operator==, if it has one, when contexts are.
template <typename T>
class ContextVar {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T> &&
                    !std::is_array_v<T>,
                "the value of a ContextVar is an object type without const or volatile");
  static_assert(std::is_move_constructible_v<T>, "the value of a ContextVar can be moved");
  static_assert(std::is_nothrow_destructible_v<T>,
                "the destructor of the value of a ContextVar does not throw");

 public:
  using value_type = T;

  // Is what get() returns: trivially copyable types of up to 8 bytes by value, all others by
  // reference. A reference is valid until this context binds the variable to something else, or
  // ends.
  using get_type = std::conditional_t<internal::kInline<T>, T, const T&>;

  // Declares a variable without a default, constant-initialised where the name is a literal. The
  // name is for people: two variables may share one. It is copied unless the variable is
  // constant-initialised. O(1).
  constexpr explicit ContextVar(std::string_view name) : variable_(name, internal::kTypeOps<T>) {}

  // Declares a variable that reads as `default_value` where it is not set. The default belongs to
  // the variable, not to any context: Context::size(), contains() and find() don't see it.
  constexpr ContextVar(std::string_view name, T default_value)
      : variable_(name, internal::kTypeOps<T>), default_(std::move(default_value)) {}

  ContextVar(const ContextVar&) = delete;  // A variable is its identity.
  ContextVar& operator=(const ContextVar&) = delete;

  // Destroys the variable. Values that contexts still hold live on until those end; no later
  // variable sees them. (So a library that defines T is unloaded after those contexts only.)
  ~ContextVar() = default;

  // Returns the name. The view is valid as long as the variable.
  [[nodiscard]] std::string_view name() const noexcept { return variable_.name(); }

  // Returns the value that is set here, else the declared default. Throws LookupError if there is
  // neither. O(1), neither allocates nor locks; creates nothing. For the lifetime of a reference
  // see get_type.
  [[nodiscard]] get_type get() const {
    const std::uint64_t key = variable_.key();
    const internal::Node* node = internal::current_node();
    const internal::Entry* entry = internal::place_of<kBoxed>(node, variable_, key).entry;
    if (entry->key == key) [[likely]] {
      return *internal::value_of<T>(*entry);
    }
    return get_otherwise();
  }

  // Returns the value that is set here, else `otherwise`, even if a default is declared. By value;
  // otherwise as get().
  template <std::convertible_to<T> U>
  [[nodiscard]] T get(U&& otherwise) const {
    if (const internal::Entry* entry = lookup()) [[likely]] {
      return *internal::value_of<T>(*entry);
    }
    return static_cast<T>(std::forward<U>(otherwise));
  }

  // Borrows what get() would return; nullptr where that would throw. Valid until this thread's next
  // set() or reset() of any variable, or the end of the context, whichever is first. O(1), neither
  // allocates nor locks.
  [[nodiscard]] const T* find() const noexcept {
    if (const internal::Entry* entry = lookup()) [[likely]] {
      return internal::value_of<T>(*entry);
    }
    return default_.has_value() ? &*default_ : nullptr;
  }

  // Binds the variable to `value` in the current context: for what runs here from now on, and for
  // every task created from here on; not for tasks that exist already. Keep the token to go back;
  // drop it and the value lasts as long as the context. Every value counts as set, also nullptr, ""
  // and 0. O(1) while no snapshot of the context is out, else it copies the slots once (copy on
  // write). Allocates when it copies, and for values that are not small and trivial. Throws
  // std::bad_alloc and what moving T throws.
  Token<T> set(T value) const { return Token<T>(this, set_undoably(std::move(value))); }

  // Removes the variable from the current context, so that defaults apply again. Otherwise as
  // set().
  Token<T> unset() const { return Token<T>(this, unset_undoably()); }

  // Undoes the set() that made `token`, and spends it: the variable has its old value again, or is
  // not set if it wasn't. Resets out of order are blind: each restores what its own set() replaced.
  // Throws TokenError if the token was used already, is another variable's, or was made in another
  // context (in that order), and std::bad_alloc; nothing has changed then, and the token is still
  // good. O(1), as set().
  void reset(Token<T>&& token) const {
    if (const std::optional<TokenError::Kind> error = check(token)) {
      internal::throw_token_error(*error, name());
    }
    undo(token.undo_, [&token]() noexcept { token.used_ = true; });
  }

  // Tells what reset() would throw for this token here, if anything. O(1).
  [[nodiscard]] std::optional<TokenError::Kind> check(const Token<T>& token) const noexcept {
    if (token.used_) {
      return TokenError::Kind::used;
    }
    if (token.variable_ != this || token.undo_.key != variable_.key()) {
      return TokenError::Kind::other_variable;
    }
    if (token.undo_.id != internal::current_activation()->id) {
      return TokenError::Kind::other_context;
    }
    return std::nullopt;
  }

 private:
  friend class Context;
  friend class internal::Binding<T>;

  static constexpr bool kBoxed = !internal::kInline<T>;

  // Goes on where get() has found nothing at first sight.
  [[gnu::noinline]] get_type get_otherwise() const {
    if (const T* value = find()) {
      return *value;
    }
    internal::throw_lookup_error(name());
  }

  [[nodiscard]] const internal::Entry* lookup() const noexcept {
    return internal::lookup<kBoxed>(internal::current_node(), variable_);
  }

  [[gnu::always_inline]] internal::Undo set_undoably(T value) const {
    const std::uint64_t key = variable_.assigned_key();
    const std::uint64_t word = internal::make_word<T>(variable_, std::move(value));
    if constexpr (internal::kInline<T>) {
      return undo_of(key, internal::set_entry<kBoxed>(variable_, key, word));
    } else {
      try {
        // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): the node has the pointer now.
        return undo_of(key, internal::set_entry<kBoxed>(variable_, key, word));
      } catch (...) {
        internal::release(internal::Entry{key, word});
        throw;
      }
    }
  }
  [[gnu::always_inline]] internal::Undo unset_undoably() const {
    const std::uint64_t key = variable_.assigned_key();
    return undo_of(key, internal::unset_entry<kBoxed>(variable_, key));
  }
  // The current activation has its id by now.
  [[gnu::always_inline]] static internal::Undo undo_of(std::uint64_t key, internal::Entry old) {
    return {key, internal::current_activation()->id, old};
  }

  // Puts the old value back, which `undo` no longer owns when `spend` is called. The value that
  // goes is destroyed last: its destructor may use this very variable.
  template <typename Spend>
  [[gnu::always_inline]] void undo(const internal::Undo& undo, Spend spend) const {
    internal::Entry removed;
    if (undo.old.key != 0) {
      removed = internal::set_entry<kBoxed>(variable_, undo.key, undo.old.word);
    } else {
      removed = internal::unset_entry<kBoxed>(variable_, undo.key);
    }
    spend();
    if constexpr (kBoxed) {
      internal::release(removed);
    }
  }

  internal::Variable variable_;
  const std::optional<T> default_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_VAR_H_
