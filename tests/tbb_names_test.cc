// SPDX-License-Identifier: Apache-2.0
//
// The algorithms take what oneTBB's take, and their names may stand beside oneTBB's.

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "taskctx/tbb.h"
#include "tests/tbb_algorithms.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

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
