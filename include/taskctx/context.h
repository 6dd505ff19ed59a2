// SPDX-License-Identifier: Apache-2.0
//
// Context: a set of bindings that code can run in (PEP 567).
//
//   taskctx::Context snapshot = taskctx::copy_context();  // O(1): nothing is copied until a write
//   snapshot.run([] { user.set("carol"); });              // for later runs of it, not for us here
//   const std::string* name = snapshot.find(user);        // "carol"
//
// A Context is a value: a copy has the same bindings, is independent of the original, and is
// another context to tokens.
//
// Threads:  as safe as std::string: one thread at a time may enter, assign or move a Context; any
//           number may read it while nobody does that. Many may copy one and drop the copies at
//           once: after a while they write to no common cache line.
// Lifetime: a Context keeps its values alive, and outlives each of its runs. A value that it has
//           inherited and then replaced may live until it is captured or copied, or ends.
// Errors:   ContextError where it is entered twice, left out of order, or assigned to while it is
//           entered.

#ifndef TASKCTX_CONTEXT_H_
#define TASKCTX_CONTEXT_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/core/type_ops.h"
#include "taskctx/internal/core/value.h"

namespace taskctx {
inline namespace v1 {

class Context;

// One binding of a context: a variable that is set, and its value. Iterating over a Context yields
// them. Keeps the value alive. A default-constructed one is empty: it may only be tested for that.
class ContextEntry {
 public:
  ContextEntry() = default;
  ContextEntry(const ContextEntry& other) noexcept : ContextEntry(other.record_, other.entry_) {}
  ContextEntry(ContextEntry&& other) noexcept
      : record_(std::exchange(other.record_, nullptr)), entry_(std::exchange(other.entry_, {})) {}
  ContextEntry& operator=(ContextEntry other) noexcept {
    std::swap(record_, other.record_);
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~ContextEntry();

  // Tells whether there is a binding.
  explicit operator bool() const noexcept { return record_ != nullptr; }

  // Returns the variable's name. The view is valid as long as this entry, even if the variable is
  // destroyed meanwhile.
  [[nodiscard]] std::string_view name() const noexcept { return record_->name; }

  // Returns the value for people to read, as operator<< prints it; strings are quoted, enumerators
  // are numbers unless they have an operator<<. "(not printable)" if there is no operator<<. Throws
  // what that throws.
  [[nodiscard]] std::string value() const;

  // Returns ContextVar::id() of the variable, also if that is destroyed meanwhile: a key for tables
  // of what is known of variables, such as codecs.
  [[nodiscard]] std::uint64_t variable_id() const noexcept { return entry_.key; }

  // Tells whether the binding is `variable`'s. (Names may be shared.)
  template <typename T>
  [[nodiscard]] bool is(const ContextVar<T>& variable) const noexcept {
    return entry_.key == variable.variable_.key();
  }

  // Borrows the value if the binding is `variable`'s; nullptr otherwise. Valid as long as this
  // entry.
  template <typename T>
  [[nodiscard]] const T* find(const ContextVar<T>& variable) const noexcept {
    return is(variable) ? internal::value_of<T>(entry_) : nullptr;
  }

  // Borrows the value if the variable is a ContextVar<T>; nullptr otherwise. Likewise.
  template <typename T>
  [[nodiscard]] const T* value_as() const noexcept {
    return record_->ops == &internal::kTypeOps<T> ? internal::value_of<T>(entry_) : nullptr;
  }

  // Calls `visitor(value)`, if the value's type is one of these, and returns whether it is.
  //
  //   entry.visit<int, std::string>([&](const auto& value) { write(out, value); });
  template <typename... Ts, typename Visitor>
  bool visit(Visitor&& visitor) const {
    const auto visit_as = [&]<typename T>(const T* value) {
      return value != nullptr && (std::invoke(visitor, *value), true);
    };
    return (visit_as(value_as<Ts>()) || ...);
  }

 private:
  friend class Context;
  friend class ContextIterator;
  friend std::vector<struct ContextChange> diff(const Context& before, const Context& after);
  ContextEntry(internal::VariableRecord* record, const internal::Entry& entry) noexcept;

  internal::VariableRecord* record_ = nullptr;
  internal::Entry entry_;
};

// An iterator over the variables that were set when the iteration began: what happens to the
// Context meanwhile, in this thread or by values' destructors, does not disturb it. The order is
// unspecified. A single pass (std::input_iterator).
class ContextIterator {
 public:
  using value_type = ContextEntry;
  using difference_type = std::ptrdiff_t;

  ContextIterator() = default;

  // Borrows the entry. Valid until the iterator moves on.
  [[nodiscard]] const ContextEntry& operator*() const noexcept { return entry_; }
  [[nodiscard]] const ContextEntry* operator->() const noexcept { return &entry_; }
  ContextIterator& operator++() {
    ++slot_;
    settle();
    return *this;
  }
  void operator++(int) { ++*this; }
  [[nodiscard]] bool operator==(std::default_sentinel_t /*end*/) const noexcept {
    return entry_.record_ == nullptr;
  }

 private:
  friend class Context;
  explicit ContextIterator(internal::NodeRef node) : node_(std::move(node)) { settle(); }

  // Moves on to the first entry that is set, from this slot on.
  void settle();

  internal::NodeRef node_;
  std::uint32_t slot_ = 0;
  ContextEntry entry_;
};

namespace internal {
struct ContextAccess;
}

class Context {
 public:
  // Makes a context in which nothing is set. O(1), no allocation.
  Context() = default;

  // Copies the bindings, also while `other` is entered: as they are now. O(1), one atomic
  // increment.
  Context(const Context& other) noexcept : Context(internal::NodeRef::share(other.self_.node)) {}

  // Moves the bindings and the identity; `other` is then a new, empty context. If `other` is
  // entered it stays as it is, and this becomes a copy. O(1).
  Context(Context&& other) noexcept;

  // Replaces the bindings and the identity. Throws ContextError if this context is entered: only
  // what runs in it changes it.
  Context& operator=(const Context& other) { return *this = Context(other); }
  Context& operator=(Context&& other);  // NOLINT(performance-noexcept-move-constructor): throws

  // Drops the bindings. Destroying a context that is entered is reported as a misuse.
  ~Context();

  // Calls `f(args...)` in this context and returns what it returns. What `f` sets stays in this
  // context, also when it throws; the caller's context is back afterwards in any case. Throws
  // ContextError if this context is entered already, by this or by another thread: let many tasks
  // run in copies, or use bind(). O(1): two words in, two words out.
  template <typename... Args, std::invocable<Args...> F>
    requires(!internal::kCallMakesTask<F, Args...>)
  decltype(auto) run(F&& f, Args&&... args) {
    enter();
    const Leaver leaver{*this};
    return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  }
  // Refused: what can't be called so, a constant, and coroutines.
  template <typename F, typename... Args>
    requires(!std::invocable<F, Args...>)
  __attribute__((unavailable("run(f, args...) calls f(args...), which is not possible here")))
  internal::Refused
  run(F&& /*f*/, Args&&... /*args*/) {
    return {};
  }
  template <typename... Args>
  __attribute__((unavailable("run() changes the context: run a copy, or use bind()")))
  internal::Refused
  run(Args&&... /*args*/) const {
    return {};
  }
  template <typename F, typename... Args>
    requires internal::kCallMakesTask<F, Args...>
  __attribute__((
      unavailable("a Task runs in its awaiter's context: pool.spawn({.context = c}, "
                  "task)"))) internal::Refused
  run(F&& /*f*/, Args&&... /*args*/) {
    return {};
  }

  // Makes this the current context of the calling thread, until leave(). Prefer run(). Throws
  // ContextError if it is entered already. O(1).
  void enter();

  // Puts back the context that was current at enter(). Throws ContextError if this context is not
  // entered, or is not the innermost one that was entered here. O(1).
  void leave();

  // Tells whether the variable is set in this context. Declared defaults don't count. Inside run()
  // this is live. O(1).
  template <typename T>
  [[nodiscard]] bool contains(const ContextVar<T>& variable) const noexcept {
    return find(variable) != nullptr;
  }

  // Borrows the value that is set in this context, nullptr if there is none; declared defaults
  // don't count. Inside run() this is live. Valid until this context binds the variable to
  // something else, or ends; if another variable is set in between, a small trivially copyable
  // value may move. O(1).
  template <typename T>
  [[nodiscard]] const T* find(const ContextVar<T>& variable) const noexcept {
    const internal::Entry* entry =
        internal::lookup<ContextVar<T>::kBoxed>(self_.node, variable.variable_);
    return entry != nullptr ? internal::value_of<T>(*entry) : nullptr;
  }

  // Counts the variables that are set. O(n).
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return begin() == end(); }

  // Iterates over the variables that are set. O(1) for begin(), O(n) for the whole way.
  [[nodiscard]] ContextIterator begin() const {
    return ContextIterator(internal::NodeRef::share(self_.node));
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

  // Returns a context with only these variables, as far as they are set here. O(number of variables
  // named).
  template <typename... Ts>
  [[nodiscard]] Context only(const ContextVar<Ts>&... variables) const {
    return only_keys({variables.variable_.key()...});
  }
  // Returns a context without these variables. Costs one write after a capture for each that is
  // set.
  template <typename... Ts>
  [[nodiscard]] Context without(const ContextVar<Ts>&... variables) const {
    return without_keys({variables.variable_.key()...});
  }
  // Returns a context with those bindings for which `keep(const ContextEntry&)` is true. O(n).
  template <std::predicate<const ContextEntry&> Keep>
  [[nodiscard]] Context filtered(Keep keep) const {
    internal::NodeRef kept;
    for (const ContextEntry& entry : *this) {
      if (std::invoke(keep, entry)) {
        internal::put_in(kept, entry.entry_);
      }
    }
    return Context(std::move(kept));
  }
  template <typename Keep>
    requires(!std::predicate<Keep, const ContextEntry&>)
  __attribute__((
      unavailable("filtered() takes a function of a const ContextEntry& that returns "
                  "bool"))) Context
  filtered(Keep /*keep*/) const {
    return {};
  }

  // Returns a number that stands for the content: where it is equal, the content is equal (not vice
  // versa), in this process. Copies have the number of their original until one of them changes.
  // O(1): good for keeping what was computed from a context. Inside run() it is live.
  [[nodiscard]] std::uint64_t version() const noexcept { return internal::version_of(self_.node); }

  // Prints the bindings for people: {request_id="r-1", retries=3}. O(n).
  friend std::ostream& operator<<(std::ostream& out, const Context& context);

  // Compares by content: the same variables are set, to equal values. Values without operator== are
  // equal if they are the same object, or the same bytes. Values are compared only where the same
  // variables are set; what operator== throws is passed on. O(n).
  [[nodiscard]] friend bool operator==(const Context& a, const Context& b) { return equal(a, b); }

 private:
  friend struct internal::ContextAccess;
  friend class ContextScope;

  struct Leaver {
    ~Leaver() { context.leave_run(); }
    Context& context;
  };

  explicit Context(internal::NodeRef node) noexcept : self_(activation_of(std::move(node))) {}
  static internal::Activation activation_of(internal::NodeRef node) noexcept {
    const bool is_spread = node.is_spread();
    return internal::outermost_activation(node.detach(), is_spread, /*is_inherited=*/true);
  }
  static bool equal(const Context& a, const Context& b);
  [[nodiscard]] Context only_keys(std::initializer_list<std::uint64_t> keys) const;
  [[nodiscard]] Context without_keys(std::initializer_list<std::uint64_t> keys) const;
  void leave_run() noexcept;
  void restore() noexcept;

  // The current activation of the code that runs in this context: so its node is always up to date.
  internal::Activation self_ = internal::outermost_activation(&internal::empty_node);
  std::atomic<bool> entered_{false};
};

// Takes a snapshot of the current context. O(1): one atomic increment, whatever is set; no
// allocation.
[[nodiscard]] Context copy_context() noexcept;

// A guard that runs the rest of a block in a Context: Context::run() for where there is no
// callable.
class [[nodiscard]] ContextScope {
 public:
  // Enters `context`, which must outlive the block. Throws ContextError if it is entered already.
  [[nodiscard("give it a name: without one it ends at once")]] explicit ContextScope(
      Context& context)
      : leaver_{(context.enter(), context)} {}
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;
  // Leaves it. If it is not the innermost one, that is reported as a misuse.
  ~ContextScope() = default;

 private:
  Context::Leaver leaver_;
};

// Returns a context with everything that is set in `over`, and what is set only in `base`. O(number
// of variables in `over`).
[[nodiscard]] Context overlaid(const Context& base, const Context& over);

// One variable in which two contexts differ.
struct ContextChange {
  ContextEntry before;  // Empty if the variable is not set in the older context.
  ContextEntry after;   // Empty if it is not set in the newer one.

  // Returns the variable's name. Valid as long as this object.
  [[nodiscard]] std::string_view name() const noexcept { return (after ? after : before).name(); }
};

// Lists the variables in which two contexts differ: `diff(a, b)` is empty if a == b. The order is
// unspecified. Values are compared as operator== of Context does. O(n).
[[nodiscard]] std::vector<ContextChange> diff(const Context& before, const Context& after);

namespace internal {

// Turns contexts into nodes and back, for the layers above.
struct ContextAccess {
  static NodeRef node(const Context& context) noexcept {
    return NodeRef::share(context.self_.node);
  }
  static Context make(NodeRef node) noexcept { return Context(std::move(node)); }
};

}  // namespace internal

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_H_
