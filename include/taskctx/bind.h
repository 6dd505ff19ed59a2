// SPDX-License-Identifier: Apache-2.0
//
// bind: a callable that carries a context, for everything that takes a callable: std::thread,
// std::async, callbacks, other pools.
//
//   std::thread worker(taskctx::bind([] { handle(request_id.get()); }));  // the context here
//   on_click(taskctx::bind(taskctx::Context{}, [] { ... }));              // a given one: empty
//
// Threads:  a bound callable may be called many times, and by several threads at once if the
//           callable in it may. Each call starts from the same snapshot; what a call sets dies with
//           the call (unlike Context::run).
// Lifetime: keeps the snapshot's values alive.
// Errors:   passes on what the callable throws; the thread's own context is back then, too.
//
// Call it with its namespace: an unqualified bind(...) finds std::bind as well.
// For values in a queue see carried.h; for all that an executor is given, context_executor.h.

#ifndef TASKCTX_BIND_H_
#define TASKCTX_BIND_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/refused.h"

namespace taskctx {
inline namespace v1 {

namespace internal {
struct BoundMaker;
}  // namespace internal

// The callable that bind() returns. Copyable and movable as F is.
template <typename F>
class Bound {
 public:
  // Calls the callable in the snapshot and returns what it returns. O(1) beside the call: two
  // thread-local words in, two out. A reference into the context's values is valid as long as this
  // object, unless the call itself has set that variable.
  template <typename... Args>
  std::invoke_result_t<F&, Args...> operator()(Args&&... args) & {
    static_assert(!internal::kCallMakesTask<F&, Args...>, "a Task runs in its awaiter's context");
    const internal::Frame frame = this->frame();
    const internal::Installed context(node_.get(), internal::Origin::frame(&frame));
    return std::invoke(function_, std::forward<Args>(args)...);
  }
  template <typename... Args>
  std::invoke_result_t<const F&, Args...> operator()(Args&&... args) const& {
    static_assert(!internal::kCallMakesTask<const F&, Args...>,
                  "a Task runs in its awaiter's context");
    const internal::Frame frame = this->frame();
    const internal::Installed context(node_.get(), internal::Origin::frame(&frame));
    return std::invoke(function_, std::forward<Args>(args)...);
  }
  template <typename... Args>
  std::invoke_result_t<F, Args...> operator()(Args&&... args) && {
    static_assert(!internal::kCallMakesTask<F, Args...>, "a Task runs in its awaiter's context");
    const internal::Frame frame = this->frame();
    const internal::Installed context(node_.get(), internal::Origin::frame(&frame));
    return std::invoke(std::move(function_), std::forward<Args>(args)...);
  }

 private:
  friend struct internal::BoundMaker;

  template <typename G>
  Bound(internal::NodeRef node, internal::LinkRef link, G&& function)
      : node_(std::move(node)), link_(std::move(link)), function_(std::forward<G>(function)) {}

  [[nodiscard]] internal::Frame frame() const noexcept {
    return {internal::Origin(internal::current_activation()), internal::Origin::link(link_)};
  }

  internal::NodeRef node_;
  internal::LinkRef link_;
  F function_;
};

namespace internal {

// Makes one callable of a function and its first arguments.
template <typename F>
F&& with_front(F&& function) noexcept {
  return std::forward<F>(function);
}
template <typename F, typename... Args>
  requires(sizeof...(Args) > 0)
auto with_front(F&& function, Args&&... args) {
  return std::bind_front(std::forward<F>(function), std::forward<Args>(args)...);
}

struct BoundMaker {
  template <typename... Call>
  static auto make(NodeRef node, Call&&... call) {
    using F = std::decay_t<decltype(with_front(std::forward<Call>(call)...))>;
    return Bound<F>(std::move(node), capture_link(), with_front(std::forward<Call>(call)...));
  }
  // Binds `function` to what has been captured before.
  template <typename F>
  static Bound<std::decay_t<F>> make(Inherited inherited, F&& function) {
    return {std::move(inherited.node), std::move(inherited.link), std::forward<F>(function)};
  }
};

// A callable that can be bound: it can be copied or moved, and so can its arguments.
template <typename F>
concept MayBeCallable = std::is_class_v<F> || std::is_union_v<F> || std::is_member_pointer_v<F> ||
                        std::is_function_v<std::remove_pointer_t<F>>;
template <typename F, typename... Args>
concept Bindable = MayBeCallable<std::decay_t<F>> && !std::is_base_of_v<Context, std::decay_t<F>> &&
                   std::constructible_from<std::decay_t<F>, F> &&
                   (std::constructible_from<std::decay_t<Args>, Args> && ...) &&
                   !kCallMakesTask<std::decay_t<F>&, std::decay_t<Args>&...>;

// What the arguments of bind() are, without the context.
template <typename... Call>
struct BindCall {
  static constexpr bool kIsRight = false;
  static constexpr bool kMakesTask = false;
};
template <typename F, typename... Args>
struct BindCall<F, Args...> {
  static constexpr bool kIsRight = Bindable<F, Args...>;
  static constexpr bool kMakesTask = kCallMakesTask<std::decay_t<F>&, std::decay_t<Args>&...>;
};
template <typename C, typename... Call>
  requires std::is_base_of_v<Context, std::remove_cvref_t<C>>
struct BindCall<C, Call...> : BindCall<Call...> {};

}  // namespace internal

// Binds `function`, and its first arguments, if there are any, to a snapshot of the current
// context: the call `bound(more...)` is `function(args..., more...)`. Both are copied or moved, as
// by std::bind_front and std::thread: std::ref() passes a reference. `function` may be a member's
// pointer, with an object, or a pointer to one, for its first argument. O(1) beside that: one
// atomic increment.
//
//   std::thread worker(taskctx::bind(&Service::run, &service));
template <typename F, typename... Args>
  requires internal::Bindable<F, Args...>
[[nodiscard]] auto bind(F&& function, Args&&... args) {
  return internal::BoundMaker::make(internal::capture(), std::forward<F>(function),
                                    std::forward<Args>(args)...);
}

// Binds them to a copy of `context` as it is now, even if it is entered. O(1), too.
//
//   on_click(taskctx::bind(snapshot, show, "clicked"));
template <typename F, typename... Args>
  requires internal::Bindable<F, Args...>
[[nodiscard]] auto bind(const Context& context, F&& function, Args&&... args) {
  return internal::BoundMaker::make(internal::ContextAccess::node(context),
                                    std::forward<F>(function), std::forward<Args>(args)...);
}

// Refused: what can't be called or copied, and coroutines.
template <typename... Call>
  requires(!internal::BindCall<Call...>::kIsRight && !internal::BindCall<Call...>::kMakesTask)
__attribute__((unavailable("write bind(function, arguments...), and std::move() what has no copy")))
internal::Refused
bind(Call&&... /*call*/) {
  return {};
}
template <typename... Call>
  requires internal::BindCall<Call...>::kMakesTask
__attribute__((unavailable(
    "a Task runs in its awaiter's context: pool.spawn({.context = c}, task)"))) internal::Refused
bind(Call&&... /*call*/) {
  return {};
}

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_BIND_H_
