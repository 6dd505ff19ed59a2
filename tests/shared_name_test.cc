// SPDX-License-Identifier: Apache-2.0
//
// Variables that are one because their names are. (For those of several modules see plugins_test.)

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const SharedName kName("com.example.number");

// V12
TEST(SharedNames, MakeOneVariableOfManyAndEachKeepsItsDefault) {
  const ContextVar<int> one(kName, 1);
  const ContextVar<int> two(kName, {.default_value = 2});
  const ContextVar<int> three(kName);
  const ContextVar<int> other("com.example.number", 4);  // Not one of them.
  EXPECT_EQ(one.get(), 1);
  EXPECT_EQ(two.get(), 2);
  EXPECT_THROW((void)three.get(), taskctx::LookupError);
  const Scope scope{two, 7};
  EXPECT_EQ(one.get(), 7);
  EXPECT_EQ(three.get(), 7);
  EXPECT_EQ(three.get(-1), 7);
  EXPECT_EQ(other.get(), 4);
  EXPECT_EQ(copy_context().size(), 1U);
  EXPECT_EQ(copy_context().begin()->name(), "com.example.number");
  EXPECT_NE(copy_context().begin()->find(three), nullptr);
  EXPECT_TRUE(copy_context().without(one).empty());
}

// V12
TEST(SharedNames, OneVariablesTokensAreTheOthers) {
  const ContextVar<int> one(kName, 1);
  const ContextVar<int> two(kName, 2);
  auto token = one.set(7);
  EXPECT_EQ(two.check(token), std::nullopt);
  two.reset(std::move(token));
  EXPECT_EQ(one.get(), 1);
  Context context;
  auto inside = context.run([&] { return two.set(8); });
  EXPECT_EQ(one.check(inside), taskctx::TokenError::Kind::other_context);
}

// V12
TEST(SharedNames, LastAsLongAsAnyVariable) {
  const SharedName name("com.example.tracked");
  Context context;
  {
    const ContextVar<Tracked> one(name);
    auto two = std::make_unique<ContextVar<Tracked>>(name);
    context.run([&] { two->set(Tracked(7)); });
    two.reset();
    EXPECT_EQ(context.find(one)->value(), 7);
    const ContextVar<Tracked> three(name);
    EXPECT_EQ(context.find(three)->value(), 7);
  }
  const ContextVar<Tracked> later(name);  // Another variable: nobody is left of those.
  EXPECT_EQ(context.find(later), nullptr);
  context = Context();
  EXPECT_EQ(Tracked::alive(), 0);
}

// V12: also where the first one is gone.
TEST(SharedNames, TheFirstVariablesPolicyHoldsForAll) {
  auto one = std::make_unique<ContextVar<int>>(
      kName, taskctx::ContextVarOptions<int>{.policy = taskctx::policy::never});
  const ContextVar<int> two(kName);
  one.reset();
  const Scope scope{two, 7};
  EXPECT_EQ(bind([&] { return two.get(-1); })(), -1);
}

template <typename F>
std::string error_of(F f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

// V12
TEST(SharedNames, ForAnotherTypeAreRefusedAtEachUse) {
  std::optional<ContextVar<int>> first(kName);
  const ContextVar<std::string> text(kName, "default");
  const std::string error = error_of([&] { text.set("text"); });
  EXPECT_EQ(error.find("cannot use variable 'com.example.number': its type is 'std::"), 0U)
      << error;
  EXPECT_NE(error.find("have the type 'int'"), std::string::npos) << error;
  EXPECT_EQ(error_of([&] { text.unset(); }), error);
  EXPECT_EQ(error_of([&] { (void)text.get(); }), error);
  EXPECT_EQ(error_of([&] { (void)text.get("otherwise"); }), error);
  EXPECT_EQ(error_of([&] { const Scope scope{text, "text"}; }), error);
  EXPECT_EQ(text.find(), nullptr);
  const Scope scope{*first, 1};
  EXPECT_EQ(copy_context().find(text), nullptr);
  EXPECT_FALSE(copy_context().contains(text));
  EXPECT_EQ(copy_context().only(text).size(), 0U);
  EXPECT_EQ(copy_context().without(text).size(), 1U);
  EXPECT_EQ(text.name(), "com.example.number");
}

// V12: and stay so, as code that has seen an error goes on seeing it.
TEST(SharedNames, ThatWereRefusedStayRefused) {
  std::optional<ContextVar<int>> first(kName);
  const ContextVar<long> refused(kName);
  first.reset();
  EXPECT_NE(error_of([&] { refused.set(1); }), "no error");
  const ContextVar<long> fresh(kName);
  const Scope scope{fresh, 7L};
  EXPECT_EQ(fresh.get(), 7);
}

struct Unnamed {
  int value = 0;
};

// V12: another module may mean another type by the same name.
TEST(SharedNames, OfUnnamedTypesWorkWithinOneModule) {
  const ContextVar<Unnamed> one(SharedName("com.example.unnamed"));
  const ContextVar<Unnamed> two(SharedName("com.example.unnamed"));
  const Scope scope{one, Unnamed{7}};
  EXPECT_EQ(two.get().value, 7);
}

}  // namespace
