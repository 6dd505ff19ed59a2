// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_sort, with the caller's context in the comparison.
//
//   taskctx::tbb::parallel_sort(names, [](auto& a, auto& b) { return less(a, b, locale.get()); });
//
// Isolation: each comparison starts with the caller's values.
// Covered:   calls of the comparison, be it given or operator<. Not covered: moves and swaps of
//            elements, and iterators. The comparison is not copied.
// Threads, blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_SORT_H_
#define TASKCTX_TBB_PARALLEL_SORT_H_

#include <oneapi/tbb/parallel_sort.h>

#include <functional>
#include <iterator>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The return type of oneTBB's own overload for these arguments.
template <typename... Args>
using ParallelSort = decltype(onetbb::parallel_sort(std::declval<Args>()...));

template <typename Iterator>
using Less = std::less<typename std::iterator_traits<Iterator>::value_type>;
template <typename Range>
using RangeIterator = decltype(std::begin(std::declval<Range&>()));

// Sorts by operator<. That of arithmetic types is no code of the user's.
template <typename Iterator>
void sort_by_less(Iterator first, Iterator last) {
  AlgorithmCall call;
  if constexpr (std::is_arithmetic_v<typename std::iterator_traits<Iterator>::value_type>) {
    call.run([&] { onetbb::parallel_sort(first, last); });
  } else {
    const Less<Iterator> less;
    call.run(
        [&] { onetbb::parallel_sort(first, last, Borrowed<const Less<Iterator>>(call, less)); });
  }
}

}  // namespace internal

namespace tbb {

// Nothing may follow the arguments. It is said in a way that lets oneTBB's functions be the more
// specialised ones: see taskctx/tbb.h.

// Sorts [first, last) by `compare`, in parallel, and waits. Each comparison runs in the caller's
// context. Costs oneTBB's parallel_sort and a guard of two words per comparison, and one atomic
// increment for all.
template <typename Iterator, typename Compare, internal::AlgorithmOption... None>
internal::ParallelSort<Iterator, Iterator, const Compare&, None...> parallel_sort(
    Iterator first, Iterator last, const Compare& compare, None&&... /*none*/) {
  internal::AlgorithmCall call;
  call.run([&] {
    oneapi::tbb::parallel_sort(first, last, internal::Borrowed<const Compare>(call, compare));
  });
}

// Sorts [first, last) by operator<. As above; the operators of numbers need no guard.
template <typename Iterator, internal::AlgorithmOption... None>
internal::ParallelSort<Iterator, Iterator, None...> parallel_sort(Iterator first, Iterator last,
                                                                  None&&... /*none*/) {
  internal::sort_by_less(first, last);
}

// Does the same for `range`, from std::begin() to std::end().
template <typename Range, typename Compare, internal::AlgorithmOption... None>
internal::ParallelSort<Range, const Compare&, None...> parallel_sort(Range&& range,
                                                                     const Compare& compare,
                                                                     None&&... /*none*/) {
  tbb::parallel_sort(std::begin(range), std::end(range), compare);
}
template <typename Range, internal::AlgorithmOption... None>
internal::ParallelSort<Range, None...> parallel_sort(Range&& range, None&&... /*none*/) {
  internal::sort_by_less(std::begin(range), std::end(range));
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_SORT_H_
