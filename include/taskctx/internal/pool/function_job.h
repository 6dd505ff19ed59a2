// SPDX-License-Identifier: Apache-2.0
//
// FunctionJob: a job that calls a function once. Most jobs are that: those of submit() and post().

#ifndef TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_
#define TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_result.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename R, typename F>
class FunctionJob final : public JobResult<R> {
 public:
  template <typename G>
  FunctionJob(PoolCore* pool, NodeRef context, std::uint32_t references, G&& function)
      : JobResult<R>(pool, std::move(context), references),
        function_(std::in_place, std::forward<G>(function)) {
    if constexpr (!kMayHold<R>) {  // The callable is gone before the job.
      this->holds_nothing();
    }
  }

 private:
  void call() override {
    const Destroyer<F> destroyer{function_};
    this->store(std::move(*function_));
  }
  void drop() noexcept override { function_.reset(); }

  std::optional<F> function_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_FUNCTION_JOB_H_
