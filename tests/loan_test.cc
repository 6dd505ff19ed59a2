// SPDX-License-Identifier: Apache-2.0
//
// What tasks inherit: values are shared without being counted one by one, and end all the same as
// soon as nobody can get them.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/core/node_memory.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/any_variable.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// So many variables, of a type that counts its values, and the context in which they are set.
class Loan : public testing::TestWithParam<std::size_t> {
 protected:
  Loan() {
    for (std::size_t i = 0; i < GetParam(); ++i) {
      variables_.push_back(std::make_unique<ContextVar<Tracked>>("v" + std::to_string(i)));
    }
    base_.emplace();
    base_->run([this] {
      for (const auto& variable : variables_) {
        variable->set(Tracked(0));
      }
    });
    size_ = static_cast<int>(GetParam());
  }
  ~Loan() override {
    base_.reset();
    EXPECT_EQ(Tracked::alive(), 0);
  }

  const ContextVar<Tracked>& variable(std::size_t i) { return *variables_[i % variables_.size()]; }

  // Replaces one value in a new context.
  Context child_of(const Context& context, std::size_t i) {
    Context child(context);
    child.run([&] { variable(i).set(Tracked(1)); });
    return child;
  }

  int size_ = 0;
  std::optional<Context> base_;

 private:
  std::vector<std::unique_ptr<ContextVar<Tracked>>> variables_;
};

// P22: the one allowance: a value that was inherited, and then replaced.
TEST_P(Loan, AReplacedValueEndsWithTheContextThatHasReplacedItAtTheLatest) {
  {
    const Context child = child_of(*base_, 1);
    EXPECT_EQ(Tracked::alive(), size_ + 1);
    base_.reset();
    EXPECT_EQ(variable(1).find(), nullptr);
    EXPECT_EQ(child.find(variable(1))->value(), 1);
    EXPECT_LE(Tracked::alive(), size_ + 1);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// P22: from then on nobody can get it, and nobody keeps it.
TEST_P(Loan, AReplacedValueEndsWithItsOwnersOnceItsPlaceWasCaptured) {
  std::vector<Context> snapshots;
  for (std::size_t i = 0; i < 5; ++i) {
    Context child = child_of(*base_, 1);
    child.run([&] { snapshots.push_back(copy_context()); });
  }
  EXPECT_EQ(Tracked::alive(), size_ + 5);
  base_.reset();
  EXPECT_EQ(Tracked::alive(), size_ - 1 + 5) << "the value that was replaced in all is gone";
  for (const Context& snapshot : snapshots) {
    EXPECT_EQ(snapshot.find(variable(0))->value(), size_ == 1 ? 1 : 0);
    EXPECT_EQ(snapshot.find(variable(1))->value(), 1);
  }
  snapshots.resize(1);
  EXPECT_EQ(Tracked::alive(), size_);
}

// P22: likewise if it hid nothing when it was captured for the first time.
TEST_P(Loan, AReplacedValueEndsWithItsOwnersAlsoIfItWasCapturedBefore) {
  if (size_ == 1) {
    GTEST_SKIP() << "needs a value to add, and one to replace";
  }
  base_->run([&] { variable(0).unset(); });
  Context child(*base_);
  std::optional<Context> snapshot;
  child.run([&] {
    variable(0).set(Tracked(1));
    snapshot = copy_context();
    snapshot.reset();  // So what follows is written in place.
    variable(1).set(Tracked(1));
    snapshot = copy_context();
  });
  EXPECT_EQ(Tracked::alive(), size_ - 1 + 2);
  base_.reset();
  EXPECT_EQ(Tracked::alive(), size_) << "the value that was replaced is gone";
  EXPECT_EQ(snapshot->find(variable(1))->value(), 1);
}

// M41: those that replace the same value share one twin of the context that they come from.
TEST_P(Loan, ManyContextsThatHaveReplacedTheSameValueShareATwin) {
  if (size_ > 62) {
    GTEST_SKIP() << "wide contexts have no twins";
  }
  internal::NodeSupply supply;
  supply.keep_freed();  // With AddressSanitizer a thread keeps no memory otherwise.
  const Context first = child_of(*base_, 1);  // From here on this thread has memory for one more.
  std::vector<Context> snapshots;
  for (std::size_t i = 0; i < 5; ++i) {
    Context child = child_of(*base_, 1);
    child.run([&] { snapshots.push_back(copy_context()); });
    EXPECT_EQ(internal::live_twins(), 1);
  }
  base_.reset();
  EXPECT_EQ(internal::live_twins(), 1);
  snapshots.clear();
  EXPECT_EQ(internal::live_twins(), 1) << "`first` was not captured, and has the base";
  EXPECT_EQ(first.find(variable(1))->value(), 1);
}

// P22: likewise if each has replaced others, in any order.
TEST_P(Loan, EachOfManyContextsKeepsWhatItHas) {
  std::vector<Context> snapshots;
  for (std::size_t i = 0; i < 40; ++i) {
    Context child = child_of(*base_, i);
    child.run([&] {
      const Context early = copy_context();
      variable(i + 1).set(Tracked(1));
      snapshots.push_back(copy_context());
    });
  }
  for (const Context& snapshot : snapshots) {
    for (std::size_t i = 0; i < GetParam(); ++i) {
      ASSERT_NE(snapshot.find(variable(i)), nullptr);
    }
  }
  base_.reset();
  snapshots.erase(snapshots.begin() + 1, snapshots.end());
  EXPECT_EQ(Tracked::alive(), size_) << "one context is left, and has no more than it shows";
}

// P22: what a context has set itself is not inherited.
TEST_P(Loan, AValueOfItsOwnThatAContextReplacesEndsWithTheSnapshotsThatHaveIt) {
  Context child = child_of(*base_, 0);
  child.run([&] {
    {
      const Context snapshot = copy_context();
      variable(0).set(Tracked(2));
      EXPECT_EQ(Tracked::alive(), size_ + 2);
    }
    EXPECT_EQ(Tracked::alive(), size_ + 1);
  });
}

// P22, P8
TEST_P(Loan, ATokenKeepsItsOldValueAndNothingElse) {
  std::optional<Token<Tracked>> token;
  {
    Context child(*base_);
    child.run([&] { token.emplace(variable(0).set(Tracked(1))); });
  }
  EXPECT_EQ(Tracked::alive(), size_);
  base_.reset();
  EXPECT_EQ(Tracked::alive(), 1);
  EXPECT_EQ(token->old_value()->value(), 0);
  token.reset();
  EXPECT_EQ(Tracked::alive(), 0);
}

// P8: also when a snapshot was taken in between, or the value is there twice.
TEST_P(Loan, AnInheritedValueCanBePutBack) {
  const Tracked* const inherited = base_->find(variable(0));
  taskctx::bind(*base_, [&] {
    for (int round = 0; round < 3; ++round) {
      {
        const Scope outer{variable(0), Tracked(1)};
        const Scope inner{variable(0), Tracked(2)};
        const std::optional<Context> snapshot =
            round == 1 ? std::optional(copy_context()) : std::nullopt;
        EXPECT_EQ(variable(0).get().value(), 2);
      }
      EXPECT_EQ(variable(0).find(), inherited);
      EXPECT_EQ(Tracked::alive(), size_);
      auto token = variable(0).unset();
      EXPECT_EQ(variable(0).find(), nullptr);
      variable(0).reset(std::move(token));
      EXPECT_EQ(variable(0).find(), inherited);
    }
  })();
  EXPECT_EQ(Tracked::alive(), size_);
}

// P22, M5: a task that submits itself again keeps no more than at first.
TEST_P(Loan, ALongLineOfContextsKeepsNoneThatHaveEnded) {
  const std::int64_t nodes = internal::live_nodes();
  Context last(*base_);
  for (int i = 0; i < 20'000; ++i) {
    Context next(last);
    next.run([&] {
      variable(static_cast<std::size_t>(i)).set(Tracked(i));
      last = copy_context();
    });
    ASSERT_LE(Tracked::alive(), 2 * size_ + 5);
    ASSERT_LE(internal::live_nodes() - nodes, 3 * (size_ / 16 + 10)) << i;
  }
  base_.reset();
  EXPECT_EQ(Tracked::alive(), size_);
}

// M1, P22: random contexts, each made of another one, on top of each other. What is alive at the
// end is what can be got.
TEST_P(Loan, RandomFamiliesOfContextsKeepWhatTheyShow) {
  std::mt19937 random(test_seed());
  std::vector<Context> contexts{*base_};
  base_.reset();
  const auto any = [&random](std::size_t count) { return random() % count; };
  const std::function<void(int)> work = [&](int depth) {
    for (int i = 0; i < 4; ++i) {
      switch (any(6)) {
        case 0:
          variable(any(GetParam())).set(Tracked(1));
          break;
        case 1:
          variable(any(GetParam())).unset();
          break;
        case 2:
          contexts.push_back(copy_context());
          break;
        case 3: {
          const Scope scope{variable(any(GetParam())), Tracked(2)};
          if (depth < 3) {
            taskctx::bind([&] { work(depth + 1); })();
          }
          break;
        }
        case 4:
          if (depth < 3) {
            taskctx::bind(contexts[any(contexts.size())], [&] { work(depth + 1); })();
          }
          break;
        default:
          if (contexts.size() > 5) {
            contexts.erase(contexts.begin() + static_cast<std::ptrdiff_t>(any(contexts.size())));
          }
      }
    }
  };
  for (int round = 0; round < 1000; ++round) {
    Context here(contexts[any(contexts.size())]);
    here.run([&] { work(0); });
    contexts.push_back(std::move(here));
    if (contexts.size() > 20) {
      contexts.resize(5);
    }
  }
  // Settles those that nobody has captured since they were written.
  const std::vector<Context> settled = contexts;
  std::vector<const Tracked*> shown;
  for (const Context& context : contexts) {
    for (std::size_t i = 0; i < GetParam(); ++i) {
      shown.push_back(context.find(variable(i)));
    }
  }
  std::erase(shown, nullptr);
  std::sort(shown.begin(), shown.end());
  shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
  EXPECT_EQ(Tracked::alive(), static_cast<int>(shown.size()));
}

// F-B2, P22: the first copies of a context that was written.
TEST_P(Loan, ManyThreadsMayCopyAContextThatNobodyHasCopiedYet) {
  constexpr int kThreads = 4;
  constexpr std::size_t kRounds = 500;
  std::vector<Context> written;
  for (std::size_t i = 0; i < kRounds; ++i) {
    written.push_back(child_of(*base_, i));
  }
  std::barrier start(kThreads);
  std::array<std::vector<Context>, kThreads> copies;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (const Context& context : written) {
        start.arrive_and_wait();
        copies[static_cast<std::size_t>(i)].push_back(context);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  written.clear();
  base_.reset();
  for (std::size_t i = 0; i < kRounds; ++i) {
    for (const auto& copy : copies) {
      ASSERT_EQ(copy[i].find(variable(i))->value(), 1);
      ASSERT_EQ(copy[i].size(), GetParam());
    }
  }
}

// 1 and more: one leaf; 100: a wide node.
INSTANTIATE_TEST_SUITE_P(Counts, Loan, testing::Values(1, 2, 3, 9, 40, 100, 300));

}  // namespace
