// SPDX-License-Identifier: Apache-2.0

#include "taskctx/scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::StartsWith;

// F-C2
TEST(ScopeTest, SetsForTheBlockAndRestores) {
  const ContextVar<std::string> variable("variable", "default");
  {
    const Scope outer{variable, "outer"};
    {
      const Scope inner{variable, "inner"};
      EXPECT_EQ(variable.get(), "inner");
    }
    EXPECT_EQ(variable.get(), "outer");
  }
  EXPECT_EQ(variable.get(), "default");
  EXPECT_TRUE(copy_context().empty());
}

// F-C5
TEST(ScopeTest, SetsSeveralVariablesAndRestoresThemInTheOppositeOrder) {
  const ContextVar<std::string> text("text");
  const ContextVar<int> number("number", 1);
  const ContextVar<std::unique_ptr<int>> pointer("pointer");
  {
    const Scope scope{text, "x", number, 2, pointer, std::make_unique<int>(3), number, 4};
    EXPECT_EQ(text.get(), "x");
    EXPECT_EQ(number.get(), 4) << "the last one of the same variable wins";
    EXPECT_EQ(*pointer.get(), 3);
  }
  EXPECT_EQ(number.get(), 1);
  EXPECT_TRUE(copy_context().empty());
}

// F-C2
TEST(ScopeTest, UnsetsForTheBlock) {
  const ContextVar<std::string> variable("variable", "default");
  const ContextVar<int> other("other");
  const Scope outer{variable, "outer"};
  {
    const Scope inner{variable, taskctx::unset, other, taskctx::unset};
    EXPECT_EQ(variable.get(), "default");
    EXPECT_FALSE(copy_context().contains(variable));
    other.set(1);
  }
  EXPECT_EQ(variable.get(), "outer");
  EXPECT_EQ(other.find(), nullptr) << "it was not set at the beginning";
}

// A transaction as a class has it: the scope is a member.
class Transaction {
 public:
  explicit Transaction(const ContextVar<int>& variable) : scope_(variable, 1) {}

 private:
  Scope<int> scope_;
};

// S1
TEST(ScopeTest, CanBeAMember) {
  const ContextVar<int> variable("variable");
  {
    const Transaction transaction(variable);
    EXPECT_EQ(variable.get(), 1);
  }
  EXPECT_EQ(variable.find(), nullptr);
  static_assert(!std::is_copy_constructible_v<Scope<int>>);
  static_assert(!std::is_move_constructible_v<Scope<int>>);
}

// F-C3: the snapshot that was taken inside keeps what the scope had set.
TEST(ScopeTest, ClosingWhileASnapshotIsOutLeavesTheSnapshotAlone) {
  const ContextVar<int> variable("variable");
  std::optional<Context> snapshot;
  {
    const Scope scope{variable, 1};
    snapshot = copy_context();
  }
  EXPECT_EQ(variable.find(), nullptr);
  EXPECT_EQ(*snapshot->find(variable), 1);
}

// F-C3, F-C4
TEST(ScopeTest, ClosingInAnotherContextIsReportedAndChangesNothing) {
  const MisuseRecorder recorder;
  const ContextVar<std::string> variable("user");
  Context context;
  std::optional<Scope<std::string>> scope;
  context.run([&] { scope.emplace(variable, "inside"); });
  const Scope here{variable, "here"};
  scope.reset();
  EXPECT_THAT(
      recorder.messages(),
      ElementsAre(StartsWith("cannot close scope of variable 'user': the token was made in a "
                             "different context (set at ")));
  EXPECT_EQ(variable.get(), "here");
  EXPECT_EQ(*context.find(variable), "inside");
}

// F-C4: each task is a context of its own, though it starts from the same snapshot.
TEST(ScopeTest, ClosingInASiblingTaskIsReported) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("variable");
  std::optional<Scope<int>> scope;
  const auto open = taskctx::bind([&] { scope.emplace(variable, 1); });
  const auto close = taskctx::bind([&] {
    scope.reset();
    EXPECT_EQ(variable.find(), nullptr);
  });
  open();
  close();
  EXPECT_EQ(recorder.messages().size(), 1U);
}

// F-C4: matched by context, not by thread: a suspended task may go on elsewhere.
TEST(ScopeTest, MayCloseOnAnotherThreadInTheSameContext) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("variable");
  Context context;
  std::optional<Scope<int>> scope;
  context.run([&] { scope.emplace(variable, 1); });
  std::thread([&] { context.run([&] { scope.reset(); }); }).join();
  EXPECT_TRUE(recorder.messages().empty());
  EXPECT_FALSE(context.contains(variable));
}

// P13
TEST(ScopeTest, RestoresTheOuterValueAfterSeveralSetsInside) {
  const ContextVar<std::string> variable("variable");
  const Scope outer{variable, "outer"};
  {
    const Scope inner{variable, "inner"};
    variable.set("again");
    auto token = variable.set("and again");
    variable.reset(std::move(token));
    EXPECT_EQ(variable.get(), "again") << "another token may be used inside";
  }
  EXPECT_EQ(variable.get(), "outer");
}

// P9, P13
TEST(ScopeTest, ATokenThatWasAdoptedIsUsed) {
  const ContextVar<int> variable("variable");
  variable.set(1);
  {
    auto token = variable.set(2);
    const Scope scope{std::move(token)};
    EXPECT_TRUE(token.used());
    EXPECT_THROW(variable.reset(std::move(token)), taskctx::TokenError);
    EXPECT_EQ(variable.get(), 2);
  }
  EXPECT_EQ(variable.get(), 1);
  variable.unset();
}

// P9, F-C3
TEST(ScopeTest, OfAUsedTokenIsReportedAndChangesNothing) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("user");
  auto token = variable.set(1);
  variable.reset(std::move(token));
  variable.set(2);
  { const Scope scope{std::move(token)}; }
  EXPECT_THAT(recorder.messages(),
              ElementsAre(StartsWith(
                  "cannot close scope of variable 'user': the token has been used already")));
  EXPECT_EQ(variable.get(), 2);
  variable.unset();
}

}  // namespace
