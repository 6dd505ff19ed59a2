// SPDX-License-Identifier: Apache-2.0
//
// taskctx::tbb's algorithms stand in for oneTBB's: overloads, constraints, deduction, results, and
// what of the user's code runs outside of the bodies' calls.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

namespace ctbb = taskctx::tbb;

using Range = ctbb::blocked_range<int>;
using taskctx::ContextVar;
using taskctx::Scope;
using taskctx_test::AllThreads;
using taskctx_test::Latch;
using taskctx_test::StealingArena;

const ContextVar<std::string> request_id("request_id");

// Counts what runs in another context than its own.
std::atomic<int> wrong{0};
void look() { wrong += static_cast<int>(request_id.get("none") != "r-1"); }

class Algorithms : public testing::TestWithParam<int> {
 protected:
  // Runs `function` in an arena, in a context.
  template <typename F>
  void run(const F& function) {
    wrong = 0;
    StealingArena arena(GetParam());
    arena->execute([&] {
      const Scope scope{request_id, "r-1"};
      function();
      EXPECT_EQ(request_id.get("none"), "r-1");
    });
    EXPECT_EQ(wrong, 0);
  }
};

// Every part of it looks at the context.
class WatchfulSum {
 public:
  WatchfulSum() = default;
  WatchfulSum(WatchfulSum& /*other*/, ctbb::split /*split*/) { look(); }
  WatchfulSum(const WatchfulSum&) = delete;
  WatchfulSum& operator=(const WatchfulSum&) = delete;
  ~WatchfulSum() { look(); }
  void operator()(const Range& range) {
    look();
    sum_ += static_cast<int>(range.size());
  }
  template <typename Tag>
  void operator()(const Range& range, Tag /*tag*/) {
    (*this)(range);
  }
  void join(WatchfulSum& right) {
    look();
    sum_ += right.sum_;
  }
  void reverse_join(WatchfulSum& left) {
    look();
    sum_ += left.sum_;
  }
  void assign(WatchfulSum& other) {
    look();
    sum_ = other.sum_;
  }
  [[nodiscard]] int sum() const { return sum_; }

 private:
  int sum_ = 0;
};

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

// T7, F-F2: each token has a context of its own, which all filters see and may change.
TEST_P(Algorithms, EachTokenOfAPipelineCarriesItsOwnContextThroughAllFilters) {
  constexpr int kTokens = 500;
  const ContextVar<int> token("token");
  const ContextVar<int> square("square");
  thread_local int thread_token = 0;  // What people use instead.
  std::atomic<int> local_wrong{0};
  std::atomic<int> tokens{0};
  AllThreads all(GetParam());
  Latch second;
  run([&] {
    int next = 0;
    ctbb::parallel_pipeline(
        64,
        ctbb::make_filter<void, std::unique_ptr<int>>(
            ctbb::filter_mode::serial_in_order,
            [&](ctbb::flow_control& control) {
              look();
              wrong += static_cast<int>(token.get(-1) != -1);  // Not the last token's.
              if (next == kTokens) {
                control.stop();
                return std::unique_ptr<int>();
              }
              token.set(next);
              thread_token = next;
              return std::make_unique<int>(next++);
            }),
        ctbb::make_filter<std::unique_ptr<int>, int>(
            ctbb::filter_mode::parallel,
            [&](std::unique_ptr<int> number) {
              all.take_part();
              look();
              wrong += static_cast<int>(token.get(-1) != *number);
              if (*number == 1) {
                second.open();
              } else if (*number == 0 && GetParam() > 1) {
                second.wait();  // The second waits for the first before the last filter, then.
              }
              square.set(*number * *number);
              return *number;
            }) &
            ctbb::make_filter<int, int>(ctbb::filter_mode::serial_out_of_order,
                                        [&](int number) {
                                          wrong += static_cast<int>(token.get(-1) != number);
                                          token.set(-number);
                                          return number;
                                        }),
        ctbb::make_filter<int, void>(ctbb::filter_mode::serial_in_order, [&](int number) {
          look();
          wrong += static_cast<int>(token.get(1) != -number);
          wrong += static_cast<int>(square.get(-1) != number * number);
          wrong += static_cast<int>(tokens++ != number);
          local_wrong += static_cast<int>(thread_token != number);
        }));
    EXPECT_EQ(token.find(), nullptr);
  });
  EXPECT_EQ(tokens, kTokens);
  EXPECT_EQ(all.count(), static_cast<std::size_t>(GetParam()));
  if (GetParam() > 1) {
    EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
}

// T7, F-F1: the context is that of the run, not of the filter's making.
TEST_P(Algorithms, AFilterMayBeMadeElsewhereAndRunByManyAtOnce) {
  std::atomic<int> served{0};
  const ctbb::filter source(ctbb::filter_mode::serial_in_order,
                            [](ctbb::flow_control& control) -> int {
                              static thread_local int calls = 0;
                              if (++calls % 8 == 0) {
                                control.stop();
                              }
                              return std::stoi(request_id.get("0"));
                            });
  static_assert(std::is_same_v<decltype(source), const ctbb::filter<void, int>>);
  const ctbb::filter sink(ctbb::filter_mode::parallel, [&](int number) {
    ++served;
    wrong += static_cast<int>(request_id.get("0") != std::to_string(number));
  });
  static_assert(std::is_same_v<decltype(sink), const ctbb::filter<int, void>>);
  ctbb::filter<void, void> chain;
  chain = source & sink;
  run([&] {
    ctbb::parallel_for(1, 50, [&](int id) {
      const Scope scope{request_id, std::to_string(id)};
      ctbb::task_group_context group;
      ctbb::parallel_pipeline(4, chain);
      ctbb::parallel_pipeline(4, chain, group);
      ctbb::parallel_pipeline(4, source, sink, group);
      wrong += static_cast<int>(request_id.get() != std::to_string(id));
    });
  });
  chain.clear();
  EXPECT_GT(served, 0);
}

// F-F1: an exception ends the pipeline; a context of the user's is cancelled with it, and cancels.
TEST_P(Algorithms, APipelinesGroupContextCancelsAndIsCancelled) {
  run([&] {
    std::atomic<int> values{0};
    const auto endless = [&](ctbb::task_group_context& group, auto at_tenth) {
      int next = 0;
      // One token at a time: where more wait for their turn, oneTBB may lose them when it cancels.
      ctbb::parallel_pipeline(1,
                              ctbb::make_filter<void, std::shared_ptr<std::atomic<int>>>(
                                  ctbb::filter_mode::serial_in_order,
                                  [&](ctbb::flow_control&) {
                                    ++values;
                                    ++next;
                                    return std::shared_ptr<std::atomic<int>>(
                                        &values, [](std::atomic<int>* count) {
                                          look();
                                          --*count;
                                        });
                                  }),
                              ctbb::make_filter<std::shared_ptr<std::atomic<int>>, void>(
                                  ctbb::filter_mode::serial_in_order,
                                  [&](const std::shared_ptr<std::atomic<int>>&) {
                                    if (next >= 10) {
                                      at_tenth();
                                    }
                                  }),
                              group);
    };
    ctbb::task_group_context throwing;
    EXPECT_THROW(endless(throwing, [] { throw std::runtime_error("from a filter"); }),
                 std::runtime_error);
    EXPECT_TRUE(throwing.is_group_execution_cancelled());
    ctbb::task_group_context cancelled;
    endless(cancelled, [&] { cancelled.cancel_group_execution(); });
    EXPECT_EQ(values, 0) << "what was on its way is destroyed";
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

// What oneTBB refuses is refused, where a concept asks; what it takes is taken.
struct NoBody {};
struct NotConst {
  void operator()(const Range& range);
};
template <typename... Args>
concept For = requires(Args... args) { ctbb::parallel_for(args...); };
template <typename... Args>
concept RawFor = requires(Args... args) { oneapi::tbb::parallel_for(args...); };
template <typename... Args>
concept Reduce = requires(Args... args) { ctbb::parallel_reduce(args...); };
template <typename... Args>
concept RawReduce = requires(Args... args) { oneapi::tbb::parallel_reduce(args...); };
template <typename... Args>
concept Scan = requires(Args... args) { ctbb::parallel_scan(args...); };
template <typename... Args>
concept RawScan = requires(Args... args) { oneapi::tbb::parallel_scan(args...); };
template <typename... Args>
concept ForEach = requires(Args... args) { ctbb::parallel_for_each(args...); };
template <typename... Args>
concept RawForEach = requires(Args... args) { oneapi::tbb::parallel_for_each(args...); };
template <typename... Args>
concept Sort = requires(Args... args) { ctbb::parallel_sort(args...); };
template <typename... Args>
concept RawSort = requires(Args... args) { oneapi::tbb::parallel_sort(args...); };

template <typename... Args>
constexpr bool kSameFor = For<Args...> == RawFor<Args...>;
template <typename... Args>
constexpr bool kSameReduce = Reduce<Args...> == RawReduce<Args...>;
template <typename... Args>
constexpr bool kSameScan = Scan<Args...> == RawScan<Args...>;
template <typename... Args>
constexpr bool kSameForEach = ForEach<Args...> == RawForEach<Args...>;
template <typename... Args>
constexpr bool kSameSort = Sort<Args...> == RawSort<Args...>;

// F-F1: oneTBB's concepts are there with some compilers only.
TEST(AlgorithmConstraints, AreThoseOfOneTbb) {
  using Body = void (*)(const Range&);
  using Add = std::plus<>;
  using Count = int (*)(const Range&, int);
  using Numbers = std::vector<int>&;
  static_assert(For<Range, Body> && For<int, int, void (*)(int)>);
  static_assert(For<Range, Body, ctbb::simple_partitioner, ctbb::task_group_context&>);
  static_assert(!For<Range, Body, ctbb::task_group_context&, ctbb::simple_partitioner>);
  static_assert(kSameFor<Range, NoBody> && kSameFor<Range, NotConst> && kSameFor<NoBody, Body>);
  static_assert(kSameFor<int, int, NoBody> && kSameFor<int, int, Body>);
  static_assert(Reduce<Range, int, Count, Add> && Reduce<Range, WatchfulSum&>);
  static_assert(kSameReduce<Range, int, NoBody, Add> && kSameReduce<Range, int, Count, NoBody>);
  static_assert(kSameReduce<Range, NoBody&> && kSameReduce<NoBody, int, Count, Add>);
  static_assert(Scan<Range, WatchfulSum&> && kSameScan<Range, NoBody&>);
  static_assert(ForEach<Numbers, void (*)(int)> && kSameForEach<Numbers, NoBody>);
  static_assert(kSameForEach<NoBody&, void (*)(int)>);
  static_assert(Sort<Numbers> && Sort<int*, int*, std::less<>>);
  static_assert(kSameSort<NoBody&> && kSameSort<int*, int*, NoBody>);
#if defined(__GNUC__) && !defined(__clang__)
  static_assert(!For<Range, NoBody> && !Reduce<Range, NoBody&> && !Scan<Range, NoBody&>);
#endif
  SUCCEED();
}

// The names are imported into a namespace that has functors of its own: oneTBB's own calls, whose
// internals look names up in the functor's namespace, must still compile.
namespace importing {
using taskctx::tbb::parallel_deterministic_reduce;
using taskctx::tbb::parallel_for_each;
using taskctx::tbb::parallel_invoke;
using taskctx::tbb::parallel_reduce;
using taskctx::tbb::parallel_scan;
using taskctx::tbb::parallel_sort;
struct Functor {
  void operator()(int /*item*/) const {}
  void operator()() const {}
  bool operator()(int a, int b) const { return a < b; }
  int operator()(const Range& range, int sum) const { return sum + static_cast<int>(range.size()); }
  int operator()(const Range& range, int sum, bool /*is_final*/) const {
    return (*this)(range, sum);
  }
};
int count() {
  std::vector<int> numbers(10);
  const Functor f;
  const auto add = [](int a, int b) { return a + b; };
  oneapi::tbb::parallel_for_each(numbers, f);
  oneapi::tbb::parallel_sort(numbers, f);
  oneapi::tbb::parallel_sort(numbers);
  oneapi::tbb::parallel_invoke(f, f);
  parallel_invoke(f, f);
  parallel_for_each(numbers, f);
  parallel_sort(numbers);
  return oneapi::tbb::parallel_reduce(Range(0, 10), 0, f, add) +
         oneapi::tbb::parallel_deterministic_reduce(Range(0, 10), 0, f, add) +
         oneapi::tbb::parallel_scan(Range(0, 10), 0, f, add);
}
}  // namespace importing

// F-F1
TEST(AlgorithmNames, MayBeImportedWhereOneTbbIsCalledToo) { EXPECT_EQ(importing::count(), 30); }

}  // namespace
