// SPDX-License-Identifier: Apache-2.0
//
// The algorithms beside parallel_for: their bodies, values and arguments.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/tbb_algorithms.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// Copies, moves and destructors look at the context.
class WatchfulValue {
 public:
  explicit WatchfulValue(int value) : value_(value) {}
  WatchfulValue(const WatchfulValue& other) : value_(other.value_) { look(); }
  WatchfulValue& operator=(const WatchfulValue& other) {
    look();
    value_ = other.value_;
    return *this;
  }
  ~WatchfulValue() { look(); }
  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};

WatchfulValue add(const WatchfulValue& a, const WatchfulValue& b) {
  look();
  return WatchfulValue(a.value() + b.value());
}

// F-F1
TEST_P(Algorithms, AllMembersOfReductionBodiesRunInTheCallersContext) {
  run([&] {
    const Range range(0, 500);
    const ctbb::simple_partitioner simple;
    const ctbb::auto_partitioner automatic;
    const ctbb::static_partitioner fixed;
    ctbb::affinity_partitioner affinity;
    ctbb::task_group_context group;
    const auto reduce = [&](auto&&... options) {
      WatchfulSum sum;
      ctbb::parallel_reduce(range, sum, options...);
      EXPECT_EQ(sum.sum(), 500);
    };
    reduce();
    reduce(simple), reduce(automatic), reduce(fixed), reduce(affinity), reduce(group);
    reduce(simple, group), reduce(automatic, group), reduce(fixed, group), reduce(affinity, group);
    const auto reduce_again = [&](auto&&... options) {
      WatchfulSum sum;
      ctbb::parallel_deterministic_reduce(range, sum, options...);
      EXPECT_EQ(sum.sum(), 500);
    };
    reduce_again();
    reduce_again(simple), reduce_again(fixed), reduce_again(group);
    reduce_again(simple, group), reduce_again(fixed, group);
    const auto scan = [&](auto&&... options) {
      WatchfulSum sum;
      ctbb::parallel_scan(range, sum, options...);
      EXPECT_EQ(sum.sum(), 500);
    };
    scan(), scan(simple), scan(automatic);
  });
}

// F-F1
TEST_P(Algorithms, ValuesOfReductionsAreCopiedAndDestroyedInTheCallersContext) {
  run([&] {
    const Range range(0, 500);
    const WatchfulValue zero(0);
    const auto count = [](const Range& part, const WatchfulValue& value) {
      look();
      return WatchfulValue(value.value() + static_cast<int>(part.size()));
    };
    const auto scan = [&](const Range& part, const WatchfulValue& value, bool /*is_final*/) {
      return count(part, value);
    };
    const ctbb::simple_partitioner simple;
    const ctbb::static_partitioner fixed;
    ctbb::affinity_partitioner affinity;
    ctbb::task_group_context group;
    const auto reduce = [&](auto&&... options) {
      EXPECT_EQ(ctbb::parallel_reduce(range, zero, count, add, options...).value(), 500);
    };
    reduce(), reduce(simple), reduce(fixed), reduce(affinity), reduce(group);
    reduce(ctbb::auto_partitioner()), reduce(simple, group), reduce(affinity, group);
    const auto reduce_again = [&](auto&&... options) {
      EXPECT_EQ(ctbb::parallel_deterministic_reduce(range, zero, count, add, options...).value(),
                500);
    };
    reduce_again(), reduce_again(simple), reduce_again(fixed), reduce_again(group);
    reduce_again(fixed, group);
    EXPECT_EQ(ctbb::parallel_scan(range, zero, scan, add).value(), 500);
    EXPECT_EQ(ctbb::parallel_scan(range, zero, scan, add, simple).value(), 500);
    EXPECT_EQ(ctbb::parallel_scan(range, zero, scan, add, ctbb::auto_partitioner()).value(), 500);
  });
}

// F-F1
TEST_P(Algorithms, ForEachTakesRangesIteratorsAndFeedersOfOtherTypes) {
  run([&] {
    std::vector<int> numbers(100);
    std::atomic<int> calls{0};
    ctbb::task_group_context group;
    const auto set = [&](int& number) {
      look();
      ++number;
      ++calls;
    };
    ctbb::parallel_for_each(numbers, set);
    ctbb::parallel_for_each(numbers, set, group);
    ctbb::parallel_for_each(numbers.begin(), numbers.end(), set);
    ctbb::parallel_for_each(numbers.begin(), numbers.end(), set, group);
    ctbb::parallel_for_each(std::as_const(numbers), [&](int number) {
      look();
      wrong += static_cast<int>(number != 4);
    });
    ctbb::parallel_for_each(numbers, [&](auto&& number) { set(number); });
    EXPECT_EQ(calls, 500);
    // Items of the range become items of the feeder, which has a type of its own.
    ctbb::parallel_for_each(numbers, [&](long number, ctbb::feeder<long>& feeder) {
      look();
      if (number > 0) {
        feeder.add(0L);
      }
      ++calls;
    });
    EXPECT_EQ(calls, 700);
  });
}

// F-F1
TEST_P(Algorithms, SortTakesRangesAndIteratorsWithAndWithoutAComparison) {
  run([&] {
    std::vector<int> numbers(2000);
    const auto shuffle = [&] { std::iota(numbers.rbegin(), numbers.rend(), 0); };
    const auto less = [](int a, int b) {
      look();
      return a < b;
    };
    shuffle(), ctbb::parallel_sort(numbers);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    shuffle(), ctbb::parallel_sort(numbers, less);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    shuffle(), ctbb::parallel_sort(numbers.begin(), numbers.end());
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    shuffle(), ctbb::parallel_sort(numbers.begin(), numbers.end(), less);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  });
}

// F-F1: one caller runs the function, in its own context; the others' contexts are not seen.
TEST_P(Algorithms, CallOnceRunsInTheContextOfTheCallerThatRunsIt) {
  run([&] {
    for (int round = 0; round < 50; ++round) {
      ctbb::collaborative_once_flag flag;
      std::atomic<int> calls{0};
      ctbb::parallel_for(0, 2 * GetParam(), [&](int id) {
        const Scope scope{request_id, std::to_string(id)};
        ctbb::collaborative_call_once(
            flag,
            [&](int mine) {
              ++calls;
              ctbb::parallel_for(0, 20, [&](int) {
                wrong += static_cast<int>(request_id.get() != std::to_string(mine));
              });
              wrong += static_cast<int>(request_id.get() != std::to_string(mine));
            },
            id);
        wrong += static_cast<int>(request_id.get() != std::to_string(id));
      });
      EXPECT_EQ(calls, 1);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, Algorithms, testing::Values(1, 2, 4, 8));

}  // namespace
