// SPDX-License-Identifier: Apache-2.0
//
// OwnedTask: a callable that oneTBB's queues keep, with the context of its submission.

#ifndef TASKCTX_INTERNAL_OWNED_TASK_H_
#define TASKCTX_INTERNAL_OWNED_TASK_H_

#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "taskctx/internal/blocking_call.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Where a task that is created here will run, if not in another arena: for the same pool. It may
// outlive the job.
inline Origin here() noexcept { return Origin::pool(current_activation()->origin.executor()); }

// Runs the callable, and destroys it, in a snapshot of the context in which it was created. To be
// moved only before it is called.
template <typename F>
class OwnedTask {
 public:
  template <typename G>
  OwnedTask(Origin origin, G&& function)
      : node_(capture()), origin_(origin), function_(std::forward<G>(function)) {}
  OwnedTask(OwnedTask&& other) noexcept(std::is_nothrow_move_constructible_v<F>)
      : node_(std::move(other.node_)),
        origin_(other.origin_),
        function_(std::move(other.function_)) {}
  OwnedTask& operator=(OwnedTask&&) = delete;
  ~OwnedTask() {
    if constexpr (!std::is_trivially_destructible_v<F>) {
      const Leaf context(node_.get(), origin_);
      function_.~F();
    }
  }

  std::invoke_result_t<const F&> operator()() const {
    const Leaf context(node_.get(), origin_);
    return std::invoke(std::as_const(function_));
  }

 private:
  NodeRef node_;
  Origin origin_;
  union {  // The destructor decides where the callable's runs.
    F function_;
  };
};

template <typename F>
OwnedTask<std::decay_t<F>> make_task(Origin origin, F&& function) {
  return {origin, std::forward<F>(function)};
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_OWNED_TASK_H_
