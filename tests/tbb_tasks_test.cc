// SPDX-License-Identifier: Apache-2.0
//
// task_group: tasks run in the context of their submission.

#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/token.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
namespace onetbb = oneapi::tbb;

class Tasks : public testing::TestWithParam<int> {
 protected:
  [[nodiscard]] static int threads() { return GetParam(); }
  std::atomic<int> wrong_{0};
  std::atomic<int> local_wrong_{0};
};

// T5: run late, by whomever, and by no call that waits for them.
TEST_P(Tasks, RunInTheContextOfTheirSubmissionHoweverLate) {
  StealingArena arena(threads());
  AllThreads all(threads());
  ctbb::task_group group;
  std::vector<ctbb::task_handle> handles;
  arena->execute([&] {
    for (int id = 1; id <= 100; ++id) {
      const Scope scope{request, id};
      thread_request = id;
      handles.push_back(group.defer([&, id] {
        all.take_part();
        wrong_ += static_cast<int>(request.get(0) != id);
        local_wrong_ += static_cast<int>(thread_request != id);
        request.set(-id);
      }));
    }
    const Scope later{request, -5};
    for (ctbb::task_handle& handle : handles) {
      group.run(std::move(handle));
    }
    EXPECT_EQ(group.wait(), ctbb::complete);
    EXPECT_EQ(request.get(), -5);
  });
  EXPECT_EQ(wrong_, 0);
  EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// Looks at the context when it is destroyed.
struct Watchful {
  std::atomic<int>* wrong;
  int id;
  Watchful(std::atomic<int>* count, int its_id) : wrong(count), id(its_id) {}
  Watchful(const Watchful&) = delete;
  Watchful& operator=(const Watchful&) = delete;
  ~Watchful() { *wrong += static_cast<int>(request.get(0) != id); }
};

// T5, P22: also of tasks that never run.
TEST_P(Tasks, DestroyWhatTheyCaptureInTheirOwnContextAndTheirSnapshotAfterwards) {
  StealingArena arena(threads());
  const ContextVar<Tracked> tracked("tracked");
  arena->execute([&] {
    const auto task = [&](int id) {
      return [this, watchful = std::make_unique<Watchful>(&wrong_, id)] {
        wrong_ += static_cast<int>(request.get(0) != watchful->id);
      };
    };
    ctbb::task_group group;
    for (int id = 1; id <= 50; ++id) {
      const Scope scope{request, id};
      const Scope value{tracked, Tracked(id)};
      group.run(task(id));
      static_cast<void>(group.defer(task(id)));  // Dropped.
    }
    group.wait();
    EXPECT_EQ(Tracked::alive(), 0);
    for (int id = 1; id <= 50; ++id) {
      const Scope scope{request, id};
      const Scope value{tracked, Tracked(id)};
      group.run(task(id));
      group.cancel();
    }
    group.wait();
  });
  EXPECT_EQ(wrong_, 0);
  EXPECT_EQ(Tracked::alive(), 0);
}

// T5: a group that is destroyed without waiting says so, and leaves the context as it was.
TEST_P(Tasks, AGroupThatNobodyWaitedForThrowsAndTheCallersContextIsBack) {
  StealingArena arena(threads());
  arena->execute([&] {
    const Scope scope{request, 1};
    Latch go_on;
    try {
      ctbb::task_group group;
      group.run([&] { go_on.wait(); });
      const ctbb::task_handle held = group.defer([] {});
      std::thread opener([&] { go_on.open(); });
      opener.join();
    } catch (const ctbb::missing_wait&) {
      wrong_ += 100;
    }
    EXPECT_EQ(request.get(), 1);
  });
  EXPECT_TRUE(wrong_ == 100 || wrong_ == 0);
}

// V2: a raw task that runs while a thread waits may write: what it writes is gone afterwards.
TEST_P(Tasks, WhatAForeignTaskWritesOnAWaitingThreadIsSeenByNobody) {
  StealingArena arena(threads());
  // Of its own: what foreign tasks set on threads that don't wait stays there.
  const ContextVar<int> number("number");
  const ContextVar<Tracked> tracked("tracked");
  arena->execute([&] {
    number.set(1);  // In the thread's own context, not in a guard's.
    onetbb::task_group raw;
    for (int i = 0; i < 200; ++i) {
      raw.run([&] {
        number.set(9);
        tracked.set(Tracked(1));
      });
      ctbb::task_group group;
      for (int k = 0; k < 4; ++k) {
        group.run([&] {
          wrong_ += static_cast<int>(number.get(0) != 1);
          ctbb::parallel_for(0, 4, [&](int) {
            wrong_ += static_cast<int>(number.get(0) != 1);
            wrong_ += static_cast<int>(tracked.find() != nullptr);
          });
        });
      }
      group.wait();
      EXPECT_EQ(number.get(0), 1);
      EXPECT_EQ(tracked.find(), nullptr);
    }
    ctbb::this_task_arena::isolate([] {});
    raw.wait();  // Raw: it may run those tasks in the caller's context.
    number.set(0);
    const auto forget = number.unset();
    const auto forget_too = tracked.unset();
  });
  EXPECT_EQ(wrong_, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, Tasks, testing::Values(1, 2, 4, 8));

}  // namespace
