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

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Where a task runs that may outlive the code which creates it, its job, and even the pool. Holds
// the creator's link, and the pool, by one reference if that is the link's.
class TaskOrigin {
 public:
  // Makes that of a task which stays in this arena: it is at work in the same pool. It may be in a
  // group that the link `of_group` cancels.
  static TaskOrigin here(const Link* of_group = nullptr) {
    return {current_activation()->origin.executor(), of_group};
  }
  // Makes that of a task in another arena: it is at work in no pool.
  static TaskOrigin elsewhere(const Link* of_group = nullptr) { return {nullptr, of_group}; }

  TaskOrigin(TaskOrigin&&) noexcept = default;
  TaskOrigin& operator=(TaskOrigin&&) = delete;
  ~TaskOrigin() = default;

  // Returns the origin, good as long as this.
  [[nodiscard]] Origin get() const noexcept {
    return link_.get() != nullptr ? Origin::frame(&frame_) : frame_.outer;
  }
  [[nodiscard]] bool is_nowhere() const noexcept { return get().is_nowhere(); }
  // Tells whether a task that has not begun is to be left out.
  [[nodiscard]] bool is_stopping() const noexcept {
    return link_.get() != nullptr && cancel_count() != 0 && cancel_link(link_).is_cancelled();
  }

 private:
  TaskOrigin(Executor* executor, const Link* of_group)
      : link_(capture_link()),
        executor_(link_.get() != nullptr && link_.get()->executor() == executor ? nullptr
                                                                                : executor),
        frame_{.outer = Origin::pool(executor),
               .whose = Origin::link(link_.get()),
               .is_in_group = link_.get() == of_group} {}

  LinkRef link_;
  ExecutorRef executor_;  // If the link does not hold it.
  Frame frame_;
};

// Runs the callable, and destroys it, in a snapshot of the context in which it was created. Must be
// moved only before it is called. It holds the pool, so that its code may still use handles of it.
// Its move does not throw: oneTBB counts a task before it moves it, and would wait for that task
// forever.
template <typename F>
class OwnedTask {
  static_assert(std::is_nothrow_move_constructible_v<F>);

 public:
  template <typename G>
  OwnedTask(TaskOrigin origin, G&& function)
      : origin_(std::move(origin)), node_(capture()), function_(std::forward<G>(function)) {}
  OwnedTask(OwnedTask&& other) noexcept
      : origin_(std::move(other.origin_)),
        node_(std::move(other.node_)),
        function_(std::move(other.function_)) {}
  OwnedTask& operator=(OwnedTask&&) = delete;
  ~OwnedTask() {
    if (!std::is_trivially_destructible_v<F> || !origin_.is_nowhere()) {
      destroy();
    }
  }

  std::invoke_result_t<const F&> operator()() const {
    if constexpr (std::is_void_v<std::invoke_result_t<const F&>>) {
      if (origin_.is_stopping()) [[unlikely]] {
        return;
      }
    }
    const LeafContext context(node_.get(), origin_.get());
    return std::invoke(std::as_const(function_));
  }

 private:
  // Destroys the callable and the context's values, at work in the pool.
  [[gnu::noinline]] void destroy() noexcept {
    LeafContext context(node_.get(), origin_.get());
    function_.~F();
    context.leave_node();
    node_ = NodeRef();
  }

  TaskOrigin origin_;
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
auto make_task(TaskOrigin origin, F&& function) {
  using Function = std::decay_t<F>;
  if constexpr (std::is_nothrow_move_constructible_v<Function>) {
    return OwnedTask<Function>(std::move(origin), std::forward<F>(function));
  } else {
    return OwnedTask<Boxed<Function>>(std::move(origin),
                                      Boxed<Function>(std::in_place, std::forward<F>(function)));
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_OWNED_TASK_H_
