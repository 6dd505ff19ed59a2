// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_reduce and parallel_deterministic_reduce, with the caller's context in the
// body.
//
//   const long sum = taskctx::tbb::parallel_reduce(
//       taskctx::tbb::blocked_range<int>(0, n), 0L,
//       [&](const auto& range, long sum) { return sum + count(range, request_id.get()); },
//       std::plus<>());
//
// Isolation: each call starts with the caller's values: of the function with one range, of the
//            reduction or join() with two results.
// Merge:     values that bodies set of a variable with a merge function (context_var_options.h) are
//            merged in the order of the range, and set for the caller at the end; none if the call
//            throws.
// Covered:   all members of a Body; function, reduction, and the copies, moves and destructors of
//            values. Not covered: the range's own copies and splits.
// Errors:    all of these may throw, also reduction and join() (plain oneTBB hangs then), and merge
//            functions: the reduction is cancelled, and the call throws the first error. If a range
//            throws while parallel_deterministic_reduce() splits it, oneTBB loses the Body that it
//            has split before.
// Threads, blocking: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_REDUCE_H_
#define TASKCTX_TBB_PARALLEL_REDUCE_H_

#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/version.h>

#include <functional>
#include <utility>

#include "taskctx/internal/core/merged.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The return types of oneTBB's own overloads for these arguments.
template <typename... Args>
using ParallelReduce = decltype(onetbb::parallel_reduce(std::declval<Args>()...));
template <typename... Args>
using ParallelDeterministicReduce =
    decltype(onetbb::parallel_deterministic_reduce(std::declval<Args>()...));

// The caller's Body, or one that was split from it.
template <typename Body>
class ReduceBody : public SplitBody<Body> {
 public:
  ReduceBody(const BlockingCall& call, Body& body, FirstError& error)
      : SplitBody<Body>(call, body), error_(error) {}
  ReduceBody(ReduceBody& other, onetbb::split split)
      : SplitBody<Body>(other, split), error_(other.error_) {}

  template <typename Range>
  void operator()(Range& range) {
    run_body(this->call(), [&] {
      std::invoke(this->body(), range);
      merged_.add_written(this->call().node());
    });
  }
  // After an error oneTBB joins no more: the loop is cancelled.
  void join(ReduceBody& right) noexcept {
    error_.guard([&] {
      run_body(this->call(), [&] {
        merged_.add(right.merged_);
        this->body().join(right.body());
        merged_.add_written(this->call().node());
      });
    });
  }

  // Returns what the bodies have set of variables with a merge function.
  [[nodiscard]] Merged& merged() noexcept { return merged_; }

 private:
  FirstError& error_;
  Merged merged_;
};

// A Body made of the two functions of the functional form.
template <typename Value, typename Function, typename Reduction>
class ReduceFunctions {
 public:
  ReduceFunctions(const Value& identity, const Function& function, const Reduction& reduction)
      : identity_(identity), function_(function), reduction_(reduction), value_(identity) {}
  ReduceFunctions(ReduceFunctions& other, onetbb::split /*split*/)
      : ReduceFunctions(other.identity_, other.function_, other.reduction_) {}

  template <typename Range>
  void operator()(Range& range) {
    value_ = std::invoke(function_, range, given(value_));
  }
  void join(ReduceFunctions& right) {
    value_ = std::invoke(reduction_, given(value_), given(right.value_));
  }
  [[nodiscard]] Value&& result() noexcept { return std::move(value_); }

 private:
  // Passes a value as this version of oneTBB does.
#if TBB_INTERFACE_VERSION >= 12130
  static Value&& given(Value& value) noexcept { return std::move(value); }
#else
  static const Value& given(Value& value) noexcept { return value; }
#endif

  const Value& identity_;
  const Function& function_;
  const Reduction& reduction_;
  Value value_;
};

// Lets oneTBB run a reduction with `body`. Then, back in the caller's context, merges what the
// calls have set into it.
template <typename Body, typename Run, typename... Options>
void reduce(Body& body, const Run& run, const Options&... options) {
  Merged merged;
  {
    FirstError error;
    AlgorithmCall call;
    ReduceBody<Body> ours(call, body, error);
    call.run([&] { run(ours); }, options...);
    error.rethrow();
    merged = std::move(ours.merged());
  }
  merged.apply();
}

}  // namespace internal

namespace tbb {

// Runs `body` for parts of `range`, split and joined as oneTBB does it, in parallel, and waits.
// `options`: a partitioner, a task_group_context, both in this order, or neither. All of the body's
// members run in the caller's context. Costs oneTBB's parallel_reduce and a guard of two words for
// each call of a member, and one atomic increment for the whole reduction.
template <typename Range, typename Body, internal::AlgorithmOption... Options>
internal::ParallelReduce<const Range&, Body&, Options...> parallel_reduce(const Range& range,
                                                                          Body& body,
                                                                          Options&&... options) {
  internal::reduce(
      body,
      [&](internal::ReduceBody<Body>& ours) {
        oneapi::tbb::parallel_reduce(range, ours, std::forward<Options>(options)...);
      },
      options...);
}

// Returns what `function(range, value)` makes of all parts of `range`, beginning with `identity`
// and combined by `reduction(left, right)`. As above.
template <typename Range, typename Value, typename Function, typename Reduction,
          internal::AlgorithmOption... Options>
internal::ParallelReduce<const Range&, const Value&, const Function&, const Reduction&, Options...>
parallel_reduce(const Range& range, const Value& identity, const Function& function,
                const Reduction& reduction, Options&&... options) {
  internal::ReduceFunctions<Value, Function, Reduction> body(identity, function, reduction);
  tbb::parallel_reduce(range, body, std::forward<Options>(options)...);
  return body.result();
}

// Runs `body` as parallel_reduce() does, split and joined in the same way at each run.
template <typename Range, typename Body, internal::AlgorithmOption... Options>
internal::ParallelDeterministicReduce<const Range&, Body&, Options...>
parallel_deterministic_reduce(const Range& range, Body& body, Options&&... options) {
  internal::reduce(
      body,
      [&](internal::ReduceBody<Body>& ours) {
        oneapi::tbb::parallel_deterministic_reduce(range, ours, std::forward<Options>(options)...);
      },
      options...);
}

// Returns what parallel_reduce() does, split and combined in the same way at each run.
template <typename Range, typename Value, typename Function, typename Reduction,
          internal::AlgorithmOption... Options>
internal::ParallelDeterministicReduce<const Range&, const Value&, const Function&, const Reduction&,
                                      Options...>
parallel_deterministic_reduce(const Range& range, const Value& identity, const Function& function,
                              const Reduction& reduction, Options&&... options) {
  internal::ReduceFunctions<Value, Function, Reduction> body(identity, function, reduction);
  tbb::parallel_deterministic_reduce(range, body, std::forward<Options>(options)...);
  return body.result();
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_REDUCE_H_
