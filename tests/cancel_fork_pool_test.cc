// SPDX-License-Identifier: Apache-2.0
//
// A process that forks while other threads cancel scopes with jobs in them, and wait for these.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "tests/forking.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelScope;

// Cancels a scope while a thread waits in it for a job.
void cancel_once(taskctx::JobPool& pool) {
  CancelScope* scope = nullptr;
  std::latch is_open(1);
  std::latch is_cancelled(1);
  const std::jthread waiter([&] {
    CancelScope here;
    auto job = pool.submit([] {
      while (!taskctx::cancelled()) {
        std::this_thread::yield();
      }
    });
    scope = &here;
    is_open.count_down();
    try {
      job.get();
    } catch (const taskctx::Cancelled&) {
      // It comes before or after the job's end.
    }
    is_cancelled.wait();
  });
  is_open.wait();
  (void)scope->cancel();
  is_cancelled.count_down();
}

// F-H1: neither hangs: no thread takes locks in another order than fork does.
TEST(CancelForkTest, ForksWhileOtherThreadsCancel) {
  const Watchdog watchdog{"fork and cancel"};
  taskctx::JobPool pool{{.concurrency = 2}};
  std::atomic<bool> is_over{false};
  std::jthread canceller([&] {
    while (!is_over) {
      cancel_once(pool);
    }
  });
  for (int i = 0; i < 500; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  is_over = true;
}

taskctx::Task<> yield_until(const std::atomic<bool>& is_over) {
  while (!is_over) {
    co_await taskctx::yield();
  }
}

// F-H1: a coroutine that the fork has met while it suspended itself is not waited for.
TEST(CancelForkTest, AChildCancelsAScopeWithCoroutinesOfItsParent) {
  if (kAddressSanitizer || kThreadSanitizer) {
    GTEST_SKIP() << "a sanitizer does not take its own locks over a fork";
  }
  const Watchdog watchdog{"cancel coroutines in a child", std::chrono::seconds(200)};
  taskctx::JobPool pool{{.concurrency = 1}};
  std::atomic<bool> is_over{false};
  CancelScope scope;
  taskctx::Job<void> job = pool.spawn([&is_over] { return yield_until(is_over); });
  for (int i = 0; i < 20; ++i) {
    std::this_thread::yield();
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      _exit(scope.cancel() ? 0 : 1);
    }
    EXPECT_EQ(status_of(child), 0) << "in child " << i;
  }
  is_over = true;
  job.get();
}

}  // namespace
}  // namespace taskctx_test
