// SPDX-License-Identifier: Apache-2.0
//
// The request that a program works for: in a variable, and in what people use instead.

#ifndef TASKCTX_TESTS_THREAD_REQUEST_H_
#define TASKCTX_TESTS_THREAD_REQUEST_H_

#include "taskctx/context_var.h"

namespace taskctx_test {

inline const taskctx::ContextVar<int> request("request");

// 0 is "none".
inline constinit thread_local int thread_request = 0;

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_THREAD_REQUEST_H_
