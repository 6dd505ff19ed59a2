// SPDX-License-Identifier: Apache-2.0
//
// Contexts of every width: one leaf, several, and so many that the tree grows another level.
// model_test.cc runs random programs in them.

#include <gtest/gtest.h>

#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/any_variable.h"

namespace {

using namespace taskctx;

// Variables with slots of their own: the first set() of each is made in order.
template <typename T>
class Variables {
 public:
  Variables(std::size_t count, const T& value) {
    Context().run([&] {
      for (std::size_t i = 0; i < count; ++i) {
        variables_.push_back(std::make_unique<ContextVar<T>>("v" + std::to_string(i)));
        variables_.back()->set(value);
      }
    });
  }

  const ContextVar<T>& operator[](std::size_t i) const { return *variables_[i]; }
  [[nodiscard]] std::size_t size() const { return variables_.size(); }

 private:
  std::vector<std::unique_ptr<ContextVar<T>>> variables_;
};

class WideContext : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override { own_.enter(); }
  void TearDown() override { own_.leave(); }

 private:
  Context own_;
};

// F-B3, P17, P19
TEST_P(WideContext, AllVariablesCanBeSetReadCountedAndUnset) {
  const Variables<int> numbers(GetParam(), 0);
  const int size = static_cast<int>(numbers.size());
  for (int i = 0; i < size; ++i) {
    ASSERT_EQ(numbers[static_cast<std::size_t>(i)].find(), nullptr);
    numbers[static_cast<std::size_t>(i)].set(i);
  }
  const Context snapshot = copy_context();
  EXPECT_EQ(snapshot.size(), numbers.size());
  for (int i = 0; i < size; ++i) {
    const auto& number = numbers[static_cast<std::size_t>(i)];
    ASSERT_EQ(number.get(), i);
    number.set(-i);
    ASSERT_EQ(number.get(), -i);
    ASSERT_EQ(*snapshot.find(number), i);
  }
  std::set<std::string> names;
  for (const auto& entry : snapshot) {
    names.emplace(entry.name());
  }
  EXPECT_EQ(names.size(), numbers.size());
  for (int i = 0; i < size; ++i) {
    numbers[static_cast<std::size_t>(i)].unset();
  }
  EXPECT_EQ(copy_context().size(), 0U);
  EXPECT_EQ(copy_context(), Context());
  EXPECT_NE(snapshot, Context());
}

// F-B3: one variable with a high slot in an otherwise empty context.
TEST_P(WideContext, OneHighSlotIsEnough) {
  const Variables<std::string> texts(GetParam() + 1, "");
  const auto& last = texts[texts.size() - 1];
  const auto& first = texts[0];
  const Scope scope{last, "last"};
  EXPECT_EQ(last.get(), "last");
  EXPECT_EQ(copy_context().size(), 1U);
  const Context snapshot = copy_context();
  {
    const Scope both{first, "first", last, taskctx::unset};
    EXPECT_EQ(first.get(), "first");
    EXPECT_EQ(last.find(), nullptr);
  }
  EXPECT_EQ(snapshot, copy_context());
}

// The borders of the layout: a leaf has 62 slots, a wide node 62 * 64 = 3,968 of its own, and an
// inner node below it as many again.
INSTANTIATE_TEST_SUITE_P(Sizes, WideContext,
                         testing::Values(1, 2, 4, 5, 8, 16, 17, 31, 32, 33, 40, 61, 62, 63, 64, 124,
                                         125, 1000, 3967, 3968, 3969, 4100, 7936, 7937, 20000));

// F-B3: what a high slot holds has nothing to do with the first one, set before or after.
TEST(ManyVariables, AHighSlotIsNotTakenForTheFirst) {
  Context().run([] {
    const Variables<int> numbers(4100, 0);
    numbers[1].set(1);     // There is a first leaf, without its first slot.
    numbers[4000].set(2);  // Makes the context wide.
    numbers[4050].set(3);
    numbers[0].set(4);
    EXPECT_EQ(numbers[4050].get(), 3);
    EXPECT_EQ(numbers[0].get(), 4);
    EXPECT_EQ(copy_context().size(), 4U);
    numbers[0].unset();
    numbers[4050].set(5);
    numbers[0].set(6);
    numbers[4050].unset();
    EXPECT_EQ(numbers[4050].find(), nullptr);
  });
}

// F-B3, M1, P19: few of many variables, in any slots, more and fewer of them.
TEST(ManyVariables, FewOfManyAreFoundWhicheverTheyAre) {
  std::mt19937 random(taskctx_test::test_seed());
  const Variables<int> numbers(5000, 0);
  for (const std::size_t reach : {20U, 70U, 200U, 4000U, 5000U}) {
    Context().run([&] {
      std::map<std::size_t, int> expected;
      std::vector<std::pair<Context, std::map<std::size_t, int>>> snapshots;
      for (int step = 0; step < 3000; ++step) {
        // Phases in which there are more and more of them, and phases in which they are removed.
        const bool is_growing = step / 300 % 2 == 0;
        const std::size_t i = random() % reach;
        if (expected.size() < 60 && (is_growing || random() % 4 == 0)) {
          numbers[i].set(step);
          expected[i] = step;
        } else if (!expected.empty()) {
          const auto any =
              std::next(expected.begin(), static_cast<std::ptrdiff_t>(random() % expected.size()));
          numbers[any->first].unset();
          expected.erase(any);
        }
        if (step % 100 == 0) {
          snapshots.emplace_back(copy_context(), expected);
        }
        const int* const found = numbers[i].find();
        const auto set = expected.find(i);
        ASSERT_EQ(found != nullptr ? *found : -1, set != expected.end() ? set->second : -1);
      }
      for (const auto& [snapshot, content] : snapshots) {
        ASSERT_EQ(snapshot.size(), content.size());
        for (const auto& [i, value] : content) {
          ASSERT_NE(snapshot.find(numbers[i]), nullptr) << i;
          ASSERT_EQ(*snapshot.find(numbers[i]), value);
        }
      }
    });
  }
}

// F-A9
TEST(ManyVariables, AHundredThousandInOneContext) {
  Context context;
  context.run([] {
    const Variables<int> numbers(100'000, 0);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i].set(static_cast<int>(i));
    }
    EXPECT_EQ(copy_context().size(), numbers.size());
    const Context snapshot = copy_context();
    for (std::size_t i = 0; i < numbers.size(); i += 7) {
      numbers[i].set(-1);
      ASSERT_EQ(*snapshot.find(numbers[i]), static_cast<int>(i));
    }
  });
}

}  // namespace
