// SPDX-License-Identifier: Apache-2.0
//
// Callbacks of a cancellation: how often, where, in which context, and who waits for them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelCallback;
using taskctx::cancelled;
using taskctx::CancelScope;
using testing::ElementsAre;
using testing::HasSubstr;

const taskctx::ContextVar<std::string> user{"user", "nobody"};

// F-H5
TEST(CancelCallback, IsCalledOnceOnTheThreadThatCancels) {
  CancelScope scope;
  std::vector<std::thread::id> calls;
  const CancelCallback callback{[&] { calls.push_back(std::this_thread::get_id()); }};
  EXPECT_TRUE(calls.empty());
  std::thread::id canceller;
  std::thread([&] {
    canceller = std::this_thread::get_id();
    scope.cancel();
    scope.cancel();
  }).join();
  EXPECT_THAT(calls, ElementsAre(canceller));
}

// F-H5
TEST(CancelCallback, IsCalledAtOnceIfItIsSoAlready) {
  CancelScope scope;
  scope.cancel();
  int calls = 0;
  const CancelCallback callback{[&] { ++calls; }};
  EXPECT_EQ(calls, 1);
  const CancelScope inner;
  const CancelCallback below{[&] { ++calls; }};
  EXPECT_EQ(calls, 2);
}

// F-H5
TEST(CancelCallback, IsNeverCalledAfterItsEndNorOutsideOfAllScopes) {
  int calls = 0;
  const CancelCallback outside{[&] { ++calls; }};
  CancelScope scope;
  {
    const CancelCallback callback{[&] { ++calls; }};
  }
  scope.cancel();
  EXPECT_EQ(calls, 0);
}

// F-H5
TEST(CancelCallback, IsCalledFromAnyScopeAroundButNotThroughAShield) {
  CancelScope outer;
  const CancelScope middle;
  CancelScope inner;
  std::string calls;
  const CancelCallback callback{[&] { calls += "inner "; }};
  const taskctx::Shield shield;
  const CancelCallback shielded{[&] { calls += "shielded "; }};
  outer.cancel();
  inner.cancel();
  EXPECT_EQ(calls, "inner ");
}

// F-H5
TEST(CancelCallback, RunsInTheContextOfItsRegistration) {
  CancelScope scope;
  std::string seen;
  std::optional<taskctx::Scope<std::string>> value(std::in_place, user, "anna");
  const CancelCallback callback{[&] {
    seen = user.get();
    user.set("changed");
  }};
  value.reset();
  std::thread([&] {
    user.set("canceller");
    scope.cancel();
    EXPECT_EQ(user.get(), "canceller");
  }).join();
  EXPECT_EQ(seen, "anna");
  EXPECT_EQ(user.get(), "nobody");
}

// F-H5: the others are called nevertheless.
TEST(CancelCallback, ThatThrowsIsReported) {
  const MisuseRecorder misuse;
  CancelScope scope;
  int calls = 0;
  const CancelCallback first{[&] { ++calls; }};
  const CancelCallback throws{[] { throw std::runtime_error("broken"); }};
  const CancelCallback last{[&] { ++calls; }};
  EXPECT_TRUE(scope.cancel());
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(MisuseRecorder::messages(), ElementsAre(HasSubstr("broken")));
}

// F-H5: its own end from within, other callbacks' ends, other scopes' cancellation, new ones.
TEST(CancelCallback, MayDoAnythingWithScopesAndCallbacks) {
  using Callback = CancelCallback<std::function<void()>>;
  struct State {
    CancelScope scope;
    CancelScope other;
    std::string log;
    std::unique_ptr<Callback> self;
    std::unique_ptr<Callback> victim;
  } state;
  state.victim = std::make_unique<Callback>([&state] { state.log += "victim "; });
  state.self = std::make_unique<Callback>([its_state = &state] {
    State& all = *its_state;  // The capture ends with the callback.
    all.log += "self ";
    all.self.reset();    // The one that runs.
    all.victim.reset();  // One that is yet to be called.
    all.other.cancel();
    all.scope.cancel();
    const CancelCallback late{[&all] { all.log += "late "; }};
  });
  state.scope.cancel();
  EXPECT_EQ(state.log, "self late ");
  EXPECT_TRUE(state.other.is_cancelled());
}

// F-H5: as std::stop_callback.
TEST(CancelCallback, WaitsAtItsEndWhileAnotherThreadRunsIt) {
  CancelScope scope;
  Latch is_running;
  std::atomic<bool> has_returned{false};
  auto callback = std::make_unique<CancelCallback<std::function<void()>>>([&] {
    is_running.open();
    for (int i = 0; i < 1000; ++i) {
      std::this_thread::yield();
    }
    has_returned = true;
  });
  std::thread canceller([&] { scope.cancel(); });
  is_running.wait();
  callback.reset();
  EXPECT_TRUE(has_returned);
  canceller.join();
}

// F-H5: those that race with the cancellation are called once or never.
TEST(CancelCallback, ThatEndsWhileOthersCancelIsCalledOnceOrNever) {
  for (int round = 0; round < 2000; ++round) {
    CancelScope scope;
    CancelScope inner;
    std::atomic<int> calls{0};
    std::atomic<bool> is_over{false};
    std::thread canceller([&] { (round % 2 == 0 ? scope : inner).cancel(); });
    {
      const CancelCallback callback{[&] {
        EXPECT_FALSE(is_over);
        ++calls;
      }};
    }
    is_over = true;
    canceller.join();
    EXPECT_LE(calls, 1);
  }
}

// F-H5
TEST(CancelCallback, OfADeadlineRunsOnAThreadOfItsOwn) {
  // If the time is over before the callback is there, it is called at once: then again, with more.
  for (absl::Duration timeout = absl::Milliseconds(1);; timeout *= 2) {
    std::atomic<bool> is_called{false};
    std::thread::id where;
    const CancelScope scope{{.timeout = timeout}};
    const CancelCallback callback{[&] {
      where = std::this_thread::get_id();
      is_called = true;
    }};
    const bool is_late = cancelled();
    while (!is_called) {
      std::this_thread::yield();
    }
    if (!is_late) {
      EXPECT_NE(where, std::this_thread::get_id());
      return;
    }
  }
}

// F-H5: callbacks that block delay neither other deadlines nor their callbacks.
TEST(CancelCallback, ThatBlocksDelaysNoOtherDeadline) {
  const Watchdog watchdog("a deadline's callback");
  Latch is_open;
  std::vector<std::thread> threads;
  std::atomic<int> blocked{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Latch is_over;
      const CancelScope scope{{.timeout = absl::Milliseconds(1)}};
      const CancelCallback callback{[&] {
        ++blocked;
        is_open.wait();
        is_over.open();
      }};
      is_over.wait();
    });
  }
  while (blocked != 8) {  // All at once.
    std::this_thread::yield();
  }
  Latch is_called;
  {
    const CancelScope scope{{.timeout = absl::Milliseconds(1)}};
    const CancelCallback callback{[&] { is_called.open(); }};
    is_called.wait();
    EXPECT_TRUE(cancelled());
  }
  is_open.open();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace taskctx_test
