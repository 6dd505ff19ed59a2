// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's task_group, each task with the context of its submission.
//
//   taskctx::tbb::task_group group;
//   group.run([] { use(request_id.get()); });  // the snapshot is taken here
//   group.wait();
//
// Isolation: each task starts from its snapshot; what it sets is gone when it ends.
// Covered:   calls of the function, and its destructor, also of a task that is cancelled, or whose
//            handle is dropped. Not: the function's moves, which are made by the submitting thread.
// Threads:   as oneTBB's: run(), defer() and cancel() are thread-safe, waiting is not.
// Blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_TASK_GROUP_H_
#define TASKCTX_TBB_TASK_GROUP_H_

#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/version.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/blocking_call.h"
#include "taskctx/internal/owned_task.h"

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
#if __TBB_PREVIEW_TASK_GROUP_EXTENSIONS && TBB_INTERFACE_VERSION >= 12170
using oneapi::tbb::task_complete;
using oneapi::tbb::task_completion_handle;
#endif

}  // namespace tbb

namespace internal {

// What can be run as a task: called once, without arguments, from a copy of its own.
template <typename F>
concept TaskFunction = std::invocable < const std::decay_t<F>
& > ;

// A task group over one of oneTBB's.
template <typename Group>
class ContextTaskGroup {
 public:
  ContextTaskGroup() : group_() {}
  // Runs the tasks in `context`, which must outlive the group.
  explicit(false) ContextTaskGroup(onetbb::task_group_context& context) : group_(context) {}
  ContextTaskGroup(const ContextTaskGroup&) = delete;
  ContextTaskGroup& operator=(const ContextTaskGroup&) = delete;

  // Throws oneTBB's missing_wait if tasks have not been waited for, once they are cancelled.
  ~ContextTaskGroup() noexcept(false) {
    const Hidden hidden;
    group_.~Group();
  }

  // Runs `function()` in a snapshot of the current context, taken now. Costs oneTBB's run(), an
  // atomic increment, and a guard of two words. Throws std::bad_alloc and what moving the function
  // throws.
  template <TaskFunction F>
  void run(F&& function) {
    group_.run(make_task(here(), std::forward<F>(function)));
  }
  // Runs a task that defer() has made.
  void run(onetbb::task_handle&& handle) { group_.run(std::move(handle)); }

  // Makes a task for later, with a snapshot of the current context, taken now. As run().
  template <TaskFunction F>
  [[nodiscard]] onetbb::task_handle defer(F&& function) {
    return group_.defer(make_task(here(), std::forward<F>(function)));
  }

  // Runs `function()` in the caller's context, and waits for all tasks. The caller's context is
  // back when it returns, or throws what a task has thrown.
  template <typename F>
  requires std::invocable<const F&> onetbb::task_group_status run_and_wait(const F& function) {
    const BlockingCall call;
    return group_.run_and_wait(Borrowed<const F>(call, function));
  }
  // Runs a task that defer() has made, and waits for all tasks.
  onetbb::task_group_status run_and_wait(onetbb::task_handle&& handle) {
    const Hidden hidden;
    return group_.run_and_wait(std::move(handle));
  }

  // Waits for all tasks. The caller's context is back when it returns, or throws what a task has
  // thrown.
  onetbb::task_group_status wait() {
    const Hidden hidden;
    return group_.wait();
  }

  // Cancels all tasks: those that have not begun don't run.
  void cancel() { group_.cancel(); }

#if __TBB_PREVIEW_TASK_GROUP_EXTENSIONS && TBB_INTERFACE_VERSION >= 12170
  // Lets `successor` run only when `predecessor`, a handle or a completion handle, is complete.
  template <typename Predecessor>
  static void set_task_order(Predecessor& predecessor, onetbb::task_handle& successor) {
    Group::set_task_order(predecessor, successor);
  }
  // Lets the running task count as complete when `task` is.
  static void transfer_this_task_completion_to(onetbb::task_handle& task) {
    Group::transfer_this_task_completion_to(task);
  }
#if TBB_INTERFACE_VERSION >= 12180
  // Wait for one task; run it first; tell how it stands.
  onetbb::task_group_status wait_for_task(onetbb::task_completion_handle& task) {
    const Hidden hidden;
    return group_.wait_for_task(task);
  }
  onetbb::task_group_status run_and_wait_for_task(onetbb::task_handle&& handle) {
    const Hidden hidden;
    return group_.run_and_wait_for_task(std::move(handle));
  }
  onetbb::task_group_status get_status_of(onetbb::task_completion_handle& task) {
    return group_.get_status_of(task);
  }
#endif
#endif

  // Returns oneTBB's own group, valid as long as this one. Tasks that are run through it have no
  // context.
  [[nodiscard]] Group& native() noexcept { return group_; }

 private:
  union {  // The destructor waits, so it is to be called with the context hidden.
    Group group_;
  };
};

}  // namespace internal

namespace tbb {

// Stands in for oneTBB's own, with the members of that version.
class task_group : public internal::ContextTaskGroup<oneapi::tbb::task_group> {
  using ContextTaskGroup::ContextTaskGroup;
};

#if TBB_PREVIEW_ISOLATED_TASK_GROUP || __TBB_PREVIEW_ISOLATED_TASK_GROUP
// The same for oneTBB's isolated_task_group.
class isolated_task_group : public internal::ContextTaskGroup<oneapi::tbb::isolated_task_group> {
  using ContextTaskGroup::ContextTaskGroup;
};
#endif

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_TASK_GROUP_H_
