// SPDX-License-Identifier: Apache-2.0
//
// Values whose copies, moves, comparisons and destructors use the library themselves.

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace {

using namespace taskctx;

// A value whose destructor uses the library, on the same variable.
struct SetsOnDestruction {
  explicit SetsOnDestruction(const ContextVar<std::shared_ptr<SetsOnDestruction>>* to_set)
      : variable(to_set) {}
  SetsOnDestruction(const SetsOnDestruction&) = delete;
  SetsOnDestruction& operator=(const SetsOnDestruction&) = delete;
  ~SetsOnDestruction() {
    if (variable != nullptr) {
      variable->set(std::make_shared<SetsOnDestruction>(nullptr));
    }
  }
  const ContextVar<std::shared_ptr<SetsOnDestruction>>* variable;
};

// P8: as in CPython's test of re-entrant finalizers.
TEST(ContextVarReentrancy, ADestructorThatSetsTheVariableDuringResetWins) {
  const ContextVar<std::shared_ptr<SetsOnDestruction>> variable("variable");
  auto token = variable.set(std::make_shared<SetsOnDestruction>(&variable));
  variable.reset(std::move(token));
  ASSERT_NE(variable.find(), nullptr);
  EXPECT_EQ(variable.get()->variable, nullptr);
  variable.unset();
}

// Uses the library in each copy, move and destruction: it reads, writes, takes snapshots and
// scopes.
struct Meddlesome {
  Meddlesome(const ContextVar<Meddlesome>* own_variable, const ContextVar<std::string>* other)
      : own(own_variable), text(other) {}
  Meddlesome(const Meddlesome& from) : own(from.own), text(from.text) { meddle(); }
  Meddlesome(Meddlesome&& from) : own(from.own), text(from.text) { meddle(); }
  Meddlesome& operator=(const Meddlesome&) = delete;
  Meddlesome& operator=(Meddlesome&&) = delete;
  ~Meddlesome() { meddle(); }

  void meddle() const {
    if (depth == 0) {
      ++depth;
      {
        const Context snapshot = copy_context();
        const Scope scope{*own, Meddlesome(own, text), *text, "in a scope"};
        own->set(Meddlesome(own, text));
        EXPECT_EQ(snapshot.contains(*own), snapshot.find(*own) != nullptr);
      }
      text->set(std::to_string(++times));
      --depth;
    }
  }

  static inline int depth = 0;
  static inline int times = 0;
  const ContextVar<Meddlesome>* own;
  const ContextVar<std::string>* text;
};

// P8, P18, P22: at any time, values may use the variable that they are set to, or taken from.
TEST(ContextVarReentrancy, CopiesMovesAndDestructorsMayUseTheirOwnVariable) {
  const ContextVar<Meddlesome> variable("variable");
  const ContextVar<std::string> text("text");
  auto expect_meddled = [seen = 0](const char* when) mutable {
    EXPECT_GT(Meddlesome::times, seen) << when;
    seen = Meddlesome::times;
  };
  std::optional<Context> context(std::in_place);
  context->run([&] {
    auto first = variable.set(Meddlesome(&variable, &text));
    expect_meddled("set");
    auto second = variable.set(variable.get());
    expect_meddled("set again");
    EXPECT_EQ(text.get(), std::to_string(Meddlesome::times));
    variable.reset(std::move(second));
    expect_meddled("reset");
    {
      const Scope scope{variable, Meddlesome(&variable, &text)};
      const Context snapshot = copy_context();
    }
    expect_meddled("scope");
    variable.unset();
    expect_meddled("unset");
    EXPECT_EQ(text.get(), std::to_string(Meddlesome::times));
    variable.reset(std::move(first));
    variable.set(Meddlesome(&variable, &text));
  });
  expect_meddled("the end of tokens");
  context.reset();
  expect_meddled("the end of a context");
  EXPECT_EQ(text.get(), std::to_string(Meddlesome::times)) << "set here, by the last destructor";
  std::thread([&] { variable.set(Meddlesome(&variable, &text)); }).join();
  expect_meddled("the end of a thread");
  variable.unset();
  text.unset();
}

// A value whose operator== changes the context that is being compared.
struct SetsOnComparison {
  const ContextVar<int>* to_set;
  std::string make_it_boxed;
  friend bool operator==(const SetsOnComparison& a, const SetsOnComparison& /*b*/) {
    for (int i = 0; i < 100; ++i) {
      a.to_set->set(i);
    }
    return true;
  }
};

// P18: as in CPython's gh-142829.
TEST(ContextVarReentrancy, ComparingMayChangeTheContextsThatAreCompared) {
  const ContextVar<SetsOnComparison> variable("variable");
  const ContextVar<int> other("other");
  Context a;
  a.run([&] { variable.set({&other, "a"}); });
  Context b;
  b.run([&] { variable.set({&other, "b"}); });
  EXPECT_TRUE(a.run([&] { return a == b; }));
  EXPECT_NE(a, b) << "now `other` is set in a";
}

// P19: an iteration is not disturbed by what happens meanwhile.
TEST(ContextVarReentrancy, AContextMayChangeWhileItIsIterated) {
  Context context;
  context.run([&] {
    const ContextVar<int> a("a");
    const ContextVar<int> b("b");
    std::optional<ContextVar<int>> c("c");
    a.set(1);
    b.set(2);
    c->set(3);
    std::size_t count = 0;
    for (const auto& entry : context) {
      const std::string name(entry.name());
      a.set(4);
      b.unset();
      c.reset();
      EXPECT_EQ(entry.name(), name);
      ++count;
    }
    EXPECT_GE(count, 2U);
    EXPECT_EQ(context.size(), 1U);
  });
}

}  // namespace
