// SPDX-License-Identifier: Apache-2.0
//
// Two variables, one of them with a default, and a context in which the other one is set: for the
// tests of taskctx/testing.h.

#ifndef TASKCTX_TESTS_USER_AND_RETRIES_H_
#define TASKCTX_TESTS_USER_AND_RETRIES_H_

#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"

namespace taskctx_test {

inline const taskctx::ContextVar<std::string> user("user");
inline const taskctx::ContextVar<int> retries("retries", 3);

inline taskctx::Context context_with(const std::string& name) {
  taskctx::Context context;
  context.run([&] { user.set(name); });
  return context;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_USER_AND_RETRIES_H_
