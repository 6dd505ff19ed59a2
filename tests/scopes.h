// SPDX-License-Identifier: Apache-2.0
//
// What jobs do in scopes that are cancelled.

#ifndef TASKCTX_TESTS_SCOPES_H_
#define TASKCTX_TESTS_SCOPES_H_

#include "taskctx/cancel.h"
#include "tests/stealing.h"

namespace taskctx_test {

// Blocks until the code that calls this is cancelled, and throws Cancelled.
inline void run_until_cancelled() {
  Latch stopped;
  const taskctx::CancelCallback callback{[&] { stopped.open(); }};
  stopped.wait();
  taskctx::check_cancelled();
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_SCOPES_H_
