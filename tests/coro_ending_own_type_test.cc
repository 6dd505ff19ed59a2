// SPDX-License-Identifier: Apache-2.0
//
// Coroutines of a user's own type that are destroyed while they are suspended.

#include <gtest/gtest.h>

#include <coroutine>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/when_all.h"
#include "tests/coro_gate.h"
#include "tests/foreign.h"
#include "tests/manual.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

struct Log {
  ~Log() { text += "destroyed in " + request.get(); }
  std::string& text;
};

template <typename Awaitable>
Manual waits_for_all(Awaitable awaitable, std::string& text, Tracked /*parameter*/) {
  const Scope scope{request, "mine"};
  const Log log{text};
  co_await std::move(awaitable)();
  ADD_FAILURE() << "it went on";
}

// Suspends a coroutine of another kind, destroys it, and lets come what it has waited for.
template <typename Awaitable>
void destroy_suspended(const char* kind, Gate& gate, Awaitable awaitable) {
  SCOPED_TRACE(kind);
  std::string text;
  {
    Manual coroutine = waits_for_all(std::move(awaitable), text, Tracked(1));
    coroutine.resume();
    EXPECT_EQ(request.get(), "none");
    EXPECT_EQ(Tracked::alive(), 1);
  }
  EXPECT_EQ(text, "destroyed in mine");
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_EQ(request.get(), "none");
  gate.open();
}

// F-G2, F-G1
TEST(EndingOfOwnType, DestroyedWhileSuspendedNothingComesBackToIt) {
  const Watchdog watchdog("DestroyedWhileSuspendedNothingComesBackToIt");
  const taskctx_test::MisuseRecorder recorder;
  // On a pool's only thread, so that nobody resumes what is to be destroyed.
  JobPool pool{{.concurrency = 1}};
  const auto run = [&pool](auto function) {
    Gate gate;
    pool.submit([&] { function(gate); }).get();
    gate.open();
    gate.blocked.drain();
    pool.drain();
  };
  run([](Gate& gate) { destroy_suspended("yield", gate, [] { return taskctx::yield(); }); });
  run([&pool](Gate& gate) {
    destroy_suspended("schedule", gate, [&pool] { return pool.schedule(); });
  });
  run([](Gate& gate) {
    destroy_suspended("sleep", gate, [] { return taskctx::sleep_for(absl::Hours(1)); });
  });
  run([](Gate& gate) {
    destroy_suspended("job", gate, [&gate] { return gate.job.then([](const auto&) {}); });
  });
  run([](Gate& gate) { destroy_suspended("shared job", gate, [&gate] { return gate.job; }); });
  run([](Gate& gate) { destroy_suspended("task", gate, [&gate] { return waits_for(gate); }); });
  run([](Gate& gate) {
    destroy_suspended("when_all", gate,
                      [&gate] { return taskctx::when_all(waits_for(gate), waits_for(gate)); });
  });
  run([](Gate& gate) { destroy_suspended("foreign", gate, [] { return std::suspend_always(); }); });
  EXPECT_EQ(pool.stats().waiting, 0);
  EXPECT_TRUE(recorder.messages().empty());
}

template <typename Coroutine>
Coroutine suspends(std::string& text, std::string value) {
  const Scope scope{request, value};
  const Log log{text};
  co_await std::suspend_always();
}
Manual awaits_another(Manual& other, std::string& text) {
  const Scope scope{request, "parent's"};
  const Log log{text};
  co_await other;
}

// F-G2, P24
TEST(EndingOfOwnType, DestroyedWithinItsAwaitersContextLeavesThatAsItWas) {
  const taskctx_test::MisuseRecorder recorder;
  std::string child_text;
  std::string parent_text;
  {
    auto child = std::make_unique<Manual>(suspends<Manual>(child_text, "child's"));
    Manual parent = awaits_another(*child, parent_text);
    parent.resume();
    child.reset();
    EXPECT_EQ(child_text, "destroyed in child's");
    EXPECT_EQ(request.get(), "none");
  }
  EXPECT_EQ(parent_text, "destroyed in parent's");
  EXPECT_EQ(request.get(), "none");
  EXPECT_TRUE(recorder.messages().empty());
}

Plain awaits_a_task(std::string& text) { co_await suspends<Task<>>(text, "task's"); }

// F-G2, P23
TEST(EndingOfOwnType, DestroyedWithATaskThatHasASnapshotEndsItThere) {
  const taskctx_test::MisuseRecorder recorder;
  const Scope scope{request, "outer"};
  std::string text;
  {
    const Plain coroutine = awaits_a_task(text);
    EXPECT_EQ(request.get(), "outer");
  }
  EXPECT_EQ(text, "destroyed in task's");
  EXPECT_EQ(request.get(), "outer");
  EXPECT_TRUE(recorder.messages().empty());
}

}  // namespace
