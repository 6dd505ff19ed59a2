// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's resumable tasks. A suspended function keeps its context, whichever thread resumes it.
//
//   taskctx::tbb::task::suspend([&](taskctx::tbb::task::suspend_point point) {
//     read_later(file, [point] { taskctx::tbb::task::resume(point); });
//   });
//   use(request_id.get());  // as before, probably on another thread
//
// Open scopes and tokens stay valid on the other thread: they belong to the context. At most about
// 4,000 tasks may be suspended in an arena at once; oneTBB hangs beyond that.

#ifndef TASKCTX_TBB_TASK_H_
#define TASKCTX_TBB_TASK_H_

#include <oneapi/tbb/task.h>

#include <functional>
#include <utility>

#include "taskctx/internal/core/current.h"

namespace taskctx {
inline namespace v1 {
namespace tbb::task {

// Returns the task_group_context of the calling code. Cancelling it cancels that loop or group. In
// a job, outside of its own loops and groups, it would cancel the pool: oneTBB ends the program.
using oneapi::tbb::task::current_context;
using oneapi::tbb::task::resume;
using oneapi::tbb::task::suspend_point;

// Calls `function(suspend_point)` in the current context, and suspends the task until resume() is
// called for that point. The thread does other work meanwhile, in an empty context. Costs oneTBB's
// suspend(), and eight loads and stores.
template <typename F>
void suspend(F function) {
  internal::Node* node = nullptr;
  internal::Activation* activation = nullptr;
  oneapi::tbb::task::suspend([&](suspend_point point) {
    // Still on this thread and stack: a resume() that is called now takes effect after this.
    std::invoke(function, point);
    node = internal::current_node();
    activation = internal::current_activation();
    internal::switch_to(&internal::empty_node, &internal::hidden_activation);
  });
  internal::switch_to(node, activation);
}

}  // namespace tbb::task
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_TASK_H_
