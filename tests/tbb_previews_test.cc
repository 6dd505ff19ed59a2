// SPDX-License-Identifier: Apache-2.0
//
// Previews of oneTBB that run user's code: their tasks have the context in which they were
// submitted.

#define TBB_PREVIEW_ISOLATED_TASK_GROUP 1

#include <gtest/gtest.h>

#include <atomic>

#include "taskctx/cancel.h"
#include "taskctx/cancelled.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"
#include "tests/thrower.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// Runs many requests at once, on some threads.
template <typename Serve>
void serve_all(int threads, const Serve& serve) {
  StealingArena arena(threads);
  arena->execute([&] {
    ctbb::parallel_for(
        1, 4 * threads,
        [&](int id) {
          request.set(id);
          thread_request = id;
          serve(id);
          EXPECT_EQ(request.get(), id);
        },
        ctbb::simple_partitioner());
  });
}

// T5, T1: its threads take no other requests' tasks, and so also a thread_local is right here after
// the wait; but not in the tasks.
TEST(AnIsolatedGroup, RunsItsTasksInTheContextOfTheirSubmission) {
  std::atomic<int> wrong{0};
  std::atomic<int> local_wrong{0};
  for (const int threads : {1, 2, 4, 8}) {
    AllThreads all(threads);
    serve_all(threads, [&](int id) {
      const auto task = [&, id] {
        all.take_part();
        wrong += static_cast<int>(request.get(0) != id);
        local_wrong += static_cast<int>(thread_request != id);
        request.set(-id);
      };
      ctbb::isolated_task_group group;
      for (int i = 0; i < 20; ++i) {
        group.run(task);
        group.run(group.defer(task));
      }
      wrong += static_cast<int>(group.run_and_wait(task) != ctbb::complete);
      group.run(task);
      wrong += static_cast<int>(group.wait() != ctbb::complete);
    });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// T9
TEST(AnIsolatedGroup, TellsTheContextOfTheTaskThatHasThrown) {
  for (const int threads : {1, 2, 4, 8}) {
    serve_all(threads, [&](int id) {
      const Outcome how = outcome([&] {
        ctbb::isolated_task_group group;
        for (int i = 0; i < 4; ++i) {
          group.run([id, i] { fail(10 * id + i); });
        }
        group.wait();
      });
      EXPECT_TRUE(how.is_right());
    });
  }
}

// T10
TEST(AnIsolatedGroup, IsCancelledWithItsScope) {
  CancelScope scope;
  ctbb::isolated_task_group group;
  (void)scope.cancel();
  group.run([] { ADD_FAILURE() << "ran"; });
  EXPECT_THROW(group.wait(), Cancelled);
}

}  // namespace
