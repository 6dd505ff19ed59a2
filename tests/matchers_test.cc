// SPDX-License-Identifier: Apache-2.0
//
// gMock's matchers for variables and contexts, and what they say.

#include "taskctx/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/scope.h"
#include "tests/user_and_retries.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using namespace taskctx::gtest;
using testing::AllOf;
using testing::Gt;
using testing::HasSubstr;
using testing::Not;
using testing::Pointee;

TEST(Matchers, HasValueTakesWhatGetGives) {
  EXPECT_THAT(retries, HasValue(3)) << "the default";
  EXPECT_THAT(retries, HasValue(Gt(2)));
  EXPECT_THAT(user, Not(HasValue("ann")));
  const Scope scope{user, "ann", retries, 5};
  EXPECT_THAT(user, HasValue("ann"));
  EXPECT_THAT(user, AllOf(HasValue(HasSubstr("n")), Not(HasValue("bob")), Not(IsUnset())));
  EXPECT_THAT(retries, HasValue(5));
  EXPECT_THAT(&user, Pointee(HasValue("ann")));
  const ContextVar<std::unique_ptr<int>> pointer("pointer");
  const Scope move_only{pointer, std::make_unique<int>(7)};
  EXPECT_THAT(pointer, HasValue(Pointee(7)));
}

TEST(Matchers, HasValueNamesTheVariableAndItsValue) {
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(user, HasValue("ann")),
                          "Expected: has a value that is equal to \"ann\"\n  Actual: context "
                          "variable 'user', which is not set and has no default");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(retries, Not(HasValue(Gt(2)))),
                          "Expected: has no value that is > 2\n  Actual: context variable "
                          "'retries', whose value is 3");
  const Scope scope{user, "bob"};
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(user, HasValue("ann")),
                          "Actual: context variable 'user', whose value is \"bob\"");
}

TEST(Matchers, IsUnsetIgnoresDefaultsAndTellsTheValue) {
  EXPECT_THAT(retries, IsUnset());
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(retries, Not(IsUnset())),
                          "Expected: is set\n  Actual: context variable 'retries'");
  const Scope scope{retries, 5};
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(retries, IsUnset()),
                          "Expected: is not set\n  Actual: context variable 'retries', which is "
                          "set to 5");
}

TEST(Matchers, BindsLooksIntoAContextWithoutDefaults) {
  const Context context = context_with("ann");
  EXPECT_THAT(context, AllOf(Binds(user), Binds(user, "ann"), Binds(user, HasSubstr("an"))));
  EXPECT_THAT(context, Not(Binds(retries)));
  EXPECT_THAT(std::optional<Context>(context), testing::Optional(Binds(user)));
}

TEST(Matchers, BindsNamesTheVariableAndItsValue) {
  const Context context = context_with("ann");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(context, Binds(user, "bob")),
                          "Expected: binds 'user' to a value that is equal to \"bob\"\n  Actual: "
                          "{user=\"ann\"}");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(context, Binds(user, "bob")), ", where 'user' is \"ann\"");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(context, Not(Binds(user, "ann"))),
                          "Expected: does not bind 'user' to a value that is equal to \"ann\"");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(context, Binds(retries, 3)), ", where 'retries' is not set");
}

TEST(Matchers, PassOnWhatAnInnerMatcherSays) {
  const ContextVar<std::unique_ptr<int>> pointer("pointer");
  const Scope scope{pointer, std::make_unique<int>(7)};
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(pointer, HasValue(Pointee(8))), ", which points to 7");
  EXPECT_NONFATAL_FAILURE(EXPECT_THAT(copy_context(), Binds(pointer, Pointee(8))),
                          ", which points to 7");
}

TEST(Matchers, ContextsPrintWhatIsSet) {
  EXPECT_EQ(testing::PrintToString(Context()), "{}");
  const Scope scope{user, "ann", retries, 5};
  EXPECT_THAT(testing::PrintToString(copy_context()),
              testing::AnyOf("{user=\"ann\", retries=5}", "{retries=5, user=\"ann\"}"));
}

}  // namespace
