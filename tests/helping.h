// SPDX-License-Identifier: Apache-2.0
//
// Work of each kind, ours and oneTBB's, which tells whether any of it was cut short.

#ifndef TASKCTX_TESTS_HELPING_H_
#define TASKCTX_TESTS_HELPING_H_

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <functional>

#include "taskctx/tbb.h"

namespace taskctx_test {

namespace ctbb = taskctx::tbb;
namespace otbb = oneapi::tbb;

// Does work of each kind, and counts what is done of it: kAll if nothing was cut short.
constexpr int kAll = 600;
inline int work() {
  std::atomic<int> done{0};
  const auto count = [&](int) { ++done; };
  ctbb::parallel_for(0, 100, count);
  otbb::parallel_for(0, 100, count);
  done += ctbb::parallel_reduce(
      ctbb::blocked_range<int>(0, 100), 0,
      [](const auto& range, int sum) { return sum + static_cast<int>(range.size()); },
      std::plus<>());
  ctbb::task_group ours;
  otbb::task_group theirs;
  for (int i = 0; i < 100; ++i) {
    ours.run([&] { ++done; });
    theirs.run([&] { ++done; });
  }
  ours.wait();
  theirs.wait();
  ctbb::this_task_arena::isolate([&] { otbb::parallel_for(0, 100, count); });
  return done;
}

inline void cancel_here() { otbb::task::current_context()->cancel_group_execution(); }

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_HELPING_H_
