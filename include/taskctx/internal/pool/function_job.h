// SPDX-License-Identifier: Apache-2.0
//
// FunctionJob: a job that calls a function once. Most jobs are that: those of submit() and post().

#ifndef TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_
#define TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_result.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes one callable of a function and its arguments.
template <typename F>
F&& with_arguments(F&& function) noexcept {
  return std::forward<F>(function);
}
template <typename F, typename... Args>
  requires(sizeof...(Args) > 0)
auto with_arguments(F&& function, Args&&... args) {
  return [function = std::decay_t<F>(std::forward<F>(function)),
          ... args = std::decay_t<Args>(std::forward<Args>(args))]() mutable -> decltype(auto) {
    return std::invoke(std::move(function), std::move(args)...);
  };
}

template <typename F, typename... Args>
using CallOf = std::decay_t<decltype(with_arguments(std::declval<F>(), std::declval<Args>()...))>;

template <typename R, typename F>
class FunctionJob : public JobResult<R> {
 public:
  // `references`: the queue's, and the handle's, if there is one.
  template <typename... Args>
  FunctionJob(PoolCore* pool, Inherited inherited, std::uint32_t references, Args&&... call)
      : JobResult<R>(pool, std::move(inherited), references),
        function_(std::in_place, with_arguments(std::forward<Args>(call)...)) {
    if constexpr (!kMayHold<R>) {  // The callable is gone before the job.
      this->holds_nothing();
    }
  }

 private:
  void call() override {
    const Destroyer<F> destroyer{function_, *this};
    this->store(std::move(*function_));
  }
  void drop() noexcept override { function_.reset(); }

  std::optional<F> function_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_
