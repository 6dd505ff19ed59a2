// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_invoke, with the caller's context in the functions.
//
//   taskctx::tbb::parallel_invoke([&] { left(request_id.get()); },
//                                 [&] { right(request_id.get()); });
//
// Isolation: each function starts with the caller's values.
// Threads, blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_INVOKE_H_
#define TASKCTX_TBB_PARALLEL_INVOKE_H_

#include <oneapi/tbb/parallel_invoke.h>

#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename F>
Borrowed<const F> borrowed(const BlockingCall& call, const F& function) {
  return {call, function};
}
template <typename Context>
  requires std::is_base_of_v<onetbb::task_group_context, Context>
Context& borrowed(const BlockingCall& /*call*/, Context& context) {
  return context;
}

}  // namespace internal

namespace tbb {

// Calls all functions, two or more, in parallel, and waits. The last argument may be a
// task_group_context. Each call runs in the caller's context. Costs oneTBB's parallel_invoke, a
// guard of two words per function, and one atomic increment.
template <typename... Functions>
  requires(sizeof...(Functions) >= 2)
void parallel_invoke(Functions&&... functions) {
  internal::AlgorithmCall call;
  call.run([&] { oneapi::tbb::parallel_invoke(internal::borrowed(call, functions)...); },
           functions...);
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_INVOKE_H_
