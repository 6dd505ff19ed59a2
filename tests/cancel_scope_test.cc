// SPDX-License-Identifier: Apache-2.0
//
// Cancel scopes on one thread: what they tell, how they nest, what they reach, and how they end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/suppress_propagation.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Shield;
using testing::ElementsAre;
using testing::HasSubstr;

const taskctx::ContextVar<std::string> user{"user", "nobody"};

std::string words(const absl::Status& status) { return std::string(status.message()); }

// F-H1
TEST(CancelScope, TellsTheCodeInsideUntilItIsLeft) {
  EXPECT_FALSE(cancelled());
  {
    CancelScope scope;
    EXPECT_FALSE(cancelled());
    EXPECT_FALSE(scope.is_cancelled());
    EXPECT_TRUE(taskctx::cancel_reason().ok());
    EXPECT_NO_THROW(taskctx::check_cancelled());
    EXPECT_TRUE(scope.cancel("the user went away"));
    for (int i = 0; i < 3; ++i) {  // It is level-triggered.
      EXPECT_TRUE(cancelled());
      EXPECT_TRUE(scope.is_cancelled());
      EXPECT_THROW(taskctx::check_cancelled(), taskctx::Cancelled);
    }
  }
  EXPECT_FALSE(cancelled());
  EXPECT_TRUE(taskctx::cancel_reason().ok());
}

// F-H3
TEST(CancelScope, SaysWhy) {
  CancelScope scope;
  EXPECT_TRUE(scope.cancel("the user went away"));
  EXPECT_FALSE(scope.cancel("too late"));
  EXPECT_EQ(taskctx::cancel_reason(), absl::CancelledError("the user went away"));
  try {
    taskctx::check_cancelled();
    FAIL();
  } catch (const taskctx::Cancelled& error) {
    EXPECT_STREQ(error.what(), "cannot go on: the user went away");
    EXPECT_EQ(error.status(), absl::CancelledError("the user went away"));
  }
}

// F-H3
TEST(CancelScope, HasAReasonOfItsOwnIfNoneIsGiven) {
  CancelScope scope;
  scope.cancel();
  EXPECT_EQ(taskctx::cancel_reason().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(words(taskctx::cancel_reason()).empty());
}

// F-H1, F-H3
TEST(CancelScope, PassesOnToInnerOnesAndNotToOuterOnes) {
  CancelScope outer;
  {
    CancelScope inner;
    inner.cancel("inner");
    EXPECT_TRUE(cancelled());
    EXPECT_FALSE(outer.is_cancelled());
  }
  EXPECT_FALSE(cancelled());
  CancelScope first;
  CancelScope second;
  outer.cancel("outer");
  EXPECT_TRUE(first.is_cancelled());
  EXPECT_TRUE(second.is_cancelled());
  EXPECT_EQ(words(taskctx::cancel_reason()), "outer");
}

// F-H3: the nearest one that was cancelled, whichever was first.
TEST(CancelScope, SaysWhyTheNearestOneWasCancelled) {
  CancelScope outer;
  CancelScope inner;
  outer.cancel("outer");
  EXPECT_EQ(words(taskctx::cancel_reason()), "outer");
  EXPECT_TRUE(inner.cancel("inner"));
  EXPECT_EQ(words(taskctx::cancel_reason()), "inner");
  CancelScope innermost;
  EXPECT_EQ(words(taskctx::cancel_reason()), "inner");
}

// F-H1
TEST(CancelScope, IsBornCancelledInsideACancelledOne) {
  CancelScope outer;
  outer.cancel("outer");
  CancelScope inner;
  EXPECT_TRUE(inner.is_cancelled());
  EXPECT_TRUE(cancelled());
}

// F-H4
TEST(Shield, CutsCancellationAndDeadlinesAndKeepsValues) {
  const taskctx::Scope scope{user, "anna"};
  CancelScope outer{{.timeout = absl::Hours(1)}};
  outer.cancel("outer");
  {
    const Shield shield;
    EXPECT_FALSE(cancelled());
    EXPECT_TRUE(taskctx::cancel_reason().ok());
    EXPECT_EQ(taskctx::deadline(), absl::InfiniteFuture());
    EXPECT_EQ(taskctx::remaining(), absl::InfiniteDuration());
    EXPECT_EQ(user.get(), "anna");
    CancelScope inner;  // What is inside can be cancelled.
    EXPECT_FALSE(cancelled());
    inner.cancel("inner");
    EXPECT_TRUE(cancelled());
    const Shield again;
    EXPECT_FALSE(cancelled());
  }
  EXPECT_TRUE(cancelled());
}

// F-H2
TEST(Deadline, IsThatOfTheScopeThatEndsFirst) {
  EXPECT_EQ(taskctx::deadline(), absl::InfiniteFuture());
  EXPECT_EQ(taskctx::remaining(), absl::InfiniteDuration());
  const CancelScope hour{{.timeout = absl::Hours(1)}};
  EXPECT_LE(taskctx::remaining(), absl::Hours(1));
  EXPECT_GT(taskctx::remaining(), absl::Minutes(59));
  {
    const CancelScope minute{{.timeout = absl::Minutes(1)}};
    EXPECT_LE(taskctx::remaining(), absl::Minutes(1));
    const CancelScope day{{.timeout = absl::Hours(24)}};  // Can't lengthen it.
    EXPECT_LE(taskctx::remaining(), absl::Minutes(1));
    const CancelScope none;
    EXPECT_LE(taskctx::remaining(), absl::Minutes(1));
  }
  EXPECT_GT(taskctx::remaining(), absl::Minutes(59));
}

// F-H2
TEST(Deadline, MayBeATimeOfDay) {
  const absl::Time then = absl::Now() + absl::Hours(2);
  const CancelScope scope{{.timeout = absl::Hours(3), .deadline = then}};
  EXPECT_EQ(taskctx::deadline(), then);
  EXPECT_GT(taskctx::remaining(), absl::Minutes(119));
}

// F-H2
TEST(Deadline, MayHavePassedOrBeSilly) {
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), -absl::Hours(1), -absl::InfiniteDuration()}) {
    std::stop_source done;
    const CancelScope scope{{.timeout = timeout}};
    const std::stop_token token = taskctx::stop_token();
    const std::stop_callback tell(token, [&done] { done.request_stop(); });
    while (!done.stop_requested()) {  // The timer's thread comes to it.
      std::this_thread::yield();
    }
    EXPECT_TRUE(cancelled());
    EXPECT_EQ(taskctx::cancel_reason().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(taskctx::remaining(), absl::ZeroDuration());
  }
  const CancelScope never{{.timeout = absl::Hours(1e9), .deadline = absl::InfiniteFuture()}};
  EXPECT_FALSE(cancelled());
}

// F-H3
TEST(Deadline, SaysWhoseItWas) {
  CancelScope scope{{.timeout = -absl::Seconds(1), .reason = "the query took too long"}};
  while (!cancelled()) {
    std::this_thread::yield();
  }
  EXPECT_EQ(taskctx::cancel_reason(), absl::DeadlineExceededError("the query took too long"));
}

// F-H1: what brings a context with it does not bring cancellation, nor cut it.
TEST(CancelScope, ReachesWhatHasAContextOfItsOwn) {
  taskctx::Context apart;
  const auto bound_outside = taskctx::bind([] { return cancelled(); });
  CancelScope scope;
  const auto bound = taskctx::bind([] { return cancelled(); });
  const auto bound_to_other = taskctx::bind(apart, [] { return cancelled(); });
  scope.cancel();
  EXPECT_TRUE(apart.run([] { return cancelled(); }));
  EXPECT_TRUE(bound());
  EXPECT_TRUE(bound_to_other());
  EXPECT_FALSE(bound_outside());  // It has its creator's.
  const taskctx::SuppressPropagation block;
  EXPECT_TRUE(taskctx::bind([] { return cancelled(); })());
}

// F-H1
TEST(CancelScope, ReachesBoundCallablesOnOtherThreadsAndAfterItsEnd) {
  std::optional<CancelScope> scope(std::in_place);
  const auto asks = taskctx::bind([] { return cancelled(); });
  const auto has_deadline = taskctx::bind([] { return taskctx::remaining() < absl::Hours(2); });
  EXPECT_FALSE(has_deadline());
  bool answer = true;
  std::thread([&] { answer = asks(); }).join();
  EXPECT_FALSE(answer);
  scope->cancel();
  std::thread([&] { answer = asks(); }).join();
  EXPECT_TRUE(answer);
  scope.reset();
  EXPECT_TRUE(asks());  // What was cancelled stays so.
}

// F-H1, F-H2: an ended scope keeps its deadline, and passes on what comes from above.
TEST(CancelScope, PassesOnAfterItsEnd) {
  CancelScope outer;
  std::optional<CancelScope> inner(std::in_place,
                                   taskctx::CancelScopeOptions{.timeout = absl::Hours(1)});
  const auto asks = taskctx::bind([] { return cancelled(); });
  const auto left = taskctx::bind([] { return taskctx::remaining(); });
  inner.reset();
  EXPECT_LE(left(), absl::Hours(1));
  EXPECT_FALSE(asks());
  outer.cancel();
  EXPECT_TRUE(asks());
}

// F-H1: values and cancellation don't see each other.
TEST(CancelScope, LeavesValuesAlone) {
  CancelScope scope;
  const taskctx::Context before = taskctx::copy_context();
  user.set("inside");
  scope.cancel();
  const taskctx::Context after = taskctx::copy_context();
  {
    const CancelScope inner;
    EXPECT_EQ(taskctx::copy_context(), after);
    EXPECT_EQ(user.get(), "inside");
    user.set("deeper");
  }
  EXPECT_EQ(user.get(), "deeper");  // A scope is no context.
  EXPECT_EQ(before.size(), 0U);
}

// F-H1
TEST(CancelScope, TakesAStopToken) {
  std::stop_source source;
  CancelScope scope{{.stop_token = source.get_token()}};
  EXPECT_FALSE(cancelled());
  source.request_stop();
  EXPECT_TRUE(cancelled());
  EXPECT_EQ(taskctx::cancel_reason(), absl::CancelledError("a stop was requested"));
  const CancelScope born{{.stop_token = source.get_token()}};
  EXPECT_TRUE(born.is_cancelled());
  std::stop_source later;
  { const CancelScope gone{{.stop_token = later.get_token()}}; }
  EXPECT_TRUE(later.request_stop());  // Reaches nobody.
}

// F-H1
TEST(CancelScope, GivesAStopToken) {
  EXPECT_FALSE(taskctx::stop_token().stop_possible());
  CancelScope outer;
  CancelScope inner;
  const std::stop_token token = taskctx::stop_token();
  EXPECT_EQ(token, taskctx::stop_token());
  EXPECT_TRUE(token.stop_possible());
  int calls = 0;
  const std::stop_callback count(token, [&calls] { ++calls; });
  outer.cancel();
  EXPECT_TRUE(token.stop_requested());
  inner.cancel();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(taskctx::stop_token().stop_requested());
}

// F-H1: a misuse that is told, and breaks nothing.
TEST(CancelScope, ReportsThatItEndsElsewhere) {
  const MisuseRecorder misuse;
  std::thread([] {
    auto scope = std::make_unique<CancelScope>();
    taskctx::Context context;
    context.run([&scope] { scope.reset(); });
    EXPECT_FALSE(cancelled());
  }).join();
  std::thread([] {
    auto first = std::make_unique<CancelScope>();
    auto second = std::make_unique<CancelScope>();
    second->cancel();
    first.reset();  // In the wrong order.
    EXPECT_TRUE(cancelled());
    second.reset();
  }).join();
  auto scope = std::make_unique<CancelScope>();
  std::thread([&scope] { scope.reset(); }).join();
  EXPECT_THAT(MisuseRecorder::messages(),
              testing::Each(HasSubstr("cannot leave cancel scope: it did not begin here")));
  EXPECT_EQ(MisuseRecorder::messages().size(), 3U);
}

// The opposite of all this: with a thread_local flag, other threads and later code see nothing, or
// what is none of their business.
TEST(ThreadLocalFlag, ReachesNeitherOtherThreadsNorEndsWithItsScope) {
  thread_local bool is_cancelled = false;
  CancelScope scope;
  const auto asks_flag = taskctx::bind([] { return is_cancelled; });
  const auto asks = taskctx::bind([] { return cancelled(); });
  is_cancelled = true;
  scope.cancel();
  bool flag = true;
  bool answer = false;
  std::thread([&] {
    flag = asks_flag();
    answer = asks();
  }).join();
  EXPECT_FALSE(flag);
  EXPECT_TRUE(answer);
  is_cancelled = false;
}

}  // namespace
}  // namespace taskctx_test
