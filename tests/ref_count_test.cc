// SPDX-License-Identifier: Apache-2.0
//
// Counts that many threads change: none loses a reference, and what is counted ends with the last
// one.

#include "taskctx/internal/core/ref_count.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "tests/any_variable.h"
#include "tests/forking.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;
using internal::RefCount;

// Something that is counted. Ends once.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { EXPECT_EQ(ends_, 1); }

  bool add() { return count_.add(); }
  void drop(bool is_spread) {
    if (is_spread ? count_.drop_spread() : count_.drop()) {
      ++ends_;
      count_.end();
    }
  }
  [[nodiscard]] bool is_spread() const { return count_.is_spread(); }
  [[nodiscard]] int ends() const { return ends_; }

 private:
  RefCount count_{1};
  std::atomic<int> ends_{0};
};

// Takes and drops references in two threads, in turn, until the count is spread. Returns how often
// that took.
int spread(Counted& counted) {
  std::atomic<int> turn{0};
  const auto work = [&](int mine) {
    while (turn < 100) {
      if (turn % 2 == mine) {
        counted.drop(counted.add());
        turn = counted.is_spread() ? 1000 : turn + 1;
      } else {
        std::this_thread::yield();
      }
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  return turn;
}

// M40
TEST(RefCount, ACountThatTwoThreadsChangeInTurnIsSpread) {
  Counted counted;
  EXPECT_EQ(spread(counted), 1000);
  counted.drop(false);
}

// M40
TEST(RefCount, ACountThatOneThreadChangesStaysAsItIs) {
  Counted counted;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(counted.add());
    counted.drop(false);
  }
  EXPECT_FALSE(counted.is_spread());
  counted.drop(false);
}

// M40, P22: whoever has the last reference, of either kind, on any thread.
TEST(RefCount, TheObjectEndsWithTheLastReferenceOnAnyThread) {
  for (const bool plain_is_last : {false, true}) {
    Counted counted;
    spread(counted);
    std::vector<bool> references;
    for (int i = 0; i < 10; ++i) {
      references.push_back(counted.add());
      EXPECT_TRUE(references.back());
    }
    if (!plain_is_last) {
      counted.drop(false);
    }
    std::thread([&] {
      for (const bool reference : references) {
        EXPECT_EQ(counted.ends(), 0);
        counted.drop(reference);
      }
    }).join();
    if (plain_is_last) {
      EXPECT_EQ(counted.ends(), 0);
      counted.drop(false);
    }
    EXPECT_EQ(counted.ends(), 1);
  }
}

// M40: there are parts for some counts only. The others work as well, and parts are used again.
TEST(RefCount, AnyNumberOfCountsCanBeShared) {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Counted>> all;
    std::size_t spread_ones = 0;
    for (int i = 0; i < 600; ++i) {
      all.push_back(std::make_unique<Counted>());
      spread_ones += spread(*all.back()) == 1000 ? 1 : 0;
      const bool reference = all.back()->add();
      std::thread([&] { all.back()->drop(reference); }).join();
    }
    EXPECT_GT(spread_ones, 400U) << "round " << round;
    EXPECT_LT(spread_ones, 600U);
    for (const auto& counted : all) {
      counted->drop(false);
      EXPECT_EQ(counted->ends(), 1);
    }
  }
}

// M38: what is done before the first copy, a thread that the child has not is in the middle of.
TEST(RefCount, AForkedChildDoesNotWaitForWhatAThreadOfItsParentHasBegun) {
  RefCount count{1};
  ASSERT_TRUE(count.begin_first());
  EXPECT_FALSE(count.is_left());
  for (const bool begins_anew : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      bool is_right = count.is_left();
      if (begins_anew) {
        is_right = is_right && count.begin_first() && !count.is_left() && !count.begin_first();
        count.end_first();
      }
      is_right = is_right && !count.add() && !count.is_left() && !count.drop() && count.drop();
      _exit(is_right ? 0 : 1);
    }
    EXPECT_EQ(status_of(child), 0) << begins_anew;
  }
  EXPECT_FALSE(count.begin_first());
  count.end_first();
}

class RandomCounts : public testing::TestWithParam<std::size_t> {};

// M40, P22: threads that begin and end at any moment, and the first reference that goes at any.
TEST_P(RandomCounts, NoReferenceIsLostAndNoneTooMany) {
  std::mt19937 seeds(test_seed());
  for (int round = 0; round < 300; ++round) {
    Counted counted;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < GetParam(); ++i) {
      threads.emplace_back([&counted, first = counted.add(), seed = seeds()] {
        std::mt19937 random(seed);
        std::vector<bool> mine{first};
        for (int step = 0; step < 300 && !mine.empty(); ++step) {
          if (random() % 2 == 0) {
            mine.push_back(counted.add());
          } else {
            counted.drop(mine.back());
            mine.pop_back();
          }
        }
        for (const bool reference : mine) {
          counted.drop(reference);
        }
      });
    }
    counted.drop(false);
    for (std::thread& thread : threads) {
      thread.join();
    }
    ASSERT_EQ(counted.ends(), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, RandomCounts, testing::Values(1, 2, 4, 8));

// M40, M41, P22: one context and its values, in many threads, which replace and capture them.
TEST(RefCount, ValuesThatManyThreadsInheritEndWithTheirLastOwner) {
  constexpr std::size_t kVariables = 8;
  std::vector<std::unique_ptr<ContextVar<Tracked>>> variables;
  Context base;
  for (std::size_t i = 0; i < kVariables; ++i) {
    variables.push_back(std::make_unique<ContextVar<Tracked>>("variable"));
    base.run([&] { variables[i]->set(Tracked(0)); });
  }
  const unsigned seed = test_seed();
  std::vector<Context> left(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < left.size(); ++i) {
    threads.emplace_back(taskctx::bind(base, [&, i] {
      std::mt19937 random(seed + static_cast<unsigned>(i));
      for (int round = 0; round < 3000; ++round) {
        taskctx::bind(round % 2 == 0 ? base : left[i], [&] {
          auto token = variables[random() % kVariables]->set(Tracked(1));
          if (random() % 4 == 0) {
            left[i] = copy_context();
          }
          if (random() % 4 == 0) {
            const ContextVar<Tracked>& variable = token.var();
            variable.reset(std::move(token));
          }
        })();
      }
    }));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  base = Context();
  EXPECT_LE(Tracked::alive(), static_cast<int>(left.size() * kVariables));
  left.clear();
  EXPECT_EQ(Tracked::alive(), 0);
}

}  // namespace
