// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_pipeline, where each token carries a context of its own through all filters.
//
//   namespace ctbb = taskctx::tbb;
//   ctbb::parallel_pipeline(8,
//       ctbb::make_filter<void, Request>(ctbb::filter_mode::serial_in_order, [&](auto& control) {
//         Request request = next(control);
//         request_id.set(request.id);  // for all that happens to this token
//         return request;
//       }) &
//       ctbb::make_filter<Request, void>(ctbb::filter_mode::parallel, &serve));
//
// Isolation: each call of the first filter starts with the values of the pipeline's caller. What a
//            filter sets is seen by the next filters for the same token, and by no other code.
// Covered:   calls of the filters, and destructors of the values that they pass on. Not covered:
//            the destructor of a filter's body, as a filter may outlive the pipeline.
// Cost:      oneTBB's pipeline; for each token and filter a guard of two words, and an allocation
//            by oneTBB (which plain oneTBB avoids for values no larger than a pointer).
// Errors:    filters may throw, and so may moves of the values. After an error, with several
//            threads at work, oneTBB may lose values on their way: they are never destroyed.
// Threads, blocking: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_PIPELINE_H_
#define TASKCTX_TBB_PARALLEL_PIPELINE_H_

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"
#include "taskctx/tbb/task_group.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A value on its way from filter to filter, with its context.
template <typename T>
class PipelineItem {
 public:
  // Takes the current context, in a filter. An item ends before its pipeline does.
  explicit PipelineItem(T&& value)
      : origin_(current_activation()->origin),
        node_(NodeRef::share(current_node())),
        value_(std::move(value)) {}
  PipelineItem(PipelineItem&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
      : origin_(other.origin_), value_(std::move(other.value_)) {
    node_ = std::move(other.node_);
  }
  PipelineItem& operator=(PipelineItem&&) = delete;
  ~PipelineItem() {
    LeafContext context(node_.get(), origin_);
    value_.~T();
    context.leave_node();
    node_ = NodeRef();  // Inside the guard: its values are destroyed where the filters run.
  }

  [[nodiscard]] Node* node() const noexcept { return node_.get(); }
  [[nodiscard]] T& value() noexcept { return value_; }

 private:
  Origin origin_;
  NodeRef node_;
  union {  // The destructor runs the value's destructor itself, in the context.
    T value_;
  };
};
template <>
class PipelineItem<void>;

template <typename T>
using PipelineItemOf = std::conditional_t<std::is_void_v<T>, void, PipelineItem<T>>;

// Returns what `call` returns, with the context that it leaves.
template <typename Output, typename Call>
PipelineItemOf<Output> make_pipeline_item(const Call& call) {
  if constexpr (std::is_void_v<Output>) {
    call();
  } else {
    Output value = call();  // May convert.
    return PipelineItem<Output>(std::move(value));
  }
}

// One run of a pipeline. It is the task_group_context of its tasks, which find it that way.
class PipelineRun : private AlgorithmCall, public onetbb::task_group_context {
 public:
  PipelineRun() : onetbb::task_group_context(AlgorithmCall::kind()) {}
  // For a run under another task_group_context.
  explicit PipelineRun(kind_type kind) : onetbb::task_group_context(kind) {}

  static const BlockingCall& current() {
    return *static_cast<const PipelineRun*>(onetbb::task::current_context());
  }

  void operator()(std::size_t max_live_tokens, const onetbb::filter<void, void>& chain) {
    onetbb::task_group_context& context = *this;
    run_in(context, /*is_own=*/true,
           [&] { onetbb::parallel_pipeline(max_live_tokens, chain, context); });
  }
  // Runs it in a task of `outer`, so that this context, which must be of the kind `bound`, is bound
  // to that.
  void run_under(onetbb::task_group_context& outer, std::size_t max_live_tokens,
                 const onetbb::filter<void, void>& chain) {
    onetbb::task_group_context& context = *this;
    run_in(outer, /*is_own=*/false, [&] {
      onetbb::parallel_for(
          0, 1, [&](int) { onetbb::parallel_pipeline(max_live_tokens, chain, context); }, outer);
    });
  }
};

// A filter's body, as oneTBB keeps it.
template <typename Input, typename Output, typename Body>
class FilterBody {
 public:
  explicit FilterBody(const Body& body) : body_(body) {}

  PipelineItemOf<Output> operator()(PipelineItem<Input>&& item) const {
    const BlockingCall& call = PipelineRun::current();
    const Installed context(item.node(), call.origin());
    try {
      return make_pipeline_item<Output>(
          [&]() -> decltype(auto) { return std::invoke(body_, std::move(item.value())); });
    } catch (...) {
      call.remember();
      throw;
    }
  }

 private:
  Body body_;
};
template <typename Output, typename Body>
class FilterBody<void, Output, Body> {
 public:
  explicit FilterBody(const Body& body) : body_(body) {}

  PipelineItemOf<Output> operator()(onetbb::flow_control& control) const {
    return run_body(PipelineRun::current(), [&] {
      return make_pipeline_item<Output>([&]() -> decltype(auto) { return body_(control); });
    });
  }

 private:
  Body body_;
};

// The types that a body takes and returns, if it has one call operator.
template <typename Signature>
struct FilterTypes;
template <typename Body, typename From, typename To>
struct FilterTypes<To (Body::*)(From) const> {
  using Taken = std::remove_cv_t<std::remove_reference_t<From>>;
  using Input = std::conditional_t<std::is_same_v<Taken, onetbb::flow_control>, void, Taken>;
  using Output = std::remove_cv_t<std::remove_reference_t<To>>;
};
template <typename Body, typename From, typename To>
struct FilterTypes<To (Body::*)(From)> : FilterTypes<To (Body::*)(From) const> {};
template <typename Body>
using FilterTypesOf = FilterTypes<decltype(&Body::operator())>;

struct FilterAccess;

}  // namespace internal

namespace tbb {

using oneapi::tbb::filter_mode;
using oneapi::tbb::flow_control;

// A filter, or a chain of them. Copies share their bodies. May be used for many runs, also at the
// same time.
template <typename Input, typename Output>
class filter {
 public:
  filter() = default;
  // Makes a filter of a copy of `body`: `Output(Input)`, or `Output(flow_control&)` for the first.
  template <typename Body>
  filter(filter_mode mode, const Body& body)
      : filter_(mode, internal::FilterBody<Input, Output, Body>(body)) {}
  filter(const filter&) = default;
  filter(filter&&) = default;  // NOLINT(performance-noexcept-move-constructor): as oneTBB's
  ~filter() = default;
  filter& operator=(const filter& other) {
    filter_ = other.filter_;
    return *this;
  }
  filter& operator=(filter&& other) {  // NOLINT(performance-noexcept-move-constructor)
    filter_ = std::move(other.filter_);
    return *this;
  }

  // Appends a filter.
  filter& operator&=(const filter<Output, Output>& right) {
    *this = *this & right;
    return *this;
  }

  // Makes it empty, as the default constructor does.
  void clear() { filter_.clear(); }

 private:
  friend struct internal::FilterAccess;
  using Native =
      oneapi::tbb::filter<internal::PipelineItemOf<Input>, internal::PipelineItemOf<Output>>;

  explicit filter(Native native) : filter_(std::move(native)) {}

  Native filter_;
};

template <typename Body>
filter(filter_mode, Body) -> filter<typename internal::FilterTypesOf<Body>::Input,
                                    typename internal::FilterTypesOf<Body>::Output>;

}  // namespace tbb

namespace internal {

struct FilterAccess {
  template <typename Input, typename Output>
  static const auto& native(const tbb::filter<Input, Output>& filter) {
    return filter.filter_;
  }
  template <typename Input, typename Output, typename Native>
  static tbb::filter<Input, Output> make(const Native& native) {
    return tbb::filter<Input, Output>(native);
  }
};

}  // namespace internal

namespace tbb {

// Makes a filter of a copy of `body`.
template <typename Input, typename Output, typename Body>
filter<Input, Output> make_filter(filter_mode mode, const Body& body) {
  return {mode, body};
}
template <typename Body>
filter<typename internal::FilterTypesOf<Body>::Input,
       typename internal::FilterTypesOf<Body>::Output>
make_filter(filter_mode mode, const Body& body) {
  return {mode, body};
}

// Joins two filters: `right` takes what `left` returns.
template <typename Input, typename Middle, typename Output>
filter<Input, Output> operator&(const filter<Input, Middle>& left,
                                const filter<Middle, Output>& right) {
  using internal::FilterAccess;
  return FilterAccess::make<Input, Output>(FilterAccess::native(left) &
                                           FilterAccess::native(right));
}

// Runs tokens through `chain` until its first filter stops it, at most `max_live_tokens` at once,
// and waits. The caller's context is back when this returns, or throws what a filter has thrown.
inline void parallel_pipeline(std::size_t max_live_tokens, const filter<void, void>& chain) {
  internal::PipelineRun run;
  run(max_live_tokens, internal::FilterAccess::native(chain));
}

// Likewise under `context`: cancelling that cancels the pipeline, and vice versa.
inline void parallel_pipeline(std::size_t max_live_tokens, const filter<void, void>& chain,
                              task_group_context& context) {
  internal::PipelineRun run(task_group_context::bound);
  run.run_under(context, max_live_tokens, internal::FilterAccess::native(chain));
}

// Joins the filters, two or more, and runs tokens through them. The last argument may be a
// task_group_context.
template <typename First, typename Second, typename... More>
  requires requires(const First& first, const Second& second) { first& second; }
void parallel_pipeline(std::size_t max_live_tokens, const First& first, const Second& second,
                       More&&... more) {
  tbb::parallel_pipeline(max_live_tokens, first & second, std::forward<More>(more)...);
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_PIPELINE_H_
