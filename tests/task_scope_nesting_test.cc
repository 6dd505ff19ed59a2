// SPDX-License-Identifier: Apache-2.0
//
// Joining, from everywhere: it never hangs, and in a circle it says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/task_scope.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/task_group.h"
#include "tests/pools.h"
#include "tests/scopes.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using TaskScopeNesting = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeNesting, testing::Values(1, 2, 4, 8));

// Counts `width` to the power of `depth` leaves, each level in scopes of the level above.
int count_leaves(JobPool& pool, int depth, int width) {
  if (depth == 0) {
    return 1;
  }
  std::atomic<int> count{0};
  TaskScope scope{pool};
  for (int i = 0; i < width; ++i) {
    scope.post([&, depth, width] { count += count_leaves(pool, depth - 1, width); });
  }
  scope.join();
  return count;
}

Task<int> count_leaves_by_awaiting(JobPool& pool, int depth, int width) {
  if (depth == 0) {
    co_return 1;
  }
  std::vector<Job<int>> jobs;
  TaskScope scope{pool};
  for (int i = 0; i < width; ++i) {
    jobs.push_back(scope.spawn(count_leaves_by_awaiting(pool, depth - 1, width)));
  }
  co_await scope.join();
  int count = 0;
  for (auto& job : jobs) {
    count += job.get();
  }
  co_return count;
}

// K10
TEST_P(TaskScopeNesting, ScopesInJobsOfScopes) {
  const Watchdog watchdog{"nested scopes"};
  EXPECT_EQ(count_leaves(pool, 5, 3), 243);
  EXPECT_EQ(pool.submit([&] { return count_leaves(pool, 5, 3); }).get(), 243);
  EXPECT_EQ(pool.submit([&] { return count_leaves(pool, 60, 1); }).get(), 1);
  EXPECT_EQ(sync_wait(count_leaves_by_awaiting(pool, 5, 3)), 243);
  EXPECT_EQ(pool.submit([&] { return sync_wait(count_leaves_by_awaiting(pool, 4, 3)); }).get(), 81);
}

// K10
TEST_P(TaskScopeNesting, ScopesInLeavesAndGroups) {
  const Watchdog watchdog{"scopes in leaves and groups"};
  std::atomic<int> count{0};
  const auto work = [&] {
    taskctx::tbb::parallel_for(0, 20, [&](int) { count += count_leaves(pool, 2, 3); });
    taskctx::tbb::task_group group;
    for (int i = 0; i < 20; ++i) {
      group.run([&] { count += count_leaves(pool, 2, 3); });
    }
    group.wait();
  };
  pool.submit(work).get();
  work();
  EXPECT_EQ(count, 2 * 40 * 9);
}

// K10: each way of waiting, between pools in one direction.
TEST_P(TaskScopeNesting, ScopesInOtherPoolsAndPlainThreads) {
  const Watchdog watchdog{"scopes across pools"};
  JobPool other{{.concurrency = GetParam()}};
  std::vector<std::thread> threads;
  std::atomic<int> count{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(bind([&] {
      count += count_leaves(pool, 3, 3);
      TaskScope scope{other};
      for (int k = 0; k < 5; ++k) {
        scope.post([&] { count += count_leaves(pool, 2, 3); });
      }
    }));
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, 4 * (27 + 5 * 9));
}

// K10, K1: threads of all kinds start jobs in a scope while it is joined.
TEST_P(TaskScopeNesting, ManyThreadsStartJobsInOneScope) {
  const Watchdog watchdog{"a scope that many threads use"};
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> count{0};
    std::vector<std::thread> threads;
    pool.submit([&] {
          TaskScope scope{pool};
          Latch all_started;
          std::atomic<int> missing{3};
          for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
              for (int k = 0; k < 50; ++k) {
                scope.post([&] {
                  ++count;
                  scope.post([&] { ++count; });
                });
              }
              if (--missing == 0) {
                all_started.open();
              }
            });
          }
          scope.post([all_started] { all_started.wait(); });
          if (GetParam() == 1) {
            all_started.wait();
          }
          scope.join();
        })
        .get();
    for (auto& thread : threads) {
      thread.join();
    }
    ASSERT_EQ(count, 3 * 100);
  }
}

// K10: the newest job waits for what an older one does.
TEST_P(TaskScopeNesting, JobsOfAScopeWaitForOneAnother) {
  const Watchdog watchdog{"jobs of one scope"};
  pool.submit([&] {
        TaskScope scope{pool};
        auto first = scope.submit([] { return 1; }).shared();
        for (int i = 0; i < 20; ++i) {
          first = scope.submit([first] { return first.get() + 1; }).shared();
        }
        scope.join();
        EXPECT_EQ(first.get(), 21);
      })
      .get();
}

// K14
TEST_P(TaskScopeNesting, AJobThatJoinsItsOwnScopeIsRefused) {
  const Watchdog watchdog{"a join in the scope's own job"};
  TaskScope scope{pool};
  Job<void> direct = scope.submit([&] { scope.join(); });
  EXPECT_THROW(direct.get(), JobError);
  EXPECT_THROW(scope.join(), TaskScopeError);
  TaskScope other{pool};
  Job<void> in_leaves = other.submit([&] {
    taskctx::tbb::parallel_for(0, 10, [&](int) { EXPECT_THROW(other.join(), JobError); });
  });
  other.join();
}

// K14: the circle opens when the scope is cancelled.
TEST_P(TaskScopeNesting, AJobThatWaitsForTheOneThatJoinsOpensTheCircle) {
  const Watchdog watchdog{"a scope in a circle"};
  std::promise<SharedJob<void>> promise;
  const std::shared_future<SharedJob<void>> future = promise.get_future().share();
  const SharedJob<void> owner = pool.submit([&] {
                                      TaskScope scope{pool};
                                      scope.post([&] { future.get().get(); });
                                      scope.join();
                                    })
                                    .shared();
  promise.set_value(owner);
  owner.wait();
  EXPECT_ANY_THROW(owner.get());
}

// K14
TEST_P(TaskScopeNesting, AJobThatDestroysItsOwnScopeReportsThatAndReturns) {
  const Watchdog watchdog{"a scope that its own job destroys"};
  std::atomic<int> ended{0};
  const MisuseRecorder recorder;
  {
    auto scope = std::make_shared<std::optional<TaskScope>>();
    scope->emplace(pool, TaskScopeOptions{.policy = JoinPolicy::wait_all});
    Latch go;
    (*scope)->post([&] {
      go.wait();
      ++ended;
      throw std::runtime_error("not lost");
    });
    auto job = (*scope)->submit([&] {
      go.open();
      scope->reset();
      ++ended;
    });
    if (GetParam() == 1) {
      go.open();
    }
    job.get();
  }
  pool.drain();
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(handled, 1);
  EXPECT_THAT(MisuseRecorder::messages(),
              testing::ElementsAre("cannot end task scope: one of its own jobs would wait for "
                                   "itself"));
}

}  // namespace
