// SPDX-License-Identifier: Apache-2.0
//
// What a context tells of the variables that are set in it, and of itself against another one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/support.h"

namespace {

using namespace taskctx;

// M32: iterating a context tells which variable each entry belongs to, whatever their names are.
TEST(ContextEntry, TellsWhichVariableItIs) {
  const ContextVar<int> number("same name");
  const ContextVar<int> other("same name");
  const ContextVar<std::string> text("same name");
  const Scope scope{number, 1, text, "ann"};
  std::set<std::uint64_t> ids;
  for (const ContextEntry& entry : taskctx::copy_context()) {
    EXPECT_NE(entry.is(number), entry.is(text));
    EXPECT_FALSE(entry.is(other));
    EXPECT_EQ(entry.variable_id(), entry.is(number) ? number.id() : text.id());
    ids.insert(entry.variable_id());
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAre(number.id(), text.id()));
}

// M32: a variable's number is there before it is set, is the same on all threads, and never used
// again.
TEST(ContextEntry, TheNumberOfAVariableIsItsOwn) {
  static const ContextVar<int> constant{"constant"};
  const std::uint64_t id = constant.id();
  std::thread([&] { EXPECT_EQ(constant.id(), id); }).join();
  std::set<std::uint64_t> ids{id};
  ContextEntry of_a_dead_one;
  for (int i = 0; i < 100; ++i) {
    const ContextVar<std::string> variable("variable");
    EXPECT_TRUE(ids.insert(variable.id()).second);
    const Scope scope{variable, "value"};
    EXPECT_FALSE(of_a_dead_one && of_a_dead_one.is(variable));
    of_a_dead_one = *taskctx::copy_context().begin();
    EXPECT_EQ(of_a_dead_one.variable_id(), variable.id());
  }
  EXPECT_TRUE(ids.contains(of_a_dead_one.variable_id()));
}

// M32: a codec, found by the variable, gets the typed value.
TEST(ContextEntry, ATableOfCodecsNeedsNoNames) {
  const ContextVar<int> number("number");
  const ContextVar<std::string> text("text");
  const ContextVar<std::unique_ptr<int>> secret("secret");
  using Codec = std::function<std::string(const ContextEntry&)>;
  const std::map<std::uint64_t, Codec> codecs{
      {number.id(), [&](const auto& entry) { return "n" + std::to_string(*entry.find(number)); }},
      {text.id(), [&](const auto& entry) { return "s" + *entry.find(text); }}};
  const Scope scope{number, 7, text, "ann", secret, std::make_unique<int>(1)};
  std::vector<std::string> encoded;
  for (const ContextEntry& entry : taskctx::copy_context()) {
    if (const auto codec = codecs.find(entry.variable_id()); codec != codecs.end()) {
      encoded.push_back(codec->second(entry));
    }
  }
  EXPECT_THAT(encoded, testing::UnorderedElementsAre("n7", "sann"));
}

// M32: who doesn't know the variable asks for the value by its type.
TEST(ContextEntry, TheValueIsThereAsWhatItIs) {
  const ContextVar<int> number("number");
  const ContextVar<std::string> text("text");
  const ContextVar<std::vector<int>> list("list");
  const Scope scope{number, 7, text, "ann", list, std::vector{1, 2}};
  std::map<std::string, std::string> seen;
  for (const ContextEntry& entry : taskctx::copy_context()) {
    EXPECT_EQ(entry.value_as<unsigned>(), nullptr);
    EXPECT_EQ(entry.value_as<int>() != nullptr, entry.is(number));
    std::ostringstream out;
    const bool is_known = entry.visit<int, std::string>([&](const auto& value) { out << value; });
    EXPECT_EQ(is_known, !entry.is(list));
    seen[std::string(entry.name())] = out.str();
  }
  EXPECT_THAT(seen, testing::ElementsAre(testing::Pair("list", ""), testing::Pair("number", "7"),
                                         testing::Pair("text", "ann")));
}

// Is compared with nothing. (In a box: what has the same bytes is equal anyway.)
struct Incomparable {
  std::string text;

  friend bool operator==(const Incomparable&, const Incomparable&) {
    throw std::runtime_error("compared");
  }
};

// M33: contexts in which different variables are set differ: no value is compared to find that out.
TEST(ContextComparison, ComparesValuesOnlyWhereTheSameVariablesAreSet) {
  const ContextVar<Incomparable> first("first");
  const ContextVar<int> second("second");
  const ContextVar<int> third("third");
  const auto with = [&](std::optional<int> a, std::optional<int> b) {
    Context context;
    context.run([&] {
      first.set({});
      if (a.has_value()) {
        second.set(*a);
      }
      if (b.has_value()) {
        third.set(*b);
      }
    });
    return context;
  };
  EXPECT_FALSE(with({}, {}) == with(1, {}));
  EXPECT_FALSE(with(1, {}) == with({}, {}));
  EXPECT_FALSE(with(1, {}) == with({}, 1));
  EXPECT_FALSE(with(1, {}) == Context());
  EXPECT_FALSE(Context() == with(1, {}));
  EXPECT_THROW((void)(with(1, 2) == with(1, 2)), std::runtime_error);
  const Context copied = with(1, 2);
  EXPECT_TRUE(copied == Context(copied));
}

// M34: the declared default can be read, whatever is set.
TEST(DeclaredDefault, CanBeReadWhateverIsSet) {
  static int computed = 0;
  const ContextVar<int> with("with", 3);
  const ContextVar<int> without("without");
  const ContextVar<std::string> lazy("lazy", {.default_factory = [] {
                                       ++computed;
                                       return std::string("made");
                                     }});
  const Scope scope{with, 5, without, 6, lazy, "set"};
  ASSERT_NE(with.declared_default(), nullptr);
  EXPECT_EQ(*with.declared_default(), 3);
  EXPECT_EQ(without.declared_default(), nullptr);
  EXPECT_EQ(computed, 0);
  ASSERT_NE(lazy.declared_default(), nullptr);
  EXPECT_EQ(*lazy.declared_default(), "made");
  EXPECT_EQ(lazy.declared_default(), lazy.declared_default());
  EXPECT_EQ(computed, 1);
}

// M34: what computing it throws comes out, and the next call tries again.
TEST(DeclaredDefault, ThatCannotBeComputedIsTriedAgain) {
  static bool fails = true;
  const ContextVar<std::string> lazy("lazy", {.default_factory = [] {
                                       if (fails) {
                                         throw std::runtime_error("not now");
                                       }
                                       return std::string("made");
                                     }});
  EXPECT_THROW((void)lazy.declared_default(), std::runtime_error);
  fails = false;
  EXPECT_EQ(*lazy.declared_default(), "made");
}

}  // namespace
