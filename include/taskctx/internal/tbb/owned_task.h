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
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Where a task runs that may outlive the code which creates it, its job, and even the pool. Holds
// the creator's link, which holds the pool, or, if there is none, the pool.
class TaskOrigin {
 public:
  // Makes that of a task which stays in this arena: it is at work in the same pool. It may be in a
  // group that the link `of_group` cancels.
  static TaskOrigin here(const LinkRef& of_group = {}) { return make(of_group, /*is_here=*/true); }
  // Makes that of a task in another arena: it is at work in no pool.
  static TaskOrigin elsewhere(const LinkRef& of_group = {}) {
    return make(of_group, /*is_here=*/false);
  }

  TaskOrigin(TaskOrigin&& other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
  TaskOrigin& operator=(TaskOrigin&&) = delete;
  ~TaskOrigin() {
    if (bits_ != 0) [[unlikely]] {
      release();
    }
  }

  [[nodiscard]] bool is_nowhere() const noexcept { return bits_ == 0; }
  // Tells whether a task that has not begun is to be left out.
  [[nodiscard]] bool is_stopping() const noexcept {
    return bits_ != 0 && cancel_count() != 0 && link() != nullptr &&
           static_cast<CancelLink*>(link())->is_cancelled();
  }
  // Returns the frame of the task's code. It is good as long as this.
  [[nodiscard]] Frame frame() const noexcept;

 private:
  // Tags of the pointer: to an executor, or to a link, and then what else is to be known.
  static constexpr std::uintptr_t kExecutor = 1;
  static constexpr std::uintptr_t kLink = 2;
  static constexpr std::uintptr_t kInGroup = 1;
  static constexpr std::uintptr_t kElsewhere = 4;
  static constexpr std::uintptr_t kTags = 7;

  TaskOrigin() = default;
  explicit TaskOrigin(std::uintptr_t bits) noexcept : bits_(bits) {}
  static TaskOrigin make(const LinkRef& of_group, bool is_here) {
    // (The analyzer does not know what the inline assembly sets.)
    const Origin origin = current_activation()->origin;  // NOLINT(clang-analyzer-core*)
    return origin.leads_nowhere() ? TaskOrigin() : of(origin, of_group, is_here);
  }
  static TaskOrigin of(Origin origin, const LinkRef& of_group, bool is_here);

  [[nodiscard]] Link* link() const noexcept {
    return (bits_ & kLink) != 0 ? reinterpret_cast<Link*>(bits_ & ~kTags) : nullptr;
  }
  [[nodiscard]] Executor* executor() const noexcept {
    return (bits_ & kLink) == 0        ? reinterpret_cast<Executor*>(bits_ & ~kTags)
           : (bits_ & kElsewhere) == 0 ? link()->executor()
                                       : nullptr;
  }
  void release() noexcept;

  std::uintptr_t bits_ = 0;
};

[[gnu::noinline]] inline TaskOrigin TaskOrigin::of(Origin origin, const LinkRef& of_group,
                                                   bool is_here) {
  LinkRef link = link_in(origin);
  Executor* const executor = is_here ? origin.executor() : nullptr;
  if (!link.is_nothing()) {
    // A task in another pool than its job's counts as in none: nothing would hold that pool.
    const std::uintptr_t tags = kLink | (link.get() == of_group.get() ? kInGroup : 0) |
                                (link.get()->executor() == executor ? 0 : kElsewhere);
    return TaskOrigin(reinterpret_cast<std::uintptr_t>(link.detach()) | tags);
  }
  if (executor == nullptr) {
    return {};
  }
  executor->add_ref();
  return TaskOrigin(reinterpret_cast<std::uintptr_t>(executor) | kExecutor);
}

inline Frame TaskOrigin::frame() const noexcept {
  const Origin outer = Origin::pool(executor());
  return {outer, Origin::link(link(), (bits_ & kInGroup) != 0)};
}

[[gnu::noinline]] inline void TaskOrigin::release() noexcept {
  if (Link* const held = link(); held != nullptr) {
    held->release();
  } else {
    executor()->release();
  }
}

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
    if (origin_.is_nowhere()) [[likely]] {
      const LeafContext context(node_.get(), Origin());
      return call();
    }
    const Frame frame = origin_.frame();
    const LeafContext context(node_.get(), Origin::frame(&frame));
    return call();
  }

 private:
  std::invoke_result_t<const F&> call() const {
    try {
      return std::invoke(std::as_const(function_));
    } catch (...) {
      remember_thrown(onetbb::task::current_context());  // For who waits for the group.
      throw;
    }
  }

  // Destroys the callable and the context's values, at work in the pool.
  [[gnu::noinline]] void destroy() noexcept {
    const Frame frame = origin_.frame();
    LeafContext context(node_.get(), Origin::frame(&frame));
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
