// SPDX-License-Identifier: Apache-2.0
//
// Contexts of every width: one leaf, several, and so many that the tree grows another level. Random
// programs against plain maps; the seed is printed, and taken from TASKCTX_TEST_SEED.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
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
#include "tests/support.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using taskctx::copy_context;
using taskctx::Scope;
using taskctx_test::Tracked;

unsigned seed() {
  const char* given = std::getenv("TASKCTX_TEST_SEED");
  const unsigned value =
      given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  std::printf("TASKCTX_TEST_SEED=%u\n", value);
  return value;
}

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

// P14, P18, P22: contexts that share parts of their trees, against maps that share nothing.
TEST_P(WideContext, RandomProgramsAgreeWithPlainMaps) {
  using Model = std::map<std::size_t, int>;
  std::mt19937 random(seed());
  ASSERT_EQ(Tracked::alive(), 0);
  {
    const Variables<Tracked> variables(GetParam(), Tracked(-1));
    std::vector<std::pair<Context, Model>> contexts(4);
    const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
    for (int step = 0; step < 3000; ++step) {
      auto& subject = contexts[below(contexts.size())];
      Context& context = subject.first;
      Model& model = subject.second;
      const std::size_t index = below(variables.size());
      const auto& variable = variables[index];
      switch (below(8)) {
        case 0: {
          auto& target = contexts[below(contexts.size())];
          target = std::pair(Context(context), Model(model));
          break;
        }
        case 1:
          context.run([&] { variable.unset(); });
          model.erase(index);
          break;
        case 2:
          context.run([&] {
            const Scope scope{variable, Tracked(step)};
            ASSERT_EQ(variable.get().value(), step);
          });
          break;
        case 3:
          context.run([&] {
            const Context snapshot = copy_context();
            variable.set(Tracked(step));
            const Tracked* old = snapshot.find(variable);
            const auto expected = model.find(index);
            ASSERT_EQ(old != nullptr, expected != model.end());
            ASSERT_TRUE(old == nullptr || old->value() == expected->second);
          });
          model[index] = step;
          break;
        default:
          context.run([&] { variable.set(Tracked(step)); });
          model[index] = step;
      }
      const Tracked* found = context.find(variable);
      const auto expected = model.find(index);
      ASSERT_EQ(found != nullptr, expected != model.end());
      ASSERT_TRUE(found == nullptr || found->value() == expected->second);
      if (step % 500 == 0) {
        ASSERT_EQ(context.size(), model.size());
        for (const auto& [other, other_model] : contexts) {
          ASSERT_EQ(context == other, model == other_model);
        }
      }
    }
  }
  EXPECT_EQ(Tracked::alive(), 0) << "every value was destroyed once";
}

// The borders of the layout: a leaf has 62 slots, a wide node 62 * 64 = 3,968 of its own, and an
// inner node below it as many again.
INSTANTIATE_TEST_SUITE_P(Sizes, WideContext,
                         testing::Values(1, 2, 4, 5, 8, 16, 17, 31, 32, 33, 40, 61, 62, 63, 64, 124,
                                         125, 1000, 3967, 3968, 3969, 4100, 7936, 7937, 20000));

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
