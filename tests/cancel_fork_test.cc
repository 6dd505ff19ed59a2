// SPDX-License-Identifier: Apache-2.0
//
// Scopes, deadlines and callbacks in a forked process.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "tests/forking.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelCallback;
using taskctx::cancelled;
using taskctx::CancelScope;

// Uses everything. Returns 0, or the number of what was wrong.
int try_all(CancelScope& outer) {
  alarm(20);
  int calls = 0;
  {
    CancelScope scope;
    const CancelCallback callback{[&calls] { ++calls; }};
    if (cancelled() || !scope.cancel("in the child") || !cancelled() || calls != 1) {
      return 1;
    }
    const taskctx::Shield shield;
    if (cancelled()) {
      return 2;
    }
  }
  {
    const CancelScope inner;
    const CancelCallback callback{[&calls] { ++calls; }};
    if (!outer.cancel() || !inner.is_cancelled() || calls != 2) {
      return 3;
    }
  }
  const taskctx::Shield shield;
  try {
    const CancelScope scope{{.timeout = absl::Milliseconds(1)}};
    while (!cancelled()) {  // If there is a timer.
      std::this_thread::yield();
    }
  } catch (const std::system_error&) {  // Where the parent has one.
  }
  return 0;
}

// F-H1: other threads may be anywhere in the library.
TEST(ForkedProcess, CanUseScopes) {
  const Watchdog watchdog("fork among scopes", std::chrono::seconds(200));
  CancelScope outer;
  std::atomic<bool> is_over{false};
  std::vector<std::thread> load;
  for (int i = 0; i < 3; ++i) {
    load.emplace_back([&] {
      while (!is_over) {
        CancelScope scope{{.timeout = absl::Microseconds(50)}};
        const CancelScope inner;
        std::atomic<int> calls{0};
        const CancelCallback callback{[&calls] { ++calls; }};
        scope.cancel();
      }
    });
  }
  fork_often([&outer] { return try_all(outer); });
  is_over = true;
  for (std::thread& thread : load) {
    thread.join();
  }
  EXPECT_FALSE(outer.is_cancelled());
}

// F-H1: in the child, nobody is in the callback.
TEST(ForkedProcess, DoesNotWaitForACallbackThatAnotherThreadIsIn) {
  const Watchdog watchdog("fork beside a callback");
  CancelScope scope;
  std::latch is_in(1);
  std::latch is_forked(1);
  auto callback = std::make_unique<CancelCallback<std::function<void()>>>([&] {
    is_in.count_down();
    is_forked.wait();
  });
  std::thread canceller([&scope] { scope.cancel(); });
  is_in.wait();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    callback.reset();
    _exit(cancelled() && scope.is_cancelled() ? 0 : 1);
  }
  EXPECT_EQ(status_of(child), 0);
  is_forked.count_down();
  callback.reset();
  canceller.join();
}

}  // namespace
}  // namespace taskctx_test
