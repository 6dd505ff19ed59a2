// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_for, with the caller's context in the body.
//
//   taskctx::Scope scope{request_id, "r-1"};
//   taskctx::tbb::parallel_for(0, n, [&](int i) { use(request_id.get(), i); });  // "r-1" in each
//
// Isolation: each call of the body starts with the caller's values. A call is one index in the
//            overloads with indices, one range in those with ranges.
// Covered:   calls, copies and destructors of the body. Not: the range's own copies and splits.
// Threads, blocking, errors: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_FOR_H_
#define TASKCTX_TBB_PARALLEL_FOR_H_

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/tbb/blocking_call.h"
#include "taskctx/internal/tbb/loop_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The return type of oneTBB's own overload for these arguments. No type if oneTBB has no overload.
template <typename... Args>
using ParallelFor = decltype(onetbb::parallel_for(std::declval<Args>()...));

// The call object of a loop over such a range, on the caller's stack.
template <typename Range, typename... Options>
using CallOfLoop =
    std::conditional_t<(std::is_same_v<std::remove_cvref_t<Options>, onetbb::simple_partitioner> ||
                        ...),
                       SimpleLoopCall<Range>, LoopCall<Range>>;

// The body of a loop over a range. oneTBB copies it for each task. Copies and destructors of the
// user's body run in the caller's context, too, unless they are trivial.
template <typename Call, typename Body>
class RangeBody {
 public:
  RangeBody(Call& call, const Body& body) : call_(&call), body_(copy(call, body)) {}
  RangeBody(const RangeBody& other)
    requires(!std::is_trivially_copy_constructible_v<Body>)
      : call_(other.call_), body_(copy(*call_, other.body_)) {}
  RangeBody(const RangeBody& other) = default;
  RangeBody& operator=(const RangeBody&) = delete;
  ~RangeBody()
    requires(!std::is_trivially_destructible_v<Body>)
  {
    const LeafContext context(*call_);
    body_.~Body();
  }
  ~RangeBody() = default;

  template <typename Range>
  void operator()(Range& range) const {
    if (is_calling(call_->calls()) && call_->give_back(range, current_activation())) [[unlikely]] {
      return;
    }
    run_body(*call_, [&] { std::invoke(std::as_const(body_), range); });
  }

 private:
  static Body copy(const Call& call, const Body& body) {
    return run_body(call, [&]() -> Body { return body; });
  }

  Call* call_;
  union {  // The destructor runs the body's destructor itself, in the context.
    Body body_;
  };
};

// The body of a loop over indices: calls the user's function for each index.
template <typename Call, typename Index, typename Function>
class IndexBody {
 public:
  IndexBody(Call& call, Index first, Index step, const Function& function)
      : call_(&call), first_(first), step_(step), function_(function) {}

  void operator()(const onetbb::blocked_range<Index>& range) const {
    // Local copies, so that the compiler may keep them in registers.
    Call& call = *call_;
    const auto* calls = &call.calls();
    const Function& function = function_;
    const Index step = step_;
    const Index end = range.end();
    LeafContext context(call);
    Index i = range.begin();
    const auto give_back_rest = [&] {
      if (!is_calling(*calls)) {
        return false;
      }
      if (call.give_back({i, end, range.grainsize()}, context.outer())) {
        return true;
      }
      calls = &call.calls_left(context.outer());  // Or each index would be asked again, in vain.
      return false;
    };
    if (give_back_rest()) [[unlikely]] {
      return;
    }
    try {
      auto value = static_cast<Index>(first_ + i * step);
      while (true) {
        std::invoke(function, value);
        if (!(++i < end)) {
          break;
        }
        if (context.is_to_be_renewed(*calls)) [[unlikely]] {
          if (give_back_rest()) {
            break;
          }
          context.renew(call);
        }
        value = next(value, step);  // Not after the last one: that may be the type's greatest.
      }
    } catch (...) {
      call.remember();
      throw;
    }
  }

  // Returns how many of first, first + step, ... are less than last; there is at least one.
  // Requires no more of an Index type than oneTBB does.
  static Index count(const Index& first, const Index& last, const Index& step) {
    if constexpr (std::integral<Index>) {
      return static_cast<Index>((last - first - 1) / step + 1);
    } else {
      return Index(last - first - 1UL) / step + Index(1);
    }
  }

 private:
  static Index next(Index value, const Index& step) {
    if constexpr (std::integral<Index>) {
      return static_cast<Index>(value + step);
    } else {
      return value += step;
    }
  }

  Call* call_;
  Index first_;
  Index step_;
  const Function& function_;
};

}  // namespace internal

namespace tbb {

// Calls `body` for parts of `range`, in parallel, and waits. `options`: a partitioner, a
// task_group_context, both in this order, or neither. Each call runs in the caller's context. Costs
// oneTBB's parallel_for, a guard of two words per call, and one atomic increment per loop.
template <typename Range, typename Body, internal::AlgorithmOption... Options>
internal::ParallelFor<const Range&, const Body&, Options...> parallel_for(const Range& range,
                                                                          const Body& body,
                                                                          Options&&... options) {
  using Call = internal::CallOfLoop<Range, Options...>;
  Call call;
  call.run(range, internal::RangeBody<Call, Body>(call, body), std::forward<Options>(options)...);
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
    using Range = oneapi::tbb::blocked_range<Index>;
    using Call = internal::CallOfLoop<Range, Options...>;
    using Body = internal::IndexBody<Call, Index, Function>;
    Call call;
    call.run(Range(Index(0), Body::count(first, last, step)), Body(call, first, step, function),
             std::forward<Options>(options)...);
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

#endif  // TASKCTX_TBB_PARALLEL_FOR_H_
