// SPDX-License-Identifier: Apache-2.0
//
// Runs code in arenas of 1, 2, 4 and 8 threads.

#ifndef TASKCTX_TESTS_THREAD_NUMBERS_H_
#define TASKCTX_TESTS_THREAD_NUMBERS_H_

#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>

#include "taskctx/tbb/task_arena.h"

namespace taskctx_test {

template <typename F>
void on_each_number_of_threads(F function) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 9);
  for (const int threads : {1, 2, 4, 8}) {
    SCOPED_TRACE(threads);
    taskctx::tbb::task_arena arena(threads);
    arena.execute(function);
  }
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_THREAD_NUMBERS_H_
