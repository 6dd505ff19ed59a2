// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's task_group, where each task has the context in which it was submitted.
//
//   taskctx::tbb::task_group group;
//   group.run([] { use(request_id.get()); });  // the snapshot is taken here
//   group.wait();
//
// Isolation: each task starts with its snapshot; what it sets is gone when it ends.
// Covered:   calls of the function, and its destructor, also if the task is cancelled or its handle
//            is dropped. Not covered: moves of the function, which the submitting thread makes.
// Threads:   as oneTBB's: run(), defer() and cancel() are thread-safe, waiting is not.
// Blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_TASK_GROUP_H_
#define TASKCTX_TBB_TASK_GROUP_H_

#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/version.h>

#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/blocking_call.h"
#include "taskctx/internal/tbb/call_link.h"
#include "taskctx/internal/tbb/owned_task.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

using oneapi::tbb::canceled;
using oneapi::tbb::complete;
using oneapi::tbb::is_current_task_group_canceling;
using oneapi::tbb::missing_wait;
using oneapi::tbb::not_complete;
using oneapi::tbb::task_group_context;
using oneapi::tbb::task_group_status;
using oneapi::tbb::task_handle;
#if defined(__TBB_PREVIEW_TASK_GROUP_EXTENSIONS) && __TBB_PREVIEW_TASK_GROUP_EXTENSIONS && \
    TBB_INTERFACE_VERSION >= 12170
using oneapi::tbb::task_completion_handle;
#if TBB_INTERFACE_VERSION >= 12180
using oneapi::tbb::task_complete;
#endif
#endif

}  // namespace tbb

namespace internal {

// A function that can be run as a task: called once, without arguments, as a copy. Not a coroutine:
// it would never run.
template <typename F>
concept TaskFunction =
    std::is_invocable_v<const std::decay_t<F>&> && !kCallMakesTask<const std::decay_t<F>&>;

// Has the members of oneTBB's `Native`, which is a task_group, in the version that is installed.
template <typename Native>
class TaskGroup {
  // A group that tells in which task_group_context its tasks run.
  struct Group : Native {
    using Native::context;
    using Native::Native;
  };

 public:
  // Makes a group. If it is made in a job or cancel scope, that cancels the group.
  TaskGroup() : link_(capture_link()) {
    if (link_.get() != nullptr && !current_activation()->origin.is_in_group()) {
      context_.emplace(onetbb::task_group_context::isolated);
      begin(*context_);
    } else {
      ::new (static_cast<void*>(&group_)) Group;
    }
  }
  // Runs the tasks in `context`, which must outlive the group. Likewise; `context` is cancelled
  // then.
  explicit(false) TaskGroup(onetbb::task_group_context& context) : link_(capture_link()) {
    begin(context);
  }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // If nobody has waited for the tasks, cancels them and throws oneTBB's missing_wait.
  ~TaskGroup() noexcept(false) {
    const BodiesCall call(&group_.context());
    const Hidden hidden;
    group_.~Group();
  }

  // Runs `function()` in a snapshot of the current context, taken now. Costs oneTBB's run(), an
  // atomic increment, and a guard of two words. Throws std::bad_alloc and what moving the function
  // throws.
  template <TaskFunction F>
  void run(F&& function) {
    group_.run(make_task(TaskOrigin::here(link()), std::forward<F>(function)));
  }
  // Runs a task that defer() has made.
  void run(onetbb::task_handle&& handle) { group_.run(std::move(handle)); }

  // Makes a task for later, with a snapshot of the current context, taken now. As run().
  template <TaskFunction F>
  [[nodiscard]] onetbb::task_handle defer(F&& function) {
    return group_.defer(make_task(TaskOrigin::here(link()), std::forward<F>(function)));
  }

  // Runs `function()` in the caller's context, and waits for all tasks. The caller's context is
  // back when this returns, or throws what a task has thrown.
  template <typename F>
    requires std::invocable<const F&>
  onetbb::task_group_status run_and_wait(const F& function) {
    if (cancel_count() != 0 && is_stopping()) [[unlikely]] {
      return wait();
    }
    const LinkRef here = capture_link();
    onetbb::task_group_status status = onetbb::complete;
    {
      const BodiesCall of_tasks(&group_.context());
      const BlockingCall call(here.get() == link_.get());
      status = group_.run_and_wait(Borrowed<const F>(call, function));
    }
    check_stopping("finish tasks");
    return status;
  }
  // Runs a task that defer() has made, and waits for all tasks.
  onetbb::task_group_status run_and_wait(onetbb::task_handle&& handle) {
    return wait_by([&](Native& group) { return group.run_and_wait(std::move(handle)); });
  }

  // Waits for all tasks. The caller's context is back when this returns, or throws: what a task has
  // thrown, or Cancelled, if the caller is to stop.
  onetbb::task_group_status wait() {
    return wait_by([](Native& group) { return group.wait(); });
  }

  // Cancels all tasks: those that have not begun don't run.
  void cancel() { group_.cancel(); }

#if defined(__TBB_PREVIEW_TASK_GROUP_EXTENSIONS) && __TBB_PREVIEW_TASK_GROUP_EXTENSIONS && \
    TBB_INTERFACE_VERSION >= 12170
  // Lets `successor` run only when `predecessor`, a handle or a completion handle, is complete.
  template <typename Predecessor>
  static void set_task_order(Predecessor& predecessor, onetbb::task_handle& successor) {
    Native::set_task_order(predecessor, successor);
  }
  // Makes the running task count as complete when `task` is.
  static void transfer_this_task_completion_to(onetbb::task_handle& task) {
    Native::transfer_this_task_completion_to(task);
  }
#if TBB_INTERFACE_VERSION >= 12180
  // Wait for one task; run it and wait for it; return its status.
  onetbb::task_group_status wait_for_task(onetbb::task_completion_handle& task) {
    return wait_by([&](Native& group) { return group.wait_for_task(task); });
  }
  onetbb::task_group_status run_and_wait_for_task(onetbb::task_handle&& handle) {
    return wait_by([&](Native& group) { return group.run_and_wait_for_task(std::move(handle)); });
  }
  onetbb::task_group_status get_status_of(onetbb::task_completion_handle& task) {
    return group_.get_status_of(task);
  }
#endif
#endif

  // Returns oneTBB's own group, valid as long as this one. Tasks that are submitted through it get
  // no context.
  [[nodiscard]] Native& native() noexcept { return group_; }

 private:
  friend struct GroupAccess;

  void begin(onetbb::task_group_context& context) {
    ::new (static_cast<void*>(&group_)) Group(context);
    if (link_.get() != nullptr) {
      listener_.emplace(link_, current_activation()->origin.executor(), context);
    }
  }
  [[nodiscard]] const LinkRef& link() const noexcept { return link_; }

  template <typename Wait>
  onetbb::task_group_status wait_by(const Wait& wait) {
    onetbb::task_group_status status = onetbb::complete;
    {
      const BodiesCall call(&group_.context());
      const Hidden hidden;
      status = wait(group_);
    }
    if (listener_) [[unlikely]] {
      listener_->settle();
    }
    check_stopping("finish tasks");
    return status;
  }

  const LinkRef link_;  // Of the code that has made the group.
  // If no other one is there that the link cancels.
  std::optional<onetbb::task_group_context> context_;
  union {  // Its destructor waits, so it is called with the context hidden.
    Group group_;
  };
  std::optional<GroupListener> listener_;
};

// What arenas may know of a group.
struct GroupAccess {
  template <typename Native>
  static const LinkRef& link(const TaskGroup<Native>& group) noexcept {
    return group.link();
  }
  template <typename Native, typename Wait>
  static onetbb::task_group_status wait_by(TaskGroup<Native>& group, const Wait& wait) {
    return group.wait_by(wait);
  }
};

}  // namespace internal

namespace tbb {

// A group of tasks. All of its members are those of internal::TaskGroup, above.
class task_group : public internal::TaskGroup<oneapi::tbb::task_group> {
 public:
  using TaskGroup::TaskGroup;
};

#if defined(TBB_PREVIEW_ISOLATED_TASK_GROUP) && TBB_PREVIEW_ISOLATED_TASK_GROUP
// Likewise; a thread that waits for it runs no other tasks. It does not convert to a task_group.
class isolated_task_group : public internal::TaskGroup<oneapi::tbb::isolated_task_group> {
 public:
  using TaskGroup::TaskGroup;
};
#endif

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_TASK_GROUP_H_
