// SPDX-License-Identifier: Apache-2.0
//
// A coroutine type of the user's own: its context on every thread, and at its end.

#include <gtest/gtest.h>

#include <atomic>
#include <coroutine>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/coro_places.h"
#include "tests/manual.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

Manual two_steps(std::string& log, Tracked /*parameter*/) {
  log += request.get() + ",";
  const Scope scope{request, "mine"};
  step.set(1);
  co_await std::suspend_always{};
  log += request.get() + std::to_string(step.get()) + ",";
  const Scope inner{step, 2};
  co_await std::suspend_always{};
  log += request.get() + std::to_string(step.get());
}

// P23, F-G1, F-G2
TEST(OwnCoroutineType, KeepsASnapshotOfItsCreatorOnEveryThread) {
  std::string log;
  Scope scope{request, "creator's"};
  Manual coroutine = two_steps(log, Tracked(1));
  request.set("later");
  coroutine.resume();
  EXPECT_EQ(request.get(), "later");
  EXPECT_EQ(step.get(), 0);
  std::thread([&] {
    coroutine.resume();
    EXPECT_EQ(request.get(), "none");
  }).join();
  coroutine.resume();
  EXPECT_EQ(request.get(), "later");
  EXPECT_TRUE(coroutine.done());
  EXPECT_EQ(log, "creator's,mine1,mine2");
}

// P22, F-G2
TEST(OwnCoroutineType, DestroyedWhileSuspendedEndsItsScopesInItsContext) {
  const taskctx_test::MisuseRecorder recorder;
  for (int resumed = 0; resumed < 3; ++resumed) {
    for (const bool on_another_thread : {false, true}) {
      std::string log;
      const Scope scope{request, "creator's"};
      {
        Manual coroutine = two_steps(log, Tracked(1));
        for (int i = 0; i < resumed; ++i) {
          coroutine.resume();
        }
        if (on_another_thread) {
          std::thread([&coroutine] {
            { const Manual gone = std::move(coroutine); }
            EXPECT_EQ(request.get(), "none");
          }).join();
        }
      }
      EXPECT_EQ(request.get(), "creator's");
      EXPECT_EQ(step.get(), 0);
    }
  }
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_TRUE(recorder.messages().empty());
}

Task<> holds_a_scope() {
  const Scope scope{request, "child's"};
  co_await std::suspend_always{};
}
Manual awaits_a_task() { co_await holds_a_scope(); }

// P24, F-G2
TEST(OwnCoroutineType, DestroyedWhileSuspendedInATaskEndsThatsScopesToo) {
  const taskctx_test::MisuseRecorder recorder;
  {
    Manual coroutine = awaits_a_task();
    coroutine.resume();
    EXPECT_FALSE(coroutine.done());
    EXPECT_EQ(request.get(), "none");
  }
  EXPECT_EQ(request.get(), "none");
  EXPECT_TRUE(recorder.messages().empty());
}

Manual awaits_what_throws(std::string& log) {
  const Scope scope{request, "mine"};
  try {
    co_await Throws{};
  } catch (const std::runtime_error& error) {
    log = error.what() + (" in " + request.get());
  }
}

// P15
TEST(OwnCoroutineType, IsBackInItsContextIfItCouldNotBeSuspended) {
  std::string log;
  Manual coroutine = awaits_what_throws(log);
  coroutine.resume();
  EXPECT_EQ(log, "not suspended in mine");
  EXPECT_EQ(request.get(), "none");
}

Manual visits(JobPool& pool, std::string& log, std::atomic<bool>& is_over) {
  const Scope scope{request, "mine"};
  co_await pool.schedule();
  log += request.get();
  log += std::to_string(co_await pool.submit([] { return step.get(); }));
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_await taskctx::yield();
  log += request.get();
  is_over = true;
  is_over.notify_all();
}

// F-G1
TEST(OwnCoroutineType, AwaitsEverythingThatTheLibraryHas) {
  const Watchdog watchdog("AwaitsEverythingThatTheLibraryHas");
  std::string log;
  std::atomic<bool> is_over = false;
  JobPool pool{{.concurrency = 2}};
  Manual coroutine = visits(pool, log, is_over);
  coroutine.resume();
  is_over.wait(false);
  pool.drain();
  EXPECT_EQ(log, "mine0mine");
}

}  // namespace
