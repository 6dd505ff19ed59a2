// SPDX-License-Identifier: Apache-2.0
//
// A context of its own for a test, and snapshots that are applied to one.

#include "taskctx/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/support.h"
#include "tests/user_and_retries.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using namespace taskctx::gtest;
using testing::AllOf;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// F-L1
TEST(IsolatedContextTest, WhatIsSetInItIsGoneAtItsEndAndWhatWasThereIsBack) {
  const Scope outer{user, "outer"};
  {
    const IsolatedContext isolated;
    EXPECT_THAT(copy_context(), IsEmpty());
    user.set("inner");
    retries.set(5);
  }
  EXPECT_EQ(user.get(), "outer");
  EXPECT_THAT(retries, IsUnset());
}

// F-L1
TEST(IsolatedContextTest, StartsFromACopyOfTheContextThatItIsGiven) {
  const Context context = context_with("ann");
  {
    const IsolatedContext isolated(context);
    EXPECT_EQ(user.get(), "ann");
    user.set("bob");
  }
  EXPECT_THAT(context, Binds(user, "ann"));
  EXPECT_THAT(copy_context(), IsEmpty());
}

// F-L1
TEST(IsolatedContextTest, KeepsItsContextAliveAndNoLonger) {
  const ContextVar<Tracked> tracked("tracked");
  Context context;
  context.run([&] { tracked.set(Tracked(1)); });
  {
    const IsolatedContext isolated(context);
    context = Context();
    EXPECT_EQ(tracked.get().value(), 1);
    tracked.set(Tracked(2));
    EXPECT_EQ(Tracked::alive(), 2);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// F-L1
TEST(IsolatedContextTest, PutsBackWhatWasThereAlsoIfAContextWasEnteredAndNotLeft) {
  static auto* const never_left = new Context;  // Destroying it would be the next mistake.
  const Scope outer{user, "outer"};
  {
    const IsolatedContext isolated;
    never_left->enter();
    user.set("inner");
  }
  EXPECT_EQ(user.get(), "outer");
}

// As a member of a fixture: it is there before SetUp() and still after TearDown().
class MemberOfAFixture : public testing::Test {
 protected:
  MemberOfAFixture() { EXPECT_THAT(copy_context(), IsEmpty()) << "another test left something"; }
  void SetUp() override { token_.emplace(user.set("SetUp")); }
  void TearDown() override {
    EXPECT_THAT(user, HasValue("body"));
    user.reset(std::move(*token_));  // The same context: else the token would be refused.
    EXPECT_THAT(user, IsUnset());
    retries.set(7);  // And is not put back.
  }

 private:
  IsolatedContext context_;
  std::optional<taskctx::Token<std::string>> token_;
};

// F-L1
TEST_F(MemberOfAFixture, HoldsForSetUpTheTestAndTearDown) {
  EXPECT_THAT(user, HasValue("SetUp"));
  user.set("body");
}

// F-L1: whichever of the two runs later finds nothing of the other.
TEST_F(MemberOfAFixture, LeavesNothingToTheNextTest) {
  EXPECT_THAT(retries, IsUnset());
  user.set("body");
}

// As a base class.
class BaseOfAFixture : public testing::Test, private IsolatedContext {};

// F-L1
TEST_F(BaseOfAFixture, LeavesNothingToTheNextTest) {
  EXPECT_THAT(copy_context(), IsEmpty());
  user.set("first");
}

// F-L1
TEST_F(BaseOfAFixture, LeavesNothingToThePreviousTestEither) {
  EXPECT_THAT(copy_context(), IsEmpty());
  user.set("second");
}

// F-L2
TEST(Apply, SetsWhatTheSnapshotHasAndLeavesTheRest) {
  const LeakCheck leaks;
  const IsolatedContext isolated;
  const ContextVar<std::unique_ptr<int>> pointer("pointer");
  Context snapshot;
  snapshot.run([&] {
    user.set("ann");
    pointer.set(std::make_unique<int>(1));
  });
  user.set("bob");
  retries.set(5);
  apply(snapshot);
  EXPECT_EQ(user.get(), "ann");
  EXPECT_EQ(retries.get(), 5) << "what the snapshot does not have stays";
  EXPECT_EQ(&pointer.get(), snapshot.find(pointer)) << "the value is shared, not copied";
  user.set("carol");
  EXPECT_THAT(snapshot, Binds(user, "ann")) << "bindings are independent from here on";
}

// F-L2: an application context that a fixture has prepared in a context of its own.
TEST(Apply, IsGoneWithTheContextItWasAppliedTo) {
  const ContextVar<Tracked> tracked("tracked");
  {
    Context snapshot;
    snapshot.run([&] { tracked.set(Tracked(1)); });
    const IsolatedContext isolated;
    apply(snapshot);
    EXPECT_EQ(Tracked::alive(), 1);
    snapshot = Context();
    EXPECT_EQ(tracked.get().value(), 1) << "the current context keeps it alive";
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// F-L2
TEST(Apply, TakesTheCurrentContextItself) {
  Context context = context_with("ann");
  context.run([&] {
    apply(context);
    EXPECT_EQ(user.get(), "ann");
    apply(copy_context());
  });
  EXPECT_THAT(context, AllOf(SizeIs(1), Binds(user, "ann")));
}

// F-L2: leaves of more than one node.
TEST(Apply, TakesWideContexts) {
  std::vector<std::unique_ptr<ContextVar<std::string>>> variables;
  for (int i = 0; i < 200; ++i) {
    variables.push_back(std::make_unique<ContextVar<std::string>>("v" + std::to_string(i)));
  }
  Context snapshot;
  snapshot.run([&] {
    for (const auto& variable : variables) {
      variable->set(std::string(variable->name()));
    }
  });
  const IsolatedContext isolated;
  apply(snapshot);
  EXPECT_EQ(copy_context(), snapshot);
  EXPECT_THAT(snapshot, SizeIs(200));
}

// Sets a variable in a snapshot, destroys it, and applies the snapshot after another variable got
// its slot.
template <typename T>
void expect_dead_variable_is_left_out(const T& old_value, const T& new_value) {
  const IsolatedContext isolated;
  Context snapshot;
  {
    const ContextVar<T> dead("dead");
    snapshot.run([&] { dead.set(old_value); });
  }
  const ContextVar<T> successor("successor");
  successor.set(new_value);
  apply(snapshot);
  EXPECT_THAT(successor, HasValue(new_value));
}

// F-L2
TEST(Apply, LeavesOutVariablesThatAreDestroyed) {
  expect_dead_variable_is_left_out<int>(1, 2);
  expect_dead_variable_is_left_out<std::string>("old", "new");
}

// Stands for a connection that is made once.
struct RedisClient {
  std::string uri;
};

const ContextVar<std::shared_ptr<RedisClient>> redis_client("redis_client");

// The pattern of the recipe //tools/recipes:fixture.
class AppContextTest : public testing::Test {
 protected:
  void SetUp() override {
    app_context.run(
        [] { redis_client.set(std::make_shared<RedisClient>(RedisClient{"redis://..."})); });
  }

  Context app_context;

 private:
  IsolatedContext context_;
};

// S3
TEST_F(AppContextTest, WhatAFixturePreparedInAContextOfItsOwnIsNotInTheTests) {
  EXPECT_THAT(copy_context(), Not(Binds(redis_client)));
  EXPECT_EQ((*app_context.find(redis_client))->uri, "redis://...");
}

// S3
TEST_F(AppContextTest, WhatAFixturePreparedIsAppliedVariableByVariable) {
  const Scope scope{user, "ann"};
  apply(app_context);
  EXPECT_THAT(copy_context(), Binds(redis_client, *app_context.find(redis_client)));
  EXPECT_THAT(user, HasValue("ann"));
}

}  // namespace
