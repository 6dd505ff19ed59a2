// SPDX-License-Identifier: Apache-2.0
//
// What is set stays set, whatever else happens: old snapshots while new ones are derived, outer
// values while inner ones come and go. With as many variables as make the storage work: some of the
// claims are those of CPython's tests of its hash trie, of .NET's AsyncLocal, and of the JDK's
// ScopedValue.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/any_variable.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using Variables = std::vector<std::unique_ptr<AnyVariable>>;
using Values = std::map<std::size_t, int>;  // By the variable's number.

// Makes variables of every kind.
Variables make_variables(std::size_t count) {
  Variables variables;
  for (std::size_t i = 0; i < count; ++i) {
    variables.push_back(taskctx_test::make_variable(i, "v"));
  }
  return variables;
}

// Checks that `values` is all that is set in the context.
void expect_holds(const Context& context, const Variables& variables, const Values& values) {
  ASSERT_EQ(context.size(), values.size());
  for (const auto& [i, value] : values) {
    ASSERT_EQ(variables[i]->find_in(context), value) << "variable " << i;
  }
}

std::vector<std::size_t> shuffled(std::size_t count, std::mt19937& random) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

// M5, P14: as CPython stresses its hash trie.
TEST(Persistence, ThousandsOfChangesLeaveASnapshotFromHalfWayAlone) {
  constexpr std::size_t kCount = 7000;
  constexpr std::size_t kBetweenChecks = 647;
  std::mt19937 random(taskctx_test::test_seed());
  for (int round = 0; round < 3; ++round) {
    const Variables variables = make_variables(kCount);
    Context().run([&] {
      Values values;
      std::size_t operations = 0;
      const auto check = [&](const Values& expected) {
        if (++operations % kBetweenChecks == 0) {
          expect_holds(copy_context(), variables, expected);
        }
      };
      Values half_way_values;
      Context half_way;
      for (const std::size_t i : shuffled(kCount, random)) {
        variables[i]->set(static_cast<int>(i));
        values[i] = static_cast<int>(i);
        check(values);
        if (values.size() == kCount / 2) {
          half_way = copy_context();
          half_way_values = values;
        }
      }
      for (const std::size_t i : shuffled(kCount, random)) {
        variables[i]->unset();
        values.erase(i);
        check(values);
      }
      EXPECT_TRUE(copy_context().empty());
      expect_holds(half_way, variables, half_way_values);

      half_way.run([&] {  // And now that is drained, too.
        for (const std::size_t i : shuffled(kCount, random)) {
          variables[i]->unset();
          half_way_values.erase(i);
          check(half_way_values);
        }
      });
      EXPECT_TRUE(half_way.empty());
    });
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

class Unwinding : public testing::TestWithParam<std::size_t> {};

// M5, P8, P14, F-B3: each depth replaces all N values, in another way, and finds its own again.
TEST_P(Unwinding, AllValuesAreBackAtEveryDepth) {
  constexpr int kDepth = 12;
  const Variables variables = make_variables(GetParam());
  const auto expect_all = [&](int depth) {
    for (const auto& variable : variables) {
      ASSERT_EQ(variable->find(), depth);
    }
  };
  const auto set_all = [&](int depth) {
    for (const auto& variable : variables) {
      variable->set(depth);
    }
  };
  std::function<void(int)> descend;
  const std::function<void(std::size_t, int)> descend_in_scopes = [&](std::size_t i, int depth) {
    if (i == variables.size()) {
      descend(depth);
    } else {
      variables[i]->scope(depth, [&] { descend_in_scopes(i + 1, depth); });
    }
  };
  descend = [&](int depth) {
    expect_all(depth);
    if (depth == kDepth) {
      return;
    }
    const int next = depth + 1;
    switch (depth % 4) {
      case 0:
        descend_in_scopes(0, next);
        break;
      case 1:
        copy_context().run([&] {
          set_all(next);
          descend(next);
        });
        break;
      case 2:
        taskctx::bind([&] {
          set_all(next);
          descend(next);
        })();
        break;
      default:
        std::vector<std::unique_ptr<taskctx_test::AnyToken>> tokens;
        for (const auto& variable : variables) {
          tokens.push_back(variable->set(next));
        }
        descend(next);
        for (std::size_t i = variables.size(); i-- != 0;) {
          variables[i]->reset(*tokens[i]);
        }
    }
    expect_all(depth);
  };
  Context().run([&] {
    set_all(0);
    descend(0);
  });
  EXPECT_EQ(Tracked::alive(), 0);
}

// .NET's storage changes its form with the number of values, and so does ours.
INSTANTIATE_TEST_SUITE_P(Counts, Unwinding, testing::Range<std::size_t>(1, 41));
INSTANTIATE_TEST_SUITE_P(WideCounts, Unwinding, testing::Values<std::size_t>(61, 62, 63, 64, 124));

// M5, F-B3: sixteen variables rebound at random in 24 depths, and read a thousand times in each.
TEST(Persistence, ManyBindingsAreReadRightAtEveryDepth) {
  constexpr std::size_t kVariables = 16;
  constexpr int kDepth = 24;
  std::mt19937 random(taskctx_test::test_seed());
  const Variables variables = make_variables(kVariables);
  const std::function<void(int, Values)> descend = [&](int depth, const Values& values) {
    const auto read = [&] {
      for (int i = 0; i < 1000; ++i) {
        const std::size_t number = random() % kVariables;
        const auto expected = values.find(number);
        ASSERT_EQ(variables[number]->find(),
                  expected != values.end() ? std::optional(expected->second) : std::nullopt);
      }
    };
    read();
    if (depth != kDepth) {
      const std::size_t number = random() % kVariables;
      Values inner = values;
      inner[number] = depth;
      variables[number]->scope(depth, [&] { descend(depth + 1, inner); });
      read();
    }
  };
  Context().run([&] { descend(0, {}); });
}

// M5: every one of a million snapshots, each derived from the one before, is kept.
TEST(Persistence, AMillionDerivedSnapshotsKeepTheirValues) {
  constexpr int kSnapshots = 1'000'000;
  const ContextVar<int> number("number");
  const ContextVar<Tracked> shared("shared");
  {
    std::vector<Context> snapshots;
    snapshots.reserve(kSnapshots);
    Context().run([&] {
      shared.set(Tracked(1));
      for (int i = 0; i < kSnapshots; ++i) {
        number.set(i);
        snapshots.push_back(copy_context());
      }
    });
    for (int i = 0; i < kSnapshots; ++i) {
      ASSERT_EQ(*snapshots[static_cast<std::size_t>(i)].find(number), i);
    }
    EXPECT_EQ(snapshots.front().find(shared), snapshots.back().find(shared));
    EXPECT_EQ(Tracked::alive(), 1);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// M5, F-C2
TEST(Persistence, AMillionNestedScopesCloseInReverse) {
  constexpr int kScopes = 1'000'000;
  const ContextVar<int> number("number");
  const ContextVar<Tracked> boxed("boxed");
  Context().run([&] {
    std::deque<Scope<int, Scope<Tracked>>> scopes;
    for (int i = 0; i < kScopes; ++i) {
      scopes.emplace_back(number, i, boxed, Tracked(i));
    }
    EXPECT_EQ(Tracked::alive(), kScopes);
    for (int i = kScopes; i-- != 0;) {
      ASSERT_EQ(number.get(), i);
      ASSERT_EQ(boxed.get().value(), i);
      scopes.pop_back();
    }
    EXPECT_TRUE(copy_context().empty());
  });
  EXPECT_EQ(Tracked::alive(), 0);
}

// M5, F-A9: what they leave does not pile up: the next one's value takes its place.
TEST(Persistence, AMillionVariablesMayDieWhileTheyAreSet) {
  Context context;
  context.run([] {
    for (int i = 0; i < 1'000'000; ++i) {
      const ContextVar<int> number("number");
      const ContextVar<Tracked> boxed("boxed");
      ASSERT_EQ(number.find(), nullptr);
      ASSERT_EQ(boxed.find(), nullptr);
      number.set(i);
      boxed.set(Tracked(i));
      ASSERT_EQ(number.get(), i);
      ASSERT_EQ(boxed.get().value(), i);
      ASSERT_LE(Tracked::alive(), 2);
    }
  });
  EXPECT_LE(context.size(), 2U);
}

}  // namespace
