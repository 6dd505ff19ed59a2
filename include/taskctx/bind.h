// SPDX-License-Identifier: Apache-2.0
//
// bind: a callable that carries a context, for whatever takes a callable: std::thread, std::async,
// callbacks, other pools.
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

#ifndef TASKCTX_BIND_H_
#define TASKCTX_BIND_H_

#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/node.h"

namespace taskctx {
inline namespace v1 {

// Is what bind() returns. Copyable and movable as F is.
template <typename F>
class Bound {
 public:
  // Calls the callable in the snapshot and returns what it returns. O(1) beside the call: two
  // thread-local words in, two out. A reference into the context's values is valid as long as this
  // object, unless the call itself has set that variable.
  template <typename... Args>
  std::invoke_result_t<F&, Args...> operator()(Args&&... args) & {
    const internal::Installed context(node_.get());
    return std::invoke(function_, std::forward<Args>(args)...);
  }
  template <typename... Args>
  std::invoke_result_t<const F&, Args...> operator()(Args&&... args) const& {
    const internal::Installed context(node_.get());
    return std::invoke(function_, std::forward<Args>(args)...);
  }
  template <typename... Args>
  std::invoke_result_t<F, Args...> operator()(Args&&... args) && {
    const internal::Installed context(node_.get());
    return std::invoke(std::move(function_), std::forward<Args>(args)...);
  }

 private:
  template <typename G>
  friend Bound<std::decay_t<G>> bind(G&& function);
  template <typename G>
  friend Bound<std::decay_t<G>> bind(const Context& context, G&& function);

  template <typename G>
  Bound(internal::NodeRef node, G&& function)
      : node_(std::move(node)), function_(std::forward<G>(function)) {}

  internal::NodeRef node_;
  F function_;
};

// Binds `function` to a snapshot of the current context. O(1) beside moving the callable: one
// atomic increment.
template <typename F>
[[nodiscard]] Bound<std::decay_t<F>> bind(F&& function) {
  return {internal::capture(), std::forward<F>(function)};
}

// Binds `function` to a copy of `context`: as it is now, also if it is entered. O(1) likewise.
template <typename F>
[[nodiscard]] Bound<std::decay_t<F>> bind(const Context& context, F&& function) {
  return {internal::ContextAccess::node(context), std::forward<F>(function)};
}

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_BIND_H_
