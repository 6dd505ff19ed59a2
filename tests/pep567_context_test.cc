// SPDX-License-Identifier: Apache-2.0
//
// PEP 567, claim by claim: contexts. Variables and tokens are in pep567_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/token.h"
#include "tests/pep567.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::HasSubstr;
using testing::UnorderedElementsAre;

// P14, F-B1
TEST_F(Pep567, CopiesHaveIndependentBindingsAndShareTheValues) {
  const ContextVar<std::string> variable("variable");
  const ContextVar<int> number("number");
  variable.set("original");
  const std::string* value = variable.find();

  Context snapshot = copy_context();
  EXPECT_EQ(snapshot.find(variable), value) << "the value itself is shared";
  variable.set("changed here");
  snapshot.run([&] { number.set(1); });

  EXPECT_EQ(*snapshot.find(variable), "original");
  EXPECT_EQ(number.find(), nullptr);
}

// P15, F-B5
TEST_F(Pep567, RunGivesTheResultAndPassesArgumentsAndExceptions) {
  Context context;
  EXPECT_EQ(context.run([](int a, int b) { return a + b; }, 1, 2), 3);
  int target = 0;
  int& reference = context.run([&]() -> int& { return target; });
  EXPECT_EQ(&reference, &target);
  const auto moved =
      context.run([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(4));
  EXPECT_EQ(*moved, 4);
  EXPECT_THROW(context.run([] { throw std::runtime_error("passes"); }), std::runtime_error);
}

// P15
TEST_F(Pep567, RunRestoresAndKeepsWhatWasWrittenBeforeAnException) {
  const ContextVar<int> variable("variable");
  variable.set(1);
  Context context;
  EXPECT_THROW(context.run([&] {
    variable.set(2);
    throw std::runtime_error("after the write");
  }),
               std::runtime_error);
  EXPECT_EQ(variable.get(), 1);
  ASSERT_NE(context.find(variable), nullptr);
  EXPECT_EQ(*context.find(variable), 2);
  EXPECT_NO_THROW(context.run([] {})) << "it was left properly";
}

// P16
TEST_F(Pep567, EnteringAnEnteredContextIsAnError) {
  Context context;
  context.run([&] {
    EXPECT_THROW(context.run([] {}), ContextError);
    EXPECT_THROW(context.enter(), ContextError);
    std::thread([&] { EXPECT_THROW(context.run([] {}), ContextError); }).join();
  });
  EXPECT_NO_THROW(context.run([] {}));
}

// P16
TEST_F(Pep567, CopiesAndOtherContextsNest) {
  const ContextVar<int> variable("variable");
  Context context;
  context.run([&] {
    variable.set(1);
    Context copy = context;
    copy.run([&] {
      EXPECT_EQ(variable.get(), 1);
      Context().run([&] { EXPECT_EQ(variable.find(), nullptr); });
      variable.set(2);
    });
    EXPECT_EQ(variable.get(), 1);
  });
}

// P17
TEST_F(Pep567, InsideRunLookingUpOnTheContextIsLive) {
  const ContextVar<std::string> variable("variable");
  Context context;
  context.run([&] {
    EXPECT_FALSE(context.contains(variable));
    for (const char* value : {"a", "b"}) {
      variable.set(value);
      ASSERT_TRUE(context.contains(variable));
      EXPECT_EQ(*context.find(variable), variable.get());
      // Also while a snapshot makes the context move to another node, and from within another
      // context.
      const Context snapshot = copy_context();
      variable.set("copied on write");
      EXPECT_EQ(*context.find(variable), "copied on write");
      EXPECT_EQ(context.size(), 1U);
      Context().run([&] { EXPECT_EQ(*context.find(variable), "copied on write"); });
    }
  });
}

// P18, F-B13
TEST_F(Pep567, ContextsCompareByContent) {
  const ContextVar<int> number("number");
  const ContextVar<std::string> text("text");
  const Context empty;
  Context a;
  Context b;
  EXPECT_EQ(a, b);
  a.run([&] {
    number.set(1);
    text.set("x");
  });
  EXPECT_NE(a, b);
  EXPECT_NE(b, a);
  b.run([&] {
    text.set("x");
    number.set(1);
  });
  EXPECT_EQ(a, b);
  b.run([&] { text.set("y"); });
  EXPECT_NE(a, b);
  a.run([&] {
    number.unset();
    text.unset();
  });
  EXPECT_EQ(a, empty);
}

// P18
TEST_F(Pep567, AnEnteredContextCannotBeAssignedFromOutside) {
  const ContextVar<int> variable("variable");
  Context context;
  context.run([&] {
    variable.set(1);
    EXPECT_THROW(context = Context(), ContextError);
    EXPECT_EQ(variable.get(), 1);
  });
  EXPECT_NO_THROW(context = Context());
  EXPECT_TRUE(context.empty());
}

// P19, F-B8
TEST_F(Pep567, IterationSizeAndContainsCoverWhatIsSet) {
  const ContextVar<int> number("number");
  const ContextVar<std::string> text("text", "default");
  const ContextVar<int> other("other");
  number.set(1);
  text.set("x");
  Token<int> token = other.set(2);
  EXPECT_THAT(names(copy_context()), UnorderedElementsAre("number", "text", "other"));
  EXPECT_EQ(copy_context().size(), 3U);

  other.reset(std::move(token));
  const Context context = copy_context();
  EXPECT_THAT(names(context), UnorderedElementsAre("number", "text"));
  EXPECT_EQ(context.size(), 2U);
  EXPECT_TRUE(context.contains(number));
  EXPECT_FALSE(context.contains(other));
}

// P21
TEST_F(Pep567, AReadCreatesNothingAndAWriteCreatesTheContext) {
  std::thread([] {
    const ContextVar<int> variable("variable", 1);
    EXPECT_EQ(variable.get(), 1);
    EXPECT_EQ(variable.find(), variable.find());
    EXPECT_TRUE(copy_context().empty());
    variable.set(2);
    EXPECT_EQ(copy_context().size(), 1U);
  }).join();
}

// P22
TEST_F(Pep567, AContextKeepsItsValuesAliveAndNoLonger) {
  const ContextVar<Tracked> variable("variable");
  ASSERT_EQ(Tracked::alive(), 0);
  std::optional<Context> snapshot;
  Context().run([&] {
    variable.set(Tracked(1));
    snapshot = copy_context();
    variable.set(Tracked(2));
    EXPECT_EQ(Tracked::alive(), 2);
  });
  EXPECT_EQ(Tracked::alive(), 1) << "the second value ended with its context";
  EXPECT_EQ(snapshot->find(variable)->value(), 1);
  {
    Context derived = *snapshot;
    snapshot.reset();
    EXPECT_EQ(Tracked::alive(), 1);
    derived.run([&] { variable.set(Tracked(3)); });
    EXPECT_EQ(Tracked::alive(), 1) << "no snapshot keeps an overridden value";
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// P22
TEST_F(Pep567, AThreadsValuesEndWithTheThread) {
  const ContextVar<Tracked> variable("variable");
  std::thread([&] {
    variable.set(Tracked(1));
    EXPECT_EQ(Tracked::alive(), 1);
  }).join();
  EXPECT_EQ(Tracked::alive(), 0);
}

// P24
TEST_F(Pep567, CodeThatIsCalledSharesItsCallersContext) {
  const ContextVar<int> variable("variable");
  const auto callee = [&] {
    EXPECT_EQ(variable.get(), 1);
    variable.set(2);
  };
  variable.set(1);
  callee();
  EXPECT_EQ(variable.get(), 2);
}

// P27
TEST_F(Pep567, LeavingAContextThatIsNotEnteredIsAnError) {
  Context context;
  try {
    context.leave();
    FAIL() << "no exception";
  } catch (const ContextError& error) {
    EXPECT_STREQ(error.what(), "cannot leave context: it is not entered");
  }
}

// P27
TEST_F(Pep567, LeavingAContextThatIsNotTheInnermostIsAnError) {
  const ContextVar<int> variable("variable");
  Context outer;
  Context inner;
  outer.enter();
  variable.set(1);
  inner.enter();
  EXPECT_THAT([&] { outer.leave(); },
              testing::ThrowsMessage<ContextError>(HasSubstr("not the innermost")));
  std::thread([&] { EXPECT_THROW(inner.leave(), ContextError); }).join();
  EXPECT_EQ(variable.find(), nullptr) << "nothing has changed: inner is still current";
  inner.leave();
  EXPECT_EQ(variable.get(), 1);
  outer.leave();
  EXPECT_EQ(variable.find(), nullptr);
}

}  // namespace
