// SPDX-License-Identifier: Apache-2.0
//
// Task scopes whose pool, process or program ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/task_scope.h"
#include "tests/forking.h"
#include "tests/pools.h"
#include "tests/scopes.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ExitedWithCode;

using TaskScopeEnd = JobApi;
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeEnd, testing::Values(1, 2, 4, 8));

// K14: a scope waits for its jobs also if their pool takes no more.
TEST_P(TaskScopeEnd, AScopeEndsAfterThePoolsShutdown) {
  const Watchdog watchdog{"a scope after shutdown"};
  Latch go;
  std::atomic<int> ended{0};
  TaskScope scope{pool};
  scope.post([&] {
    go.wait();
    ++ended;
  });
  Job<void> sleeper = scope.spawn([]() -> Task<> { co_await taskctx::sleep_for(absl::Hours(1)); });
  sleeper.cancel();
  std::thread closer([&] { (void)pool.shutdown(); });
  while (true) {
    try {
      scope.post([] {});
      std::this_thread::yield();
    } catch (const JobError&) {
      break;
    }
  }
  go.open();
  scope.join();
  EXPECT_EQ(ended, 1);
  closer.join();
}

// K14: jobs that shutdown() has cancelled have not failed.
TEST_P(TaskScopeEnd, AShutdownWithATimeEndsJobsOfAScope) {
  const Watchdog watchdog{"a scope in a shutdown"};
  Latch go;
  auto busy = occupy(go);
  TaskScope scope{pool};
  std::atomic<bool> has_run{false};
  scope.post([&] { has_run = true; });
  (void)pool.shutdown(absl::Milliseconds(1));
  scope.join();
  EXPECT_FALSE(has_run);
  go.open();
  for (auto& job : busy) {
    job.get();
  }
}

// K14: whatever other threads do with scopes at that moment.
TEST(TaskScopeFork, EveryCallReturnsInAForkedChild) {
  JobPool pool{{.concurrency = 2}};
  std::atomic<bool> is_over{false};
  std::optional<TaskScope> opened(std::in_place, pool);
  Latch never;
  opened->post([&] { never.wait(); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!is_over) {
        TaskScope scope{pool, {.timeout = absl::Milliseconds(1)}};
        for (int k = 0; k < 5; ++k) {
          scope.post([&] { check_cancelled(); });
          opened->post([] {});
        }
        try {
          scope.join();
        } catch (const Cancelled&) {
        }
      }
    });
  }
  const auto refuses = [](auto call) {
    try {
      call();
    } catch (const JobError&) {
      return true;
    }
    return false;
  };
  fork_often([&] {
    alarm(20);
    (void)opened->is_cancelled();
    if (!refuses([&] { opened->post([] {}); })) {
      return 1;
    }
    if (!refuses([&] { opened->join(); })) {
      return 2;
    }
    opened->cancel("in the child");
    if (!opened->is_cancelled()) {
      return 3;
    }
    opened.reset();
    const TaskScope another{pool};
    return 0;
  });
  is_over = true;
  for (auto& thread : threads) {
    thread.join();
  }
  never.open();
  opened->join();
}

// K14: a child that returns from the job that has forked it ends.
TEST(TaskScopeFork, AJobOfAScopeMayFork) {
  JobPool pool{{.concurrency = 2}};
  TaskScope scope{pool};
  Job<int> status = scope.submit([] {
    const pid_t child = fork();
    if (child == 0) {
      is_forked_child = true;
      alarm(20);
      std::fclose(stderr);
      return 0;
    }
    return status_of(child);
  });
  scope.join();
  EXPECT_EQ(status.get(), EXIT_FAILURE);
}

[[noreturn]] void exit_with_a_job() {
  static JobPool pool{{.concurrency = 2}};
  static TaskScope scope{pool};
  scope.post([] {
    for (int i = 0; i < 100'000; ++i) {
      std::this_thread::yield();
    }
    std::fprintf(stderr, "the job has ended");
  });
  std::exit(3);
}

[[noreturn]] void exit_with_a_job_that_waits_for_ever() {
  static JobPool& pool = *new JobPool{{.concurrency = 2}};
  static TaskScope scope{pool, {.name = "for ever"}};
  scope.post([] {
    static const Latch& never = *new Latch;
    never.wait();
  });
  std::exit(3);
}

// K14
TEST(TaskScopeExitDeathTest, AStaticScopeWaitsForItsJobs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit_with_a_job(), ExitedWithCode(3), "the job has ended");
}

// K14
TEST(TaskScopeExitDeathTest, AStaticScopeGivesUpJobsThatWaitForTheProgramsEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit_with_a_job_that_waits_for_ever(), ExitedWithCode(3),
              "cannot end task scope 'for ever': the program ends");
}

}  // namespace
