// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_scan, with the caller's context in the body.
//
//   const long total = taskctx::tbb::parallel_scan(
//       taskctx::tbb::blocked_range<int>(0, n), 0L,
//       [&](const auto& range, long sum, bool is_final) { return scan(range, sum, is_final); },
//       std::plus<>());
//
// Isolation: each call starts with the caller's values: of the scan with one range, of
//            reverse_join() or assign() with two results.
// Covered:   all members of a Body; scan, reverse_join, and the copies, moves and destructors of
//            values. Not covered: the range's own copies and splits.
// Errors:    all of these may throw, also splits of the range (plain oneTBB hangs then). After an
//            error oneTBB loses some of the bodies that it has split: they are never destroyed.
// Threads, blocking: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_SCAN_H_
#define TASKCTX_TBB_PARALLEL_SCAN_H_

#include <oneapi/tbb/parallel_scan.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The return type of oneTBB's own overload for these arguments.
template <typename... Args>
using ParallelScan = decltype(onetbb::parallel_scan(std::declval<Args>()...));

// The caller's range, or one that was split from it. Empty if that split has thrown.
template <typename Range>
class ScanRange {
 public:
  ScanRange(const Range& range, FirstError& error) : range_(range), error_(&error) {}
  ScanRange(ScanRange& other, onetbb::split split) noexcept : error_(other.error_) {
    error_->guard([&] {
      if (other.range_) {
        range_.emplace(*other.range_, split);
      }
    });
  }

  [[nodiscard]] bool empty() const { return !range_ || range_->empty(); }
  [[nodiscard]] bool is_divisible() const { return range_ && range_->is_divisible(); }
  [[nodiscard]] Range* get() noexcept { return range_ ? std::addressof(*range_) : nullptr; }
  [[nodiscard]] const Range* get() const noexcept {
    return range_ ? std::addressof(*range_) : nullptr;
  }

 private:
  std::optional<Range> range_;
  FirstError* error_;
};

// The caller's Body, or one that was split from it.
template <typename Body>
class ScanBody : public SplitBody<Body> {
 public:
  using SplitBody<Body>::SplitBody;
  ScanBody(ScanBody& other, onetbb::split split) : SplitBody<Body>(other, split) {}

  template <typename Range, typename Tag>
  void operator()(Range& range, Tag tag) {
    if (auto* const part = range.get()) {
      run_body(this->call(), [&] { this->body()(*part, tag); });
    }
  }
  void reverse_join(ScanBody& left) {
    run_body(this->call(), [&] { this->body().reverse_join(left.body()); });
  }
  void assign(ScanBody& other) {
    run_body(this->call(), [&] { this->body().assign(other.body()); });
  }
};

// A Body made of the two functions of the functional form.
template <typename Value, typename Scan, typename ReverseJoin>
class ScanFunctions {
 public:
  ScanFunctions(const Value& identity, const Scan& scan, const ReverseJoin& reverse_join)
      : identity_(identity), scan_(scan), reverse_join_(reverse_join), value_(identity) {}
  ScanFunctions(ScanFunctions& other, onetbb::split /*split*/)
      : ScanFunctions(other.identity_, other.scan_, other.reverse_join_) {}

  template <typename Range, typename Tag>
  void operator()(Range& range, Tag tag) {
    value_ = std::invoke(scan_, range, std::as_const(value_), tag);
  }
  void reverse_join(ScanFunctions& left) {
    value_ = std::invoke(reverse_join_, std::as_const(left.value_), std::as_const(value_));
  }
  void assign(ScanFunctions& other) { value_ = other.value_; }
  [[nodiscard]] Value&& result() noexcept { return std::move(value_); }

 private:
  const Value& identity_;
  const Scan& scan_;
  const ReverseJoin& reverse_join_;
  Value value_;
};

}  // namespace internal

namespace tbb {

// What tells the two passes apart, for bodies that take it.
using oneapi::tbb::final_scan_tag;
using oneapi::tbb::pre_scan_tag;

// Runs `body` for parts of `range`, as oneTBB's parallel prefix does it, in parallel, and waits.
// `partitioner`: a simple_partitioner, an auto_partitioner, or none. All of the body's members run
// in the caller's context. Costs oneTBB's parallel_scan and a guard of two words for each call of a
// member, and one atomic increment for the whole scan.
template <typename Range, typename Body, internal::AlgorithmOption... Partitioner>
internal::ParallelScan<const Range&, Body&, Partitioner...> parallel_scan(
    const Range& range, Body& body, Partitioner&&... partitioner) {
  internal::FirstError error;
  const internal::ScanRange<Range> guarded(range, error);
  internal::AlgorithmCall call;
  internal::ScanBody<Body> ours(call, body);
  call.run([&] {
    oneapi::tbb::parallel_scan(guarded, ours, std::forward<Partitioner>(partitioner)...);
  });
  error.rethrow();
}

// Returns what `scan(range, value, is_final)` makes of all parts of `range`, beginning with
// `identity`; `reverse_join(left, right)` combines. As above.
template <typename Range, typename Value, typename Scan, typename ReverseJoin,
          internal::AlgorithmOption... Partitioner>
internal::ParallelScan<const Range&, const Value&, const Scan&, const ReverseJoin&, Partitioner...>
parallel_scan(const Range& range, const Value& identity, const Scan& scan,
              const ReverseJoin& reverse_join, Partitioner&&... partitioner) {
  internal::ScanFunctions<Value, Scan, ReverseJoin> body(identity, scan, reverse_join);
  tbb::parallel_scan(range, body, std::forward<Partitioner>(partitioner)...);
  return body.result();
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_SCAN_H_
