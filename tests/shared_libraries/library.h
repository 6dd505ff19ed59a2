// SPDX-License-Identifier: Apache-2.0
//
// What the two shared libraries of shared_libraries_test offer. Each is linked with a copy of the
// core of its own, as plugins of different makers are.

#ifndef TASKCTX_TESTS_SHARED_LIBRARIES_LIBRARY_H_
#define TASKCTX_TESTS_SHARED_LIBRARIES_LIBRARY_H_

#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"

// In a header, so that both libraries and the program share it.
inline taskctx::ContextVar<int> shared_number{"shared_number"};

struct Library {
  int (*get_number)();
  void (*set_number)(int value);
  taskctx::Context (*snapshot)();
  // A variable that only this library knows.
  const taskctx::ContextVar<std::string>& own_text;
};

const Library& library_one();
const Library& library_two();

#endif  // TASKCTX_TESTS_SHARED_LIBRARIES_LIBRARY_H_
