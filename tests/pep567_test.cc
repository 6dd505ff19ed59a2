// SPDX-License-Identifier: Apache-2.0
//
// PEP 567, claim by claim, with the public headers only: variables and tokens. Contexts are in
// pep567_context_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/pep567.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// Returns the kind of the TokenError that `function` throws.
template <typename F>
std::optional<TokenError::Kind> token_error(F&& function) {
  try {
    std::forward<F>(function)();
  } catch (const TokenError& error) {
    return error.kind();
  }
  return std::nullopt;
}

// P1, F-A4, F-A5
TEST_F(Pep567, GetPrefersTheValueThenTheCallSiteDefaultThenTheDeclaredDefault) {
  const ContextVar<int> with_default("with_default", 1);
  const ContextVar<std::string> without_default("without_default");

  EXPECT_EQ(with_default.get(), 1);
  EXPECT_EQ(with_default.get(2), 2);
  EXPECT_EQ(*with_default.find(), 1);
  EXPECT_EQ(without_default.get("call site"), "call site");
  EXPECT_EQ(without_default.find(), nullptr);
  EXPECT_THROW((void)without_default.get(), LookupError);

  with_default.set(3);
  without_default.set("set");
  EXPECT_EQ(with_default.get(), 3);
  EXPECT_EQ(without_default.get(), "set");
}

// P1
TEST_F(Pep567, LookupErrorNamesTheVariable) {
  const ContextVar<int> variable("retries");
  try {
    (void)variable.get();
    FAIL() << "no exception";
  } catch (const LookupError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot get variable 'retries': it is not set here and has no default");
  }
}

// P2
TEST_F(Pep567, GetWithDefaultGivesTheValueThatIsSet) {
  const ContextVar<int> variable("variable");
  variable.set(5);
  EXPECT_EQ(variable.get(7), 5);
}

// P3, F-A7
TEST_F(Pep567, AnEmptyValueIsAValue) {
  const ContextVar<const char*> pointer("pointer", "default");
  const ContextVar<std::string> text("text", "default");
  const ContextVar<int> number("number", 1);
  const ContextVar<std::optional<int>> maybe("maybe", 1);

  pointer.set(nullptr);
  text.set("");
  number.set(0);
  maybe.set(std::nullopt);

  EXPECT_EQ(pointer.get(), nullptr);
  EXPECT_EQ(text.get(), "");
  EXPECT_EQ(number.get(), 0);
  EXPECT_EQ(maybe.get(), std::nullopt);
  const Context context = copy_context();
  EXPECT_TRUE(context.contains(pointer));
  EXPECT_TRUE(context.contains(text));
  EXPECT_TRUE(context.contains(number));
  EXPECT_TRUE(context.contains(maybe));
}

// P4
TEST_F(Pep567, ADeclaredDefaultIsInNoContext) {
  const ContextVar<int> variable("variable", 1);
  EXPECT_EQ(variable.get(), 1);

  const Context context = copy_context();
  EXPECT_EQ(context.size(), 0U);
  EXPECT_TRUE(context.empty());
  EXPECT_FALSE(context.contains(variable));
  EXPECT_EQ(context.find(variable), nullptr);
  EXPECT_THAT(names(context), testing::IsEmpty());
}

// P6, F-A1, F-J1
TEST_F(Pep567, VariablesOfOneNameAreDistinct) {
  const ContextVar<int> a("same");
  const ContextVar<int> b("same");
  a.set(1);
  EXPECT_EQ(b.find(), nullptr);
  b.set(2);
  EXPECT_EQ(a.get(), 1);
  EXPECT_EQ(b.get(), 2);
  EXPECT_EQ(a.name(), b.name());
  EXPECT_EQ(copy_context().size(), 2U);
}

// P6
TEST_F(Pep567, TheNameIsTheVariablesOwnCopy) {
  std::string name = "request_id";
  const ContextVar<int> variable(name);
  name = "something else";
  EXPECT_EQ(variable.name(), "request_id");
}

// P7, F-C1
TEST_F(Pep567, ATokenKnowsItsVariableAndTheOldValue) {
  const ContextVar<std::string> variable("variable", "default");
  const Token<std::string> first = variable.set("a");
  EXPECT_EQ(&first.var(), &variable);
  EXPECT_EQ(first.old_value(), nullptr) << "the declared default is no old value";

  const Token<std::string> second = variable.set("b");
  ASSERT_NE(second.old_value(), nullptr);
  EXPECT_EQ(*second.old_value(), "a");

  static_assert(!std::is_default_constructible_v<Token<int>>);
  static_assert(!std::is_copy_constructible_v<Token<int>>);
  static_assert(std::is_nothrow_move_constructible_v<Token<int>>);
}

// P8, F-C6
TEST_F(Pep567, ResetRestoresTheOldValueOrRemovesTheVariable) {
  const ContextVar<int> variable("variable", 1);
  Token<int> first = variable.set(2);
  Token<int> second = variable.set(3);
  variable.reset(std::move(second));
  EXPECT_EQ(variable.get(), 2);
  variable.reset(std::move(first));
  EXPECT_EQ(variable.get(), 1) << "the default applies again";
  EXPECT_FALSE(copy_context().contains(variable));
}

// P9
TEST_F(Pep567, MisuseOfResetIsCheckedInTheOrderUsedOtherVariableOtherContext) {
  const ContextVar<int> variable("variable");
  const ContextVar<int> other("other");
  Token<int> used = variable.set(1);
  variable.reset(std::move(used));
  Token<int> fresh = variable.set(2);

  Context elsewhere;
  elsewhere.run([&] {
    EXPECT_EQ(token_error([&] { other.reset(std::move(used)); }), TokenError::Kind::used);
    EXPECT_EQ(token_error([&] { other.reset(std::move(fresh)); }),
              TokenError::Kind::other_variable);
    EXPECT_EQ(token_error([&] { variable.reset(std::move(fresh)); }),
              TokenError::Kind::other_context);
  });
}

// P9
TEST_F(Pep567, TokenErrorsNameVariableAndReason) {
  const ContextVar<int> variable("retries");
  Token<int> token = variable.set(1);
  variable.reset(std::move(token));
  try {
    variable.reset(std::move(token));
    FAIL() << "no exception";
  } catch (const TokenError& error) {
    EXPECT_STREQ(error.what(), "cannot reset variable 'retries': the token has been used already");
  }
}

// P9
TEST_F(Pep567, ATokenOfADeadVariableIsNotTakenForItsSuccessors) {
  std::optional<ContextVar<int>> variable;
  variable.emplace("first");
  Token<int> token = variable->set(1);
  variable.emplace("second");  // At the same address.
  variable->set(2);
  EXPECT_EQ(token_error([&] { variable->reset(std::move(token)); }),
            TokenError::Kind::other_variable);
  EXPECT_EQ(variable->get(), 2);
}

// P10
TEST_F(Pep567, AFailedResetChangesNothingAndDoesNotUseUpTheToken) {
  const ContextVar<std::string> variable("variable");
  const ContextVar<std::string> other("other");
  other.set("untouched");
  variable.set("old");
  Token<std::string> token = variable.set("new");

  EXPECT_THROW(other.reset(std::move(token)), TokenError);
  Context().run([&] { EXPECT_THROW(variable.reset(std::move(token)), TokenError); });

  EXPECT_FALSE(token.used());
  EXPECT_EQ(variable.get(), "new");
  EXPECT_EQ(other.get(), "untouched");
  variable.reset(std::move(token));
  EXPECT_EQ(variable.get(), "old");
}

// P11
TEST_F(Pep567, ATokensContextIsMatchedByIdentity) {
  const ContextVar<int> variable("variable");
  Context context;
  std::optional<Token<int>> token;
  context.run([&] { token.emplace(variable.set(1)); });

  Context copy = context;
  copy.run([&] {
    EXPECT_EQ(variable.get(), 1);
    EXPECT_EQ(token_error([&] { variable.reset(std::move(*token)); }),
              TokenError::Kind::other_context);
  });
  context.run([&] {
    EXPECT_EQ(variable.get(), 1);
    EXPECT_NO_THROW(variable.reset(std::move(*token))) << "the same context, entered again";
    EXPECT_EQ(variable.find(), nullptr);
  });
}

// P11
TEST_F(Pep567, AMovedContextKeepsItsIdentity) {
  const ContextVar<int> variable("variable");
  Context context;
  std::optional<Token<int>> token;
  context.run([&] { token.emplace(variable.set(1)); });
  Context moved = std::move(context);
  moved.run([&] { EXPECT_NO_THROW(variable.reset(std::move(*token))); });
}

// P12
TEST_F(Pep567, ResetsOutOfOrderAreBlind) {
  const ContextVar<int> variable("variable");
  Token<int> first = variable.set(1);
  Token<int> second = variable.set(2);
  variable.reset(std::move(first));
  EXPECT_EQ(variable.find(), nullptr);
  variable.reset(std::move(second));
  EXPECT_EQ(variable.get(), 1);
}

// P13
TEST_F(Pep567, ATokenCanBeAScope) {
  const ContextVar<int> variable("variable");
  variable.set(1);
  {
    const Scope scope{variable.set(2)};
    variable.set(3);
    EXPECT_EQ(variable.get(), 3);
  }
  EXPECT_EQ(variable.get(), 1);
}

// P13
TEST_F(Pep567, AScopeRestoresWhenAnExceptionPassesAndDoesNotSwallowIt) {
  const ContextVar<int> variable("variable");
  variable.set(1);
  EXPECT_THROW(
      {
        const Scope scope{variable.set(2)};
        throw std::runtime_error("passes");
      },
      std::runtime_error);
  EXPECT_EQ(variable.get(), 1);
}

// P22
TEST_F(Pep567, ATokenKeepsItsOldValueAlive) {
  const ContextVar<Tracked> variable("variable");
  {
    variable.set(Tracked(1));
    const Token<Tracked> token = variable.set(Tracked(2));
    EXPECT_EQ(Tracked::alive(), 2);
    EXPECT_EQ(token.old_value()->value(), 1);
  }
  EXPECT_EQ(Tracked::alive(), 1);
  variable.unset();
  EXPECT_EQ(Tracked::alive(), 0);
}

}  // namespace
