// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's collaborative_call_once, where the function has the context of the caller that runs it.
//
//   taskctx::tbb::collaborative_call_once(is_loaded, [&] { table = load(config.get()); });
//
// Isolation: the function starts with the values of the caller that runs it. Callers that help
//            meanwhile run its loops' bodies in the function's context, not in their own.
// Threads, blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_COLLABORATIVE_CALL_ONCE_H_
#define TASKCTX_TBB_COLLABORATIVE_CALL_ONCE_H_

#include <oneapi/tbb/collaborative_call_once.h>

#include <concepts>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

using oneapi::tbb::collaborative_once_flag;

// Calls `function(args...)` if no call with this flag has succeeded yet. While another caller runs
// it, helps and waits. The function runs in its caller's context. Costs oneTBB's
// collaborative_call_once and an atomic increment, even if the function has run long ago.
template <typename F, typename... Args>
  requires std::invocable<std::remove_reference_t<F>&, Args...>
void collaborative_call_once(collaborative_once_flag& flag, F&& function, Args&&... args) {
  const internal::BlockingCall call;
  oneapi::tbb::collaborative_call_once(
      flag, internal::Borrowed<std::remove_reference_t<F>>(call, function),
      std::forward<Args>(args)...);
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_COLLABORATIVE_CALL_ONCE_H_
