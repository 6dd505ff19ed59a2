// SPDX-License-Identifier: Apache-2.0
//
// Snapshots as values: printed, compared, combined, cut down, entered for a block.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

enum class Color : std::uint8_t { red, green };
struct Point {
  int x;
  int y;
};
std::ostream& operator<<(std::ostream& out, const Point& point) {
  return out << point.x << '/' << point.y;
}
struct Opaque {};

std::string text_of(const Context& context) {
  std::ostringstream text;
  text << context;
  return text.str();
}

// Describes a difference as "name: before -> after".
std::vector<std::string> texts_of(const std::vector<ContextChange>& changes) {
  std::vector<std::string> texts;
  for (const ContextChange& change : changes) {
    texts.push_back(std::string(change.name()) + ": " +
                    (change.before ? change.before.value() : "-") + " -> " +
                    (change.after ? change.after.value() : "-"));
  }
  return texts;
}

// F-B8, F-J1, F-J2: names and values for people, whatever the type.
TEST(Snapshot, PrintsNamesAndValues) {
  EXPECT_EQ(text_of(Context()), "{}");
  const ContextVar<std::string> user("user");
  const ContextVar<int> retries("retries");
  const ContextVar<bool> verbose("verbose");
  const ContextVar<signed char> level("level");
  const ContextVar<Color> color("color");
  const ContextVar<Point> point("point");
  const ContextVar<Opaque> opaque("opaque");
  const ContextVar<const char*> literal("literal");
  Context context;
  const ContextScope inside(context);
  user.set("an \"n\"");
  retries.set(3);
  verbose.set(true);
  level.set(7);
  color.set(Color::green);
  point.set({1, 2});
  opaque.set({});
  literal.set("text");
  EXPECT_EQ(text_of(copy_context()),
            "{user=\"an \\\"n\\\"\", retries=3, verbose=true, level=7, color=1, point=1/2, "
            "opaque=(not printable), literal=text}");
}

// F-B8: an entry is a value: it keeps name and value alive, and knows its variable.
TEST(Snapshot, AnEntryOutlivesContextAndVariable) {
  ContextEntry kept;
  EXPECT_FALSE(kept);
  {
    const ContextVar<Tracked> variable("variable");
    const ContextVar<Tracked> other("other");
    Context context;
    context.run([&] { variable.set(Tracked(5)); });
    kept = *context.begin();
    EXPECT_EQ(kept.find(variable)->value(), 5);
    EXPECT_EQ(kept.find(other), nullptr);
  }
  EXPECT_TRUE(kept);
  EXPECT_EQ(kept.name(), "variable");
  EXPECT_EQ(kept.value(), "(not printable)");
  EXPECT_EQ(Tracked::alive(), 1);
  kept = ContextEntry();
  EXPECT_EQ(Tracked::alive(), 0);
}

// S5: what was taken inside a scope can be read when the scope, its thread and its task are gone.
TEST(Snapshot, StaysReadableAfterTheScopeThatMadeItEnded) {
  const ContextVar<std::string> variable("variable");
  Context snapshot;
  std::thread([&] {
    taskctx::bind([&] {
      const Scope scope{variable, "inside"};
      snapshot = copy_context();
    })();
  }).join();
  EXPECT_EQ(variable.find(), nullptr);
  EXPECT_EQ(*snapshot.find(variable), "inside");
  EXPECT_EQ(snapshot.run([&] { return variable.get(); }), "inside");
}

// F-B9: what came, what went, what is different; nothing else.
TEST(Snapshot, DiffListsWhatChanged) {
  const ContextVar<int> same("same");
  const ContextVar<std::string> changed("changed");
  const ContextVar<int> removed("removed");
  const ContextVar<int> added("added");
  Context context;
  context.run([&] {
    same.set(1);
    changed.set("a");
    removed.set(2);
  });
  const Context before = context;
  EXPECT_THAT(diff(before, context), IsEmpty());
  context.run([&] {
    same.set(1);
    changed.set("b");
    removed.unset();
    added.set(3);
  });
  EXPECT_THAT(texts_of(diff(before, context)),
              UnorderedElementsAre("changed: \"a\" -> \"b\"", "removed: 2 -> -", "added: - -> 3"));
  EXPECT_THAT(texts_of(diff(context, before)),
              UnorderedElementsAre("changed: \"b\" -> \"a\"", "removed: - -> 2", "added: 3 -> -"));
  context.run([&] {
    changed.set("a");
    removed.set(2);
    added.unset();
  });
  EXPECT_THAT(diff(before, context), IsEmpty());
}

// F-B10: `over` wins; neither of the two changes.
TEST(Snapshot, MergedTakesAllOfOverAndTheRestOfBase) {
  const ContextVar<int> first("first");
  const ContextVar<std::string> both("both");
  const ContextVar<int> second("second");
  Context base;
  base.run([&] {
    first.set(1);
    both.set("base's");
  });
  Context over;
  over.run([&] {
    both.set("over's");
    second.set(2);
  });
  const Context result = overlaid(base, over);
  EXPECT_EQ(result.size(), 3U);
  EXPECT_EQ(*result.find(first), 1);
  EXPECT_EQ(*result.find(both), "over's");
  EXPECT_EQ(*result.find(second), 2);
  EXPECT_EQ(*base.find(both), "base's");
  EXPECT_FALSE(over.contains(first));
  EXPECT_TRUE(overlaid(base, Context()) == base);
  EXPECT_TRUE(overlaid(Context(), over) == over);
}

// F-B11: by list and by predicate.
TEST(Snapshot, CanBeTakenInPart) {
  const ContextVar<int> first("app.first");
  const ContextVar<std::string> second("app.second");
  const ContextVar<int> third("lib.third");
  const ContextVar<int> never_set("never_set");
  Context context;
  context.run([&] {
    first.set(1);
    second.set("2");
    third.set(3);
  });
  EXPECT_EQ(text_of(context.only(second, never_set)), "{app.second=\"2\"}");
  EXPECT_EQ(text_of(context.only()), "{}");
  EXPECT_EQ(text_of(context.without(second, never_set)), "{app.first=1, lib.third=3}");
  EXPECT_TRUE(context.without() == context);
  EXPECT_EQ(text_of(context.filtered(
                [](const ContextEntry& entry) { return entry.name().substr(0, 4) == "app."; })),
            "{app.first=1, app.second=\"2\"}");
  EXPECT_EQ(context.size(), 3U);
}

// P22, F-B11: what was left out is not kept alive.
TEST(Snapshot, APartKeepsOnlyItsOwnValuesAlive) {
  const ContextVar<Tracked> first("first");
  const ContextVar<Tracked> second("second");
  Context part;
  {
    Context whole;
    whole.run([&] {
      first.set(Tracked(1));
      second.set(Tracked(2));
    });
    part = whole.without(first);
    EXPECT_EQ(Tracked::alive(), 2);
  }
  EXPECT_EQ(Tracked::alive(), 1);
  EXPECT_EQ(part.find(second)->value(), 2);
}

// F-B13: equal stamps mean equal content.
TEST(Snapshot, AVersionStandsForTheContent) {
  const ContextVar<int> number("number");
  const ContextVar<std::string> text("text");
  Context context;
  context.run([&] {
    number.set(1);
    text.set("a");
  });
  const std::uint64_t version = context.version();
  const Context copy = context;
  EXPECT_EQ(context.version(), version);
  EXPECT_EQ(copy.version(), version);
  context.run([&] { EXPECT_EQ(copy_context().version(), version); });
  EXPECT_EQ(taskctx::bind(copy, [] { return copy_context().version(); })(), version);
  context.run([&] {
    (void)number.get();
    EXPECT_EQ(copy_context().version(), version);
    number.set(2);
    EXPECT_NE(context.version(), version);
    EXPECT_NE(copy_context().version(), version);
  });
  EXPECT_EQ(copy.version(), version);
}

// F-B13: also where the change is made in place, in narrow and wide contexts.
TEST(Snapshot, EveryWriteChangesTheVersion) {
  for (const std::size_t size : {1U, 8U, 62U, 63U, 200U, 5000U}) {
    std::vector<std::unique_ptr<ContextVar<int>>> variables;
    Context context;
    const ContextScope inside(context);
    for (std::size_t i = 0; i < size; ++i) {
      variables.push_back(std::make_unique<ContextVar<int>>("variable"));
      variables.back()->set(0);
    }
    std::set<std::uint64_t> versions;
    for (std::size_t i = 0; i < size; i += 1 + size / 50) {
      EXPECT_TRUE(versions.insert(context.version()).second);
      auto token = variables[i]->set(1);
      EXPECT_TRUE(versions.insert(context.version()).second);
      variables[i]->reset(std::move(token));
      EXPECT_TRUE(versions.insert(context.version()).second);
      const Scope scope{*variables[i], taskctx::unset};
      EXPECT_TRUE(versions.insert(context.version()).second);
    }
  }
}

// F-B4: a Context can be entered for a block; P16, P27 hold.
TEST(Snapshot, CanBeEnteredForABlock) {
  const ContextVar<int> variable("variable");
  Context context;
  try {
    const ContextScope inside(context);
    variable.set(1);
    EXPECT_THROW(const ContextScope again(context), taskctx::ContextError);
    EXPECT_EQ(variable.get(), 1);
    throw std::runtime_error("passes");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(variable.find(), nullptr);
  }
  EXPECT_EQ(*context.find(variable), 1);
  const ContextScope inside(context);
}

// P27, F-B4: blocks that overlap are reported.
TEST(Snapshot, ABlockThatIsNotTheInnermostIsReported) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  Context first;
  Context second;
  std::optional<ContextScope> outer(std::in_place, first);
  std::optional<ContextScope> inner(std::in_place, second);
  variable.set(2);
  outer.reset();
  EXPECT_EQ(recorder.messages().size(), 1U);
  EXPECT_EQ(variable.get(), 1) << "both have ended";
  inner.reset();
  EXPECT_EQ(recorder.messages().size(), 2U);
  EXPECT_EQ(variable.get(), 1);
  EXPECT_EQ(*second.find(variable), 2);
}

// F-C3: a scope that ends before a younger one is reported, once, with its variable and place.
TEST(ScopeOrder, EndingBeforeAYoungerScopeIsReportedWithVariableAndPlace) {
  static std::vector<std::pair<std::string, unsigned>> reports;
  reports.clear();
  const auto previous = taskctx::set_misuse_handler([](const taskctx::Misuse& misuse) {
    EXPECT_NE(std::string(misuse.place.file).find("snapshot_test.cc"), std::string::npos);
    reports.emplace_back(misuse.message, misuse.place.line);
  });
  const ContextVar<int> first("first");
  const ContextVar<int> second("second");
  {
    const Scope enclosing{second, 0};
    auto* older = new Scope{first, 1};
    const unsigned line = __LINE__ - 1;
    auto* younger = new Scope{second, 2};
    delete older;
    EXPECT_EQ(first.find(), nullptr);
    delete younger;
    const Scope later{first, 3};
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_THAT(
        reports[0].first,
        testing::StartsWith("cannot close scope of variable 'first': a scope that was opened "
                            "later is still open (set at "));
    EXPECT_EQ(reports[0].second, line);
  }
  EXPECT_EQ(reports.size(), 1U);
  taskctx::set_misuse_handler(previous);
}

}  // namespace
