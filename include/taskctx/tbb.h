// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's algorithms, with the caller's context in all user code that they run, on every thread.
//
//   namespace ctbb = taskctx::tbb;  // in place of oneapi::tbb
//   taskctx::Scope scope{request_id, "r-1"};
//   ctbb::parallel_for(0, n, [&](int i) { use(request_id.get(), i); });  // "r-1" in each leaf
//
// Isolation: each call of a body starts from the caller's bindings, and what it sets is gone when
//            it returns: no other call sees it, on the same thread or not. A call is one index in
//            the overloads with indices, one range in those with ranges.
// Blocking:  while an algorithm waits, tasks that don't come from taskctx see an empty context on
//            the waiting thread, not the caller's. The caller's context is back when the algorithm
//            returns or throws, on whichever thread that is.
// Not here:  plain oneapi::tbb calls and tasks: those see what their thread has, by chance the
//            right context, another's, or none.
//
// Names, overloads, constraints, exceptions and ordering guarantees are oneTBB's own. The functions
// are less specialised than oneTBB's, so that `using taskctx::tbb::parallel_for` in your namespace
// does not make oneTBB's own calls ambiguous.

#ifndef TASKCTX_TBB_H_
#define TASKCTX_TBB_H_

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_group.h>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/current.h"
#include "taskctx/internal/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace onetbb = ::oneapi::tbb;

// Holds the caller's context during a blocking algorithm: pins its node, so that leaves may borrow
// it, and hides it from tasks that are not ours. The end of the algorithm puts it back, by
// exception and on another thread, too.
class BlockingCall {
 public:
  BlockingCall() : node_(capture()), origin_(current_activation()->origin.innermost()) {}

  [[nodiscard]] Node* node() const noexcept { return node_.get(); }
  // Where the caller runs: its leaves are at work for the same pool and job, on any thread.
  [[nodiscard]] Origin origin() const noexcept { return origin_; }

 private:
  NodeRef node_;
  Origin origin_;
  // Last: the caller's context is back before its node is unpinned.
  Installed hidden_{&empty_node};
};

// What may follow the body in an algorithm's arguments.
template <typename T>
inline constexpr bool kIsOption = std::is_base_of_v<onetbb::task_group_context, T>;
template <>
inline constexpr bool kIsOption<onetbb::simple_partitioner> = true;
template <>
inline constexpr bool kIsOption<onetbb::auto_partitioner> = true;
template <>
inline constexpr bool kIsOption<onetbb::static_partitioner> = true;
template <>
inline constexpr bool kIsOption<onetbb::affinity_partitioner> = true;
template <typename T>
concept AlgorithmOption = kIsOption<std::remove_cvref_t<T>>;

// Is what oneTBB's own overload returns for these arguments; there is none if oneTBB has none.
template <typename... Args>
using ParallelFor = decltype(onetbb::parallel_for(std::declval<Args>()...));

// The body of a loop over a range. oneTBB copies it for each task: copies and destructors of the
// user's body run in the context as well.
template <typename Range, typename Body>
class RangeBody {
 public:
  RangeBody(const BlockingCall& call, const Body& body)
      : node_(call.node()), origin_(call.origin()), body_((Installed(node_, origin_), body)) {}
  RangeBody(const RangeBody& other)
      : node_(other.node_),
        origin_(other.origin_),
        body_((Installed(node_, origin_), other.body())) {}
  RangeBody& operator=(const RangeBody&) = delete;
  ~RangeBody() {
    const Installed context(node_, origin_);
    body().~Body();
  }

  void operator()(Range& range) const {
    const Installed context(node_, origin_);
    std::invoke(body(), range);
  }

 private:
  [[nodiscard]] const Body& body() const noexcept { return body_; }

  Node* node_;
  Origin origin_;
  union {  // The destructor decides where the body's runs.
    Body body_;
  };
};

// The body of a loop over indices: the user's function, once for each.
template <typename Index, typename Function>
class IndexBody {
 public:
  IndexBody(const BlockingCall& call, Index first, Index step, const Function& function)
      : node_(call.node()),
        origin_(call.origin()),
        first_(first),
        step_(step),
        function_(function) {}

  void operator()(const onetbb::blocked_range<Index>& range) const {
    Installed context(node_, origin_);
    const Index end = range.end();
    Index i = range.begin();
    auto value = static_cast<Index>(first_ + i * step_);
    while (true) {
      std::invoke(function_, value);
      if (!(++i < end)) {
        break;
      }
      context.renew(node_);
      value = next(value);  // Not after the last one: that may be the greatest that Index can hold.
    }
  }

  // Counts first, first + step, ... < last; not 0. Written so that it asks no more of an Index type
  // than oneTBB does.
  static Index count(const Index& first, const Index& last, const Index& step) {
    if constexpr (std::integral<Index>) {
      return static_cast<Index>((last - first - 1) / step + 1);
    } else {
      return Index(last - first - 1UL) / step + Index(1);
    }
  }

 private:
  [[nodiscard]] Index next(Index value) const {
    if constexpr (std::integral<Index>) {
      return static_cast<Index>(value + step_);
    } else {
      return value += step_;
    }
  }

  Node* node_;
  Origin origin_;
  Index first_;
  Index step_;
  const Function& function_;
};

}  // namespace internal

namespace tbb {

using oneapi::tbb::affinity_partitioner;
using oneapi::tbb::auto_partitioner;
using oneapi::tbb::blocked_range;
using oneapi::tbb::simple_partitioner;
using oneapi::tbb::static_partitioner;
using oneapi::tbb::task_group_context;

// Calls `body` for parts of `range`, in parallel, and waits. `options`: a partitioner, a
// task_group_context, both in this order, or neither. Each call runs in the caller's context. Costs
// oneTBB's parallel_for and a guard of two words per call, and one atomic increment for the whole
// loop.
template <typename Range, typename Body, internal::AlgorithmOption... Options>
internal::ParallelFor<const Range&, const Body&, Options...> parallel_for(const Range& range,
                                                                          const Body& body,
                                                                          Options&&... options) {
  const internal::BlockingCall call;
  oneapi::tbb::parallel_for(range, internal::RangeBody<Range, Body>(call, body),
                            std::forward<Options>(options)...);
}

// Calls `function(i)` for first, first + step, ... < last, in parallel, and waits. As above; throws
// std::invalid_argument, as oneTBB does, if `step` is not positive.
template <typename Index, typename Function, internal::AlgorithmOption... Options>
internal::ParallelFor<Index, Index, Index, const Function&, Options...> parallel_for(
    Index first, Index last, Index step, const Function& function, Options&&... options) {
  if (step <= 0) {
    // Throws.
    oneapi::tbb::parallel_for(first, last, step, function, std::forward<Options>(options)...);
  } else if (first < last) {
    const internal::BlockingCall call;
    using Body = internal::IndexBody<Index, Function>;
    oneapi::tbb::parallel_for(
        oneapi::tbb::blocked_range<Index>(Index(0), Body::count(first, last, step)),
        Body(call, first, step, function), std::forward<Options>(options)...);
  }
}

// Calls `function(i)` for first, first + 1, ... < last, in parallel, and waits. As above.
template <typename Index, typename Function, internal::AlgorithmOption... Options>
internal::ParallelFor<Index, Index, const Function&, Options...> parallel_for(
    Index first, Index last, const Function& function, Options&&... options) {
  tbb::parallel_for(first, last, static_cast<Index>(1), function,
                    std::forward<Options>(options)...);
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_H_
