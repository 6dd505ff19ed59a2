// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_for_each, with the caller's context in the body.
//
//   taskctx::tbb::parallel_for_each(files, [&](const File& file) { search(file); });
//
// Isolation: each call of the body, with one item, starts from the caller's bindings; so do those
//            with items that a feeder has added.
// Covered:   calls of the body. Not: the iterators, and the copies of items that oneTBB makes.
// Threads, blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_FOR_EACH_H_
#define TASKCTX_TBB_PARALLEL_FOR_EACH_H_

#include <oneapi/tbb/parallel_for_each.h>

#include <concepts>
#include <functional>
#include <utility>

#include "taskctx/internal/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Is what oneTBB's own overload returns for these arguments.
template <typename... Args>
using ParallelForEach = decltype(onetbb::parallel_for_each(std::declval<Args>()...));

// The caller's body. It can be called with whatever the caller's can.
template <typename Body>
class ItemBody {
 public:
  ItemBody(const BlockingCall& call, const Body& body) : call_(call), body_(body) {}

  template <typename Item>
  requires std::invocable<const Body&, Item>
  void operator()(Item&& item) const {
    const Leaf context(call_);
    std::invoke(body_, std::forward<Item>(item));
  }
  template <typename Item, typename T>
  requires std::invocable < const Body&, Item, onetbb::feeder<T>
  & > void operator()(Item&& item, onetbb::feeder<T>& feeder) const {
    const Leaf context(call_);
    std::invoke(body_, std::forward<Item>(item), feeder);
  }

 private:
  const BlockingCall& call_;
  const Body& body_;
};

// The same with one signature. Where a body has that of a function with a feeder, oneTBB reads the
// type of the items from it, and so can't do with a template.
template <typename Body, typename Item, typename T>
class FedBody {
 public:
  FedBody(const BlockingCall& call, const Body& body) : call_(call), body_(body) {}

  void operator()(Item item, onetbb::feeder<T>& feeder) const {
    const Leaf context(call_);
    body_(std::forward<Item>(item), feeder);
  }

 private:
  const BlockingCall& call_;
  const Body& body_;
};

template <typename Body, typename Signature>
struct ForEachBodyOf {
  using type = ItemBody<Body>;
};
template <typename Body, typename Item, typename T>
struct ForEachBodyOf<Body, void (Body::*)(Item, onetbb::feeder<T>&) const> {
  using type = FedBody<Body, Item, T>;
};

template <typename Body>
struct ForEachBody : ForEachBodyOf<Body, void> {};
template <typename Body>
requires requires { &Body::operator(); }
struct ForEachBody<Body> : ForEachBodyOf<Body, decltype(&Body::operator())> {};

}  // namespace internal

namespace tbb {

// Calls `body(item)`, or `body(item, feeder)`, for each item of [first, last) and for those that
// are added to the feeder, in parallel, and waits. `context`: a task_group_context, or none. Each
// call runs in the caller's context. Costs oneTBB's parallel_for_each and a guard of two words per
// call, and one atomic increment for all.
template <typename Iterator, typename Body, internal::AlgorithmOption... Context>
internal::ParallelForEach<Iterator, Iterator, const Body&, Context...> parallel_for_each(
    Iterator first, Iterator last, const Body& body, Context&&... context) {
  const internal::BlockingCall call;
  oneapi::tbb::parallel_for_each(first, last,
                                 typename internal::ForEachBody<Body>::type(call, body),
                                 std::forward<Context>(context)...);
}

// Does the same for the items of `range`, from std::begin() to std::end().
template <typename Range, typename Body, internal::AlgorithmOption... Context>
internal::ParallelForEach<Range, const Body&, Context...> parallel_for_each(Range&& range,
                                                                            const Body& body,
                                                                            Context&&... context) {
  const internal::BlockingCall call;
  oneapi::tbb::parallel_for_each(std::forward<Range>(range),
                                 typename internal::ForEachBody<Body>::type(call, body),
                                 std::forward<Context>(context)...);
}

using oneapi::tbb::feeder;

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_FOR_EACH_H_
