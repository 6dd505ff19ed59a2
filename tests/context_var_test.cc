// SPDX-License-Identifier: Apache-2.0
//
// What a ContextVar can hold, and how long it and its values live.

#include "taskctx/context_var.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// Constant-initialised: the compiler says so. Used before main by BeforeMain below, and after it.
constinit ContextVar<int> early_number{"early_number", 3};
constinit ContextVar<std::string> early_text{"early_text"};

// Sets variables before main, in the main thread's own context.
struct BeforeMain {
  BeforeMain() {
    seen_default = early_number.get();
    early_number.set(4);
    early_text.set("set before main");
  }
  int seen_default = 0;
};
const BeforeMain before_main;

// F-A4, F-A9, V1
TEST(ContextVarLifetime, AVariableIsUsableBeforeMain) {
  EXPECT_EQ(before_main.seen_default, 3);
  EXPECT_EQ(early_number.get(), 4);
  EXPECT_EQ(early_text.get(), "set before main");
}

// Is destroyed after main's thread has ended its own context; the exit code tells what it saw.
struct AfterMain {
  ~AfterMain() {
    if (early_number.get() != 3 || early_text.find() != nullptr) {
      std::_Exit(2);
    }
    const Scope scope{early_number, 5, early_text, "again"};
    std::_Exit(early_number.get() == 5 && early_text.get() == "again" ? 42 : 3);
  }
};

// V1
TEST(ContextVarLifetimeDeathTest, AVariableIsUsableWhileStaticObjectsAreDestroyed) {
  EXPECT_EXIT(
      {
        static const AfterMain after_main;
        std::exit(0);
      },
      testing::ExitedWithCode(42), "");
}

// V3
TEST(ContextVarLifetime, OutsideAnyTaskStateIsPerThreadAndStartsEmpty) {
  const ContextVar<int> variable("variable");
  const Token<int> token = variable.set(1);
  std::thread([&] {
    EXPECT_TRUE(copy_context().empty());
    EXPECT_EQ(variable.find(), nullptr);
    variable.set(2);
    EXPECT_EQ(variable.get(), 2);
  }).join();
  EXPECT_EQ(variable.get(), 1);
  variable.unset();
}

// F-A9
TEST(ContextVarLifetime, ALaterVariableNeverSeesADeadOnesValue) {
  Context context;
  context.run([] {
    for (int i = 0; i < 1000; ++i) {  // All in one slot, in a context that keeps what they leave.
      const ContextVar<int> number("number");
      const ContextVar<std::string> text("text");
      ASSERT_EQ(number.find(), nullptr);
      ASSERT_EQ(text.find(), nullptr);
      number.set(i);
      text.set(std::to_string(i));
      ASSERT_EQ(number.get(), i);
      ASSERT_EQ(text.get(), std::to_string(i));
    }
  });
}

// F-A9
TEST(ContextVarLifetime, ValuesOutliveTheirVariableUntilTheContextEnds) {
  ASSERT_EQ(Tracked::alive(), 0);
  {
    Context context;
    {
      const ContextVar<Tracked> boxed("boxed");
      const ContextVar<int> inlined("inlined");
      context.run([&] {
        boxed.set(Tracked(1));
        inlined.set(2);
      });
      EXPECT_EQ(context.size(), 2U);
    }
    EXPECT_EQ(Tracked::alive(), 1);
    // The value in the box still has its name. A small value has no destructor to wait for: it is
    // gone.
    ASSERT_EQ(context.size(), 1U);
    EXPECT_EQ(context.begin()->name(), "boxed");
    EXPECT_EQ(context, Context(context));
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// F-A9
TEST(ContextVarLifetime, AMillionVariablesComeAndGoInOneSlot) {
  Context context;
  context.run([] {
    for (int i = 0; i < 1'000'000; ++i) {
      const ContextVar<int> variable("variable");
      const Scope scope{variable, i};
      ASSERT_EQ(variable.get(), i);
    }
    ASSERT_EQ(copy_context().size(), 0U);
  });
}

// F-A2, F-A3
TEST(ContextVarValues, MoveOnlyValuesWork) {
  const ContextVar<std::unique_ptr<int>> variable("variable");
  const Scope scope{variable, std::make_unique<int>(5)};
  EXPECT_EQ(*variable.get(), 5);
  Context snapshot = copy_context();
  const Scope inner{variable, std::make_unique<int>(6)};
  EXPECT_EQ(*variable.get(), 6);
  snapshot.run([&] { EXPECT_EQ(*variable.get(), 5); });
}

struct NoDefault {
  explicit NoDefault(int initial) : value(initial) {}
  int value;
};

// F-A2
TEST(ContextVarValues, ValuesNeedNoDefaultConstructor) {
  const ContextVar<NoDefault> inlined("inlined");
  const ContextVar<std::vector<NoDefault>> boxed("boxed");
  const Scope scope{inlined, NoDefault(1), boxed, std::vector<NoDefault>(3, NoDefault(2))};
  EXPECT_EQ(inlined.get().value, 1);
  EXPECT_EQ(boxed.get().at(2).value, 2);
}

struct alignas(128) OverAligned {
  char byte = 0;
};

// F-A2
TEST(ContextVarValues, OverAlignedValuesAreAligned) {
  static const ContextVar<OverAligned> variable("variable");  // Static: over-aligned itself.
  for (char i = 0; i < 10; ++i) {
    const Scope scope{variable, OverAligned{i}};
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(variable.find()) % 128, 0U);
    EXPECT_EQ(variable.get().byte, i);
  }
}

// Throws when it is moved or copied while `armed`.
struct Throwing {
  explicit Throwing(int initial) : value(initial) {}
  Throwing(const Throwing& other) : value(other.value) { maybe_throw(); }
  Throwing(Throwing&& other) : value(other.value) { maybe_throw(); }
  Throwing& operator=(const Throwing&) = delete;
  Throwing& operator=(Throwing&&) = delete;
  ~Throwing() = default;
  static void maybe_throw() {
    if (armed) {
      throw std::runtime_error("copy");
    }
  }
  static inline bool armed = false;
  int value;
};

// F-A2
TEST(ContextVarValues, AValueThatThrowsOnCopyLeavesTheContextAsItWas) {
  const ContextVar<Throwing> variable("variable");
  const ContextVar<int> number("number");
  const Scope scope{variable, Throwing(1)};
  Throwing::armed = true;
  EXPECT_THROW(variable.set(Throwing(2)), std::runtime_error);
  EXPECT_THROW(([&] { const Scope both{number, 1, variable, Throwing(3)}; }()), std::runtime_error);
  Throwing::armed = false;
  EXPECT_EQ(variable.get().value, 1);
  EXPECT_EQ(number.find(), nullptr) << "a scope sets all of its variables, or none";
}

// P18: std::vector<NoDefault> declares an operator== that does not compile.
TEST(ContextVarValues, ValuesWithoutEqualityCompareByIdentity) {
  const ContextVar<std::vector<NoDefault>> variable("variable");
  const ContextVar<std::pair<std::string, NoDefault>> pair("pair");
  Context a;
  a.run([&] {
    variable.set(std::vector<NoDefault>(1, NoDefault(1)));
    pair.set({"x", NoDefault(1)});
  });
  Context b = a;
  EXPECT_EQ(a, b);
  b.run([&] { variable.set(std::vector<NoDefault>(1, NoDefault(1))); });
  EXPECT_NE(a, b);
}

// F-A7
TEST(ContextVarValues, UnsetIsNotNull) {
  const ContextVar<int*> variable("variable");
  EXPECT_EQ(variable.find(), nullptr);
  const Scope scope{variable, nullptr};
  ASSERT_NE(variable.find(), nullptr);
  EXPECT_EQ(*variable.find(), nullptr);
}

// F-A2
TEST(ContextVarValues, AVariableCanBeSetToItsOwnValue) {
  const ContextVar<std::string> variable("variable");
  const Scope scope{variable, std::string(100, 'x')};
  for (int i = 0; i < 3; ++i) {
    variable.set(variable.get());
    EXPECT_EQ(variable.get(), std::string(100, 'x'));
  }
}

// P22: a reference stays good while other variables are set and snapshots are taken.
TEST(ContextVarValues, AReferenceIsValidUntilItsOwnBindingIsReplaced) {
  const ContextVar<std::string> variable("variable");
  const ContextVar<int> other("other");
  const Scope scope{variable, "value"};
  const std::string& reference = variable.get();
  const Context snapshot = copy_context();
  other.set(1);
  std::vector<std::unique_ptr<ContextVar<int>>> more;
  for (int i = 0; i < 100; ++i) {  // Makes the node grow several times.
    more.push_back(std::make_unique<ContextVar<int>>("more"));
    more.back()->set(i);
  }
  EXPECT_EQ(reference, "value");
  EXPECT_EQ(&reference, variable.find());
  for (const auto& each : more) {
    each->unset();
  }
  other.unset();
}

}  // namespace
