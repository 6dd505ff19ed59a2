// SPDX-License-Identifier: Apache-2.0
//
// ContextVar: a typed variable whose value follows the task, not the thread (PEP 567).
//
//   inline taskctx::ContextVar<int> retries{"retries", 3};
//   auto token = retries.set(5);      // here, and in every task that is created from here on
//   retries.reset(std::move(token));  // 3 again, whichever thread runs this line
//
// Threads:  all threads may share a variable. A call touches only the calling thread's current
//           context, and takes no lock.
// Lifetime: variables are mostly at namespace scope, and usable before main. A variable with static
//           storage duration is usable until the process ends: its destructor does nothing (on ELF
//           platforms), so that jobs, threads and static objects that outlive it still read what is
//           set, or its default. (So don't construct one repeatedly in a static std::optional.)
//           What the main thread has set ends with its thread_local objects. Static objects, which
//           are destroyed later, read the default, unless they are in a Context.
// Errors:   those named at each member, and what copying or moving T throws; nothing has changed
//           then.
//
// Memory:   the program's operator new and delete may read and set variables, like any other
//           function that the calling code calls; what they set stays. (They must avoid endless
//           recursion themselves.) On a pool's thread between jobs, and inside a call that waits,
//           they are in no context.
// Fork:     everything here works in a forked child, whatever other threads were doing.
//
// Shared libraries: an inline variable in a header is the same one in all modules of a process only
// if the loader can bind their symbols to each other. It can't if the program does not export its
// symbols to a plugin (-rdynamic), or if visibility is hidden. Then each module has a variable of
// its own, unless they have a SharedName (context_var_options.h):
//
//   inline taskctx::ContextVar<std::string> request{taskctx::SharedName("com.example.request")};
//
// For that, the modules must use the same taskctx, in a shared library or in a program that exports
// its symbols. A module with its own copy of taskctx has its own contexts, in which the variables
// of other modules are not set, and knows only its own variables' policies. The misuse handler is
// told when a second copy is loaded. A module stays loaded after dlclose() if it has its own
// taskctx, or if it defines a variable that was set, the type of such a variable's value, or
// functions in its options. Other modules are unloaded; their variables' defaults go without their
// destructors.

#ifndef TASKCTX_CONTEXT_VAR_H_
#define TASKCTX_CONTEXT_VAR_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskctx/context_var_options.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/computed_default.h"
#include "taskctx/internal/core/miss_check.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/type_ops.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/internal/core/watch.h"
#include "taskctx/internal/core/write.h"
#include "taskctx/token.h"

namespace taskctx {
inline namespace v1 {

// Where a binding comes from.
enum class Source {
  nowhere,    // The variable is not set here.
  inherited,  // The task, leaf or bound call started with it.
  here,       // It was set since, or in this very Context, or in a thread outside all tasks.
};

namespace internal {

template <typename T>
inline constexpr bool kCanBeValue = false;
template <typename T>
  requires(std::is_object_v<T> && !std::is_array_v<T> && std::is_same_v<T, std::remove_cv_t<T>>)
inline constexpr bool kCanBeValue<T> =
    std::is_move_constructible_v<T> && std::is_nothrow_destructible_v<T>;

}  // namespace internal

// T may be move-only, lack a default constructor, be over-aligned, and throw when copied or moved.
// It is compared with operator==, if it has one, when contexts are.
template <typename T>
class ContextVar {
 public:
  using value_type = T;

  // The return type of get(): trivially copyable types of up to 8 bytes by value, all others by
  // reference. A reference is valid until this context binds the variable to another value, or
  // ends.
  using get_type = std::conditional_t<internal::kInline<T>, T, const T&>;

  // Declares a variable without a default, constant-initialised where the name is a literal. The
  // name is for people: two variables may share one. It is copied unless the variable is
  // constant-initialised; one with static storage duration then takes a lock, O(log n). Else O(1).
  constexpr explicit ContextVar(std::string_view name) : variable_(name, internal::kTypeOps<T>) {}

  // Declares a variable whose value is `default_value` where it is not set. The default belongs to
  // the variable, not to any context: Context::size(), contains() and find() don't see it.
  constexpr ContextVar(std::string_view name, T default_value)
      : variable_(name, internal::kTypeOps<T>),
        options_({.default_value = std::move(default_value)}) {}

  // Declares a variable with options: `{"name", {.policy = policy::never}}`. See
  // context_var_options.h. (A template, so that `{"name", {...}}` is a default value where it can
  // be one.)
  template <std::same_as<ContextVarOptions<T>> Options = ContextVarOptions<T>>
  constexpr ContextVar(std::string_view name, Options options)
      : variable_(name, internal::kTypeOps<T>), options_(std::move(options)) {}

  // Declare a variable that is the same as all others with this name. It is not
  // constant-initialised, and is usable once it has been constructed. O(n) for n such names, takes
  // a lock.
  explicit ContextVar(SharedName name) : ContextVar(name.text) { variable_.share(rules()); }
  ContextVar(SharedName name, T default_value) : ContextVar(name.text, std::move(default_value)) {
    variable_.share(rules());
  }
  template <std::same_as<ContextVarOptions<T>> Options = ContextVarOptions<T>>
  ContextVar(SharedName name, Options options) : ContextVar(name.text, std::move(options)) {
    variable_.share(rules());
  }

  // Refused: a default of another type.
  template <typename Other>
    requires(!std::convertible_to<Other, T> &&
             !std::same_as<std::remove_cvref_t<Other>, ContextVarOptions<T>>)
  ContextVar(std::string_view name, Other&& default_value)
      __attribute__((unavailable("the default is no value of the variable's type")));

  ContextVar() = delete;                   // A variable has a name: ContextVar<int> n{"n"};
  ContextVar(const ContextVar&) = delete;  // A variable is its identity.
  ContextVar& operator=(const ContextVar&) = delete;

  // Destroys the variable, unless it has static storage duration. Values that contexts still hold
  // live on until those end; no later variable sees them.
  ~ContextVar() {
    // Stores nothing in a variable that lives on: compilers drop what a destructor stores.
    if (!internal::is_static(this)) {
      // Pairs with the release in compute_default(), of whichever thread it was.
      delete computed_default_.load(std::memory_order_acquire);
      std::destroy_at(&options_.value);
      variable_.retire();
    }
  }

  // Returns the name. The view is valid as long as the variable.
  [[nodiscard]] std::string_view name() const noexcept { return variable_.name(); }

  // Returns the value that is set here, else the declared default, which may have to be computed
  // first. Throws LookupError if there is neither, and what the computation throws. Throws
  // std::invalid_argument, as set() and unset() do, if the variable was refused its SharedName.
  // O(1), neither allocates nor locks; creates nothing. For the lifetime of a reference see
  // get_type. (`site` records the call for diagnostics; leave it to its default.)
  [[nodiscard, gnu::always_inline]] get_type get(internal::CallSite site = {}) const {
    const std::uint64_t key = variable_.key();
    const internal::Node* node = internal::current_node();
    const internal::Entry* entry = internal::locate<kBoxed>(node, variable_, key);
    if (entry->key == key) [[likely]] {
      return *internal::value_of<T>(*entry);
    }
    return get_otherwise(site);
  }

  // Returns the value that is set here, else `otherwise`, even if a default is declared. By value;
  // otherwise as get().
  template <std::convertible_to<T> U>
  [[nodiscard, gnu::always_inline]] T get(U&& otherwise, internal::CallSite site = {}) const {
    if (const internal::Entry* entry = lookup_usable()) [[likely]] {
      return *internal::value_of<T>(*entry);
    }
    internal::note_miss(name(), site);
    return internal::converted<T>(std::forward<U>(otherwise));
  }

  // Refused: one that is no T.
  template <typename U>
    requires(!std::convertible_to<U, T> &&
             !std::same_as<std::remove_cvref_t<U>, internal::CallSite>)
  T get(U&& otherwise) const
      __attribute__((unavailable("what get() is to return otherwise is no value of the variable's "
                                 "type")));

  // Borrows what get() would return; nullptr where that would throw. Valid until this thread's next
  // set() or reset() of any variable, or the end of the context, whichever is first. O(1), neither
  // allocates nor locks.
  [[nodiscard, gnu::always_inline]] const T* find(internal::CallSite site = {}) const noexcept {
    if (const internal::Entry* entry = lookup()) [[likely]] {
      return internal::value_of<T>(*entry);
    }
    internal::note_miss(name(), site);
    try {
      variable_.check_usable();
      return find_default();
    } catch (...) {
      return nullptr;
    }
  }

  // Borrows the declared default, nullptr if there is none: what get() returns where nothing is
  // set. May have to compute it first: then it throws what the computation throws, and LookupError
  // inside that very computation. Valid as long as the variable. O(1).
  [[nodiscard]] const T* declared_default() const { return find_default(); }

  // Returns a number that no other variable of this process has, or has had, except those with
  // which it shares its name. Drawn by the first set(), or by the first call: throws what set()
  // throws then. O(1). See ContextEntry::variable_id().
  [[nodiscard]] std::uint64_t id() const {
    const std::uint64_t key = variable_.key();
    return key < internal::kRefused && key != internal::kUnassigned ? key
                                                                    : variable_.assign_key(rules());
  }

  // Tells where the value that is set here comes from. O(1).
  [[nodiscard]] Source source() const noexcept {
    const internal::Entry* entry = lookup();
    if (entry == nullptr) {
      return Source::nowhere;
    }
    return internal::is_inherited(*entry) ? Source::inherited : Source::here;
  }

  // Sets the variable to `value` in the current context: for what runs here from now on, and for
  // every task created from here on; not for tasks that exist already. Keep the token to go back;
  // drop it and the value lasts as long as the context. Every value counts as set, also nullptr, ""
  // and 0. O(1) while no snapshot of the context is out, else it copies the slots once (copy on
  // write). Allocates when it copies, and for values that are not small and trivial. Throws
  // std::bad_alloc and what moving T throws.
  Token<T> set(T value) const {
    internal::Activation* activation = internal::current_activation();
    return Token<T>(this, set_undoably(std::move(value), activation));
  }

  // Removes the variable from the current context, so that defaults apply again. Otherwise as
  // set().
  Token<T> unset() const {
    internal::Activation* activation = internal::current_activation();
    return Token<T>(this, unset_undoably(activation));
  }

  // Undoes the set() that made `token`, and spends it: the variable has its old value again, or is
  // not set if it wasn't. Resets out of order are blind: each restores what its own set() replaced.
  // Throws TokenError if the token was used already, is another variable's, or was made in another
  // context (in that order), and std::bad_alloc; nothing has changed then, and the token is still
  // good. O(1), as set().
  void reset(Token<T>&& token) const {
    if (const std::optional<TokenError::Kind> error = check(token)) {
      internal::throw_token_error(*error, name());
    }
    const auto spend = [&token]() noexcept { token.used_ = true; };
    if (variable_.write_key() != internal::kUnassigned) [[likely]] {
      undo(token.undo_, internal::current_activation(), spend);
    } else {
      undo_slowly(token.undo_, spend);
    }
  }

  // Other tokens are refused.
  void reset(const Token<T>& token) const
      __attribute__((unavailable("a token is used up: reset(std::move(token))")));
  template <typename U>
    requires(!std::is_same_v<T, U>)
  void reset(const Token<U>& token) const
      __attribute__((unavailable("this token is another variable's: only set() of this one makes "
                                 "tokens for it")));

  // Tells what reset() would throw for this token here, if anything. O(1).
  [[nodiscard]] std::optional<TokenError::Kind> check(const Token<T>& token) const noexcept {
    if (token.used_) {
      return TokenError::Kind::used;
    }
    if (token.undo_.key != variable_.key()) {
      return TokenError::Kind::other_variable;
    }
    if (token.undo_.id != internal::current_activation()->id) {
      return TokenError::Kind::other_context;
    }
    return std::nullopt;
  }

 private:
  friend class Context;
  friend class ContextEntry;
  friend class internal::ScopedBinding<T>;

  static constexpr bool kBoxed = !internal::kInline<T>;

  // Does what get() does where its first look finds nothing.
  [[gnu::noinline]] get_type get_otherwise(internal::CallSite site) const {
    if (const internal::Entry* entry = lookup_usable()) {
      return *internal::value_of<T>(*entry);
    }
    internal::note_miss(name(), site);
    if (const T* value = find_default()) {
      return *value;
    }
    internal::throw_lookup_error(name());
  }

  // Returns the declared default, computed if need be; nullptr if there is none.
  [[nodiscard]] const T* find_default() const {
    if (options_.value.default_value.has_value()) {
      return &*options_.value.default_value;
    }
    if (options_.value.default_factory == nullptr) {
      return nullptr;
    }
    // Pairs with the release in compute_default(): the value is complete.
    const T* computed = computed_default_.load(std::memory_order_acquire);
    return computed != nullptr ? computed : compute_default();
  }

  [[gnu::noinline]] const T* compute_default() const {
    std::unique_ptr<const T> fresh;
    const auto compute = [this, &fresh] { fresh.reset(new T(options_.value.default_factory())); };
    // What it makes may refer to its code.
    internal::keep_loaded(options_.value.default_factory.get());
    internal::compute_default(
        variable_, [](const void* call) { (*static_cast<const decltype(compute)*>(call))(); },
        &compute);
    // The release publishes the value; if another thread was faster, the acquire gets that one's.
    const T* computed = nullptr;
    if (computed_default_.compare_exchange_strong(computed, fresh.get(),
                                                  std::memory_order_acq_rel)) {
      computed = fresh.release();
    }
    return computed;
  }

  [[nodiscard]] const internal::Entry* lookup() const noexcept {
    return internal::lookup<kBoxed>(internal::current_node(), variable_);
  }
  // Throws as Variable::check_usable() does.
  [[nodiscard]] const internal::Entry* lookup_usable() const {
    return internal::lookup<kBoxed, internal::find_usable_entry>(internal::current_node(),
                                                                 variable_);
  }

  // The writes get the current activation, and leave it in `activation`: it may be another then.
  [[gnu::always_inline]] internal::Undo set_undoably(T value,
                                                     internal::Activation*& activation) const {
    const std::uint64_t key = variable_.write_key();
    if (key == internal::kUnassigned) [[unlikely]] {
      // Copied member by member on purpose: if the slow call wrote into the returned object, the
      // compiler would keep the fast path's result in memory, too.
      const internal::Undo undo = set_slowly(std::move(value));
      activation = internal::current_activation();
      return {undo.key, undo.id, undo.old};
    }
    return put(key, std::move(value), activation);
  }
  [[gnu::always_inline]] internal::Undo unset_undoably(internal::Activation*& activation) const {
    const std::uint64_t key = variable_.write_key();
    if (key == internal::kUnassigned) [[unlikely]] {
      const internal::Undo undo = unset_slowly();
      activation = internal::current_activation();
      return {undo.key, undo.id, undo.old};
    }
    return remove(key, activation);
  }

  // Do so where there is no key yet, or changes are watched.
  [[gnu::noinline]] internal::Undo set_slowly(T value) const {
    const std::uint64_t key = variable_.assign_key(rules());
    internal::Activation* activation = internal::current_activation();
    return tell([&] { return put(key, std::move(value), activation); });
  }
  [[gnu::noinline]] internal::Undo unset_slowly() const {
    const std::uint64_t key = variable_.assign_key(rules());
    internal::Activation* activation = internal::current_activation();
    return tell([&] { return remove(key, activation); });
  }

  // The activation has its id when something has been written.
  [[gnu::always_inline]] internal::Undo put(std::uint64_t key, T value,
                                            internal::Activation*& activation) const {
    const std::uint64_t word =
        internal::make_word<T>(kBoxed ? variable_.record() : nullptr, std::move(value));
    internal::Entry old;
    if constexpr (internal::kInline<T>) {
      old = internal::set_entry<kBoxed>(variable_, key, word, activation);
    } else {
      try {
        // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): the node has the pointer now.
        old = internal::set_entry<kBoxed>(variable_, key, word, activation);
      } catch (...) {
        internal::release(internal::Entry{key, word});
        throw;
      }
    }
    return {key, activation->id, old};
  }
  [[gnu::always_inline]] internal::Undo remove(std::uint64_t key,
                                               internal::Activation*& activation) const {
    const internal::Entry old = internal::unset_entry<kBoxed>(variable_, key, activation);
    return {key, activation->id, old};
  }

  // Puts the old value back, which `undo` no longer owns when `spend` is called. The value that
  // goes is destroyed last: its destructor may use this very variable.
  template <typename Spend>
  [[gnu::always_inline]] void undo(const internal::Undo& undo, internal::Activation* activation,
                                   Spend spend) const {
    internal::Entry removed;
    if (kBoxed && (undo.old.key & internal::kSpreadBit) != 0) [[unlikely]] {
      removed = internal::exchange(undo.key, undo.old);
    } else if (undo.old.key != 0) {
      removed = internal::set_entry<kBoxed>(variable_, undo.key, undo.old.word, activation);
    } else {
      removed = internal::unset_entry<kBoxed>(variable_, undo.key, activation);
    }
    spend();
    if constexpr (kBoxed) {
      internal::release(removed);
    }
  }
  template <typename Spend>
  [[gnu::noinline]] void undo_slowly(const internal::Undo& undo, Spend spend) const {
    tell([&] {
      this->undo(undo, internal::current_activation(), spend);
      return 0;
    });
  }

  // Makes a change, and tells on_change of it, if there is one.
  template <typename Make>
  auto tell(Make make) const {
    internal::VariableRecord* record = variable_.record();
    const internal::WatchedChange change(record->rules.on_change != nullptr ? record : nullptr);
    return make();
  }

  [[nodiscard]] internal::VariableRules rules() const noexcept {
    if constexpr (requires { T::kRules; }) {
      return T::kRules;
    } else {
      using Rules = internal::VariableRules;
      const Policy<T>& policy = options_.value.policy;
      Rules rules;
      rules.propagation = !policy.is_propagated()    ? Rules::Propagation::never
                          : policy.copy() != nullptr ? Rules::Propagation::copy
                                                     : Rules::Propagation::inherit;
      rules.copy = reinterpret_cast<Rules::Function>(policy.copy());
      rules.on_change = reinterpret_cast<Rules::Function>(options_.value.on_change.get());
      rules.merge = reinterpret_cast<Rules::Function>(options_.value.merge.get());
      return rules;
    }
  }

  // Destroyed by the variable only.
  union LastingOptions {
    constexpr LastingOptions() : value{} {}
    constexpr explicit LastingOptions(ContextVarOptions<T> options) : value(std::move(options)) {}
    constexpr ~LastingOptions() {}  // NOLINT(modernize-use-equals-default): that would be deleted

    const ContextVarOptions<T> value;
  };

  internal::Variable variable_;
  const LastingOptions options_;
  mutable std::atomic<const T*> computed_default_{nullptr};
};

// What can't be a value is refused, and nothing is said of what follows from that.
template <typename T>
  requires(!internal::kCanBeValue<T>)
class ContextVar<T> {
  static_assert(!std::is_reference_v<T>,
                "a ContextVar holds no reference: use a pointer, or a std::reference_wrapper");
  static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                "leave out const and volatile: a value that is set never changes");
  static_assert(!std::is_array_v<T>, "a ContextVar holds no array: use a std::array");
  static_assert(std::is_reference_v<T> || std::is_object_v<T>,
                "a ContextVar holds no function and no void: use a pointer");
  static_assert(!std::is_object_v<T> || std::is_array_v<T> || std::is_const_v<T> ||
                    std::is_move_constructible_v<T>,
                "a ContextVar holds what can be moved: use a std::shared_ptr");
  static_assert(!std::is_object_v<T> || std::is_nothrow_destructible_v<T>,
                "a ContextVar holds nothing whose destructor may throw");

 public:
  template <typename... Args>
  constexpr explicit ContextVar(Args&&...) {}
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_VAR_H_
