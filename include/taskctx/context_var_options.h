// SPDX-License-Identifier: Apache-2.0
//
// ContextVarOptions: what a new task gets of a variable (its policy), and the variable's other
// options.
//
//   inline taskctx::ContextVar<Lock*> held{"held", {.policy = taskctx::policy::never}};
//   inline taskctx::ContextVar<Cart> cart{
//       "cart", {.policy = taskctx::policy::copy([](const Cart& cart) { return cart.fork(); })}};
//
// A policy acts where a context is inherited: once for each task that is submitted, spawned or
// bound, and once for each blocking algorithm (all its leaves see the same). It does not act where
// a Context is handed over explicitly, nor in copy_context(): those are exact. Programs without
// policies pay one predictable branch for each capture; with them, a capture looks up each variable
// that has one.
//
// Functions are plain pointers (a lambda without captures converts), so that variables can be
// constant-initialised.

#ifndef TASKCTX_CONTEXT_VAR_OPTIONS_H_
#define TASKCTX_CONTEXT_VAR_OPTIONS_H_

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// A pointer to a function, made of a function or of a lambda without captures.
template <typename Signature>
class PlainFunction;
template <typename R, typename... Args>
class PlainFunction<R(Args...)> {
 public:
  using Pointer = R (*)(Args...);

  constexpr PlainFunction(std::nullptr_t /*none*/ = nullptr) noexcept {}      // NOLINT
  constexpr PlainFunction(Pointer function) noexcept : pointer_(function) {}  // NOLINT
  template <std::convertible_to<Pointer> F>
  constexpr PlainFunction(F function) noexcept : pointer_(function) {}  // NOLINT
  template <typename F>
    requires(!std::convertible_to<F, Pointer>)
  __attribute__((
      unavailable("give a function, or a lambda without captures, with the types that "
                  "this option has"))) PlainFunction(F /*function*/) {}  // NOLINT

  [[nodiscard]] constexpr Pointer get() const noexcept { return pointer_; }
  constexpr operator Pointer() const noexcept { return pointer_; }  // NOLINT

 private:
  Pointer pointer_ = nullptr;
};

// The types of what is in namespace policy, for Policy to tell them apart.
struct InheritPolicy {};
struct NeverPolicy {};
template <typename F>
struct CopyPolicy {
  F function;
};

}  // namespace internal

namespace policy {

// The binding is handed on: parent and task share the value until one of them sets the variable.
inline constexpr internal::InheritPolicy inherit;

// The variable is left out: in the task it is not set.
inline constexpr internal::NeverPolicy never;

// Gives the task its own value: what `function(const T& parents)` returns, called on the
// thread that creates the task, in its context. What it throws comes out of the call that would
// have created the task.
template <typename F>
[[nodiscard]] constexpr internal::CopyPolicy<F> copy(F function) {
  return {function};
}

}  // namespace policy

// One of policy::inherit, policy::never and policy::copy(function), for a variable of type T. The
// default is policy::inherit, unless T has a static member function `T inherited(const T&
// parents)`: then it is policy::copy(&T::inherited).
template <typename T>
class Policy {
 public:
  using Function = T (*)(const T& parents);

  constexpr Policy() {
    if constexpr (requires { Function(&T::inherited); }) {
      copy_ = &T::inherited;
    }
  }
  // The conversions are implicit, so that an option reads `.policy = policy::never`.
  constexpr Policy(internal::InheritPolicy /*inherit*/) {}                      // NOLINT
  constexpr Policy(internal::NeverPolicy /*never*/) : is_propagated_(false) {}  // NOLINT
  template <std::convertible_to<Function> F>
  constexpr Policy(internal::CopyPolicy<F> copy) : copy_(copy.function) {}  // NOLINT
  template <typename F>
    requires(!std::convertible_to<F, Function>)
  __attribute__((unavailable(
      "give policy::copy() a function, or a lambda without captures, that "
      "makes a T of a const T&"))) constexpr Policy(internal::CopyPolicy<F> /*copy*/) {}  // NOLINT

  // Tells whether tasks get the variable at all.
  [[nodiscard]] constexpr bool is_propagated() const noexcept { return is_propagated_; }
  // Returns what makes the tasks' own value, or nullptr if they share the creator's.
  [[nodiscard]] constexpr Function copy() const noexcept { return copy_; }

 private:
  bool is_propagated_ = true;
  Function copy_ = nullptr;
};

// A change of a variable. Both pointers are valid during the call only.
template <typename T>
struct Change {
  const T* before;  // What was set; nullptr if nothing was.
  const T* after;   // What is set now; nullptr if nothing is.
  bool by_switch;  // Whether another context became current; if not, the variable was set or reset.
};

// A name that makes all variables with it one variable, wherever in the process they are defined.
// They share what is set, and the policy, on_change and merge of the first of them, for as long as
// any of them lives. Each keeps its own default. Take a name that nobody else takes, such as
// "com.example.request". T is the same type everywhere, and not a type of an unnamed namespace: a
// variable of another type is refused. Its get(), set() and unset() throw std::invalid_argument,
// find() returns nullptr, and contexts don't have it.
struct SharedName {
  constexpr explicit SharedName(std::string_view name) : text(name) {}

  std::string_view text;
};

// The options of a variable. All fields may be left out.
template <typename T>
struct ContextVarOptions {
  // What get() returns where the variable is not set, as with ContextVar(name, default_value).
  std::optional<T> default_value = {};

  // A function that computes the default when it is first needed, if there is no default_value. It
  // runs in an empty context, so that the default is the same for all. Threads that need it at once
  // may each compute one; they all get the one that is ready first. What it throws comes out of
  // get(), and the next get() tries again; a computation that needs its own result gets a
  // LookupError.
  internal::PlainFunction<T()> default_factory = {};

  // What tasks get that are created where the variable is set.
  Policy<T> policy = {};

  // A function that is called after each change of what is set in the thread's current context, on
  // that thread, in the new context: after set(), unset(), reset() and scopes, and after switches
  // between contexts in which the variable differs. (Bindings are compared, not values.) It may use
  // the library, and even set the variable. What it throws is reported to the misuse handler and
  // stops nothing. It makes each change of the variable cost a copy of the slots, and each switch
  // in the process a look at both contexts.
  internal::PlainFunction<void(const Change<T>& change)> on_change = {};

  // A function that makes one value of two, where what tasks have set comes back: what they have
  // set is merged, one after the other, on the right of what is set in the context that gets it. It
  // must be associative. Without it, what a task sets ends with the task. A task takes no part if
  // it has not set the variable, or has set the very value (or number) that it began with. If each
  // task's result would count the creator's value again, let a policy give tasks a neutral value to
  // begin with:
  // `.policy = policy::copy([](const int&) { return 0; })`.
  //
  //   from                                what comes back, to the code that
  //   Job::get(), co_await job            what the job has set; takes the result
  //   the same, of submit_bulk()          what all elements have set, in their order; takes it
  //   the same, of when_all(), gather()   what all jobs have set, in the arguments' order; takes it
  //   when_any()                          nothing; but its handles are Jobs
  //   Job::then()                         what the job has set; the continuation, and from there,
  //                                       with what that has set, whoever takes its result
  //   SharedJob::get(), then(), co_await  nothing: everybody looks at the result, nobody takes it
  //   co_await task, sync_wait(task)      everything, merge function or not: this is a call
  //   tbb::parallel_reduce() and          what all bodies have set, in the order of the range;
  //     parallel_deterministic_reduce()     calls it
  //   all else of taskctx::tbb, bind()    nothing
  //   what failed, was cancelled, posted  nothing
  //     or dropped
  //
  // What the function throws while a job ends is that job's error; otherwise it comes out of the
  // call that takes the result.
  internal::PlainFunction<T(const T& left, const T& right)> merge = {};
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_VAR_OPTIONS_H_
