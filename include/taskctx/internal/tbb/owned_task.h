// SPDX-License-Identifier: Apache-2.0
//
// OwnedTask: a callable in one of oneTBB's queues, with the context in which it was submitted.

#ifndef TASKCTX_INTERNAL_TBB_OWNED_TASK_H_
#define TASKCTX_INTERNAL_TBB_OWNED_TASK_H_

#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns the pool that a task which is created here belongs to, if it stays in this arena. The
// task may outlive the job, and even the pool.
inline ExecutorRef here() noexcept { return ExecutorRef(current_activation()->origin.executor()); }

// Runs the callable, and destroys it, in a snapshot of the context in which it was created. Must be
// moved only before it is called. It holds a reference to the pool, so that its code may still use
// handles of it. Its move does not throw: oneTBB counts a task before it moves it, and would wait
// for that task forever.
template <typename F>
class OwnedTask {
  static_assert(std::is_nothrow_move_constructible_v<F>);

 public:
  template <typename G>
  OwnedTask(ExecutorRef executor, G&& function)
      : executor_(std::move(executor)), node_(capture()), function_(std::forward<G>(function)) {}
  OwnedTask(OwnedTask&& other) noexcept
      : executor_(std::move(other.executor_)),
        node_(std::move(other.node_)),
        function_(std::move(other.function_)) {}
  OwnedTask& operator=(OwnedTask&&) = delete;
  ~OwnedTask() {
    if (!std::is_trivially_destructible_v<F> || executor_.get() != nullptr) {
      destroy();
    }
  }

  std::invoke_result_t<const F&> operator()() const {
    const LeafContext context(node_.get(), origin());
    return std::invoke(std::as_const(function_));
  }

 private:
  [[nodiscard]] Origin origin() const noexcept { return Origin::pool(executor_.get()); }
  // Destroys the callable and the context's values, at work in the pool.
  [[gnu::noinline]] void destroy() noexcept {
    LeafContext context(node_.get(), origin());
    function_.~F();
    context.leave_node();
    node_ = NodeRef();
  }

  ExecutorRef executor_;
  NodeRef node_;
  union {  // The destructor runs the callable's destructor itself, in the context.
    F function_;
  };
};

// Keeps a callable whose move may throw in memory of its own, so that this one's doesn't.
template <typename F>
class Boxed {
 public:
  template <typename G>
  explicit Boxed(std::in_place_t /*tag*/, G&& function)
      : function_(std::make_unique<const F>(std::forward<G>(function))) {}

  std::invoke_result_t<const F&> operator()() const { return std::invoke(*function_); }

 private:
  std::unique_ptr<const F> function_;
};

template <typename F>
auto make_task(ExecutorRef executor, F&& function) {
  using Function = std::decay_t<F>;
  if constexpr (std::is_nothrow_move_constructible_v<Function>) {
    return OwnedTask<Function>(std::move(executor), std::forward<F>(function));
  } else {
    return OwnedTask<Boxed<Function>>(std::move(executor),
                                      Boxed<Function>(std::in_place, std::forward<F>(function)));
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_OWNED_TASK_H_
