// SPDX-License-Identifier: Apache-2.0
//
// BulkJob: one job that calls a function for each element of a range, on as many threads as come.
//
// It stays in the pool's queue until all its elements were begun; each thread that meets it there
// joins in, for a while. So a bulk costs one place in the queue, one capture and one reference
// count. A thread that has taken elements gives them back, except the one that it has begun, while
// jobs are due.

#ifndef TASKCTX_INTERNAL_POOL_BULK_JOB_H_
#define TASKCTX_INTERNAL_POOL_BULK_JOB_H_

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <forward_list>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/merged.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/pool_lanes.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename Range, typename F>
using BulkElementResult =
    std::invoke_result_t<F&, std::ranges::range_reference_t<std::remove_reference_t<Range>>>;

// What a bulk returns: a vector of what the calls return, or nothing.
template <typename R>
using BulkResult = std::conditional_t<std::is_void_v<R>, void, std::vector<R>>;

template <typename Range, typename F>
class BulkJob final : public JobResult<BulkResult<BulkElementResult<Range, F>>> {
 public:
  using Element = BulkElementResult<Range, F>;
  using Result = BulkResult<Element>;

  template <typename TheRange, typename G>
  BulkJob(PoolCore* pool, Inherited inherited, TheRange&& range, G&& function)
      : JobResult<Result>(pool, std::move(inherited), /*references=*/2, /*is_bulk=*/true),
        size_(static_cast<std::size_t>(std::ranges::size(range))) {
    if constexpr (!std::is_void_v<Element>) {
      results_ = std::make_unique<std::optional<Element>[]>(size_);
    }
    // What is copied comes first: that may throw, and must not find the other one moved.
    if constexpr (std::is_lvalue_reference_v<TheRange>) {
      range_.emplace(range);
      function_.emplace(std::forward<G>(function));
    } else {
      function_.emplace(std::forward<G>(function));
      range_.emplace(std::forward<TheRange>(range));
    }
    // A few visits for each thread, so that the last ones end together, but no more of them than
    // pay.
    visit_ = std::clamp<std::size_t>(size_ / (8 * static_cast<std::size_t>(pool->concurrency())), 1,
                                     256);
  }

 private:
  using Difference = std::ranges::range_difference_t<Range>;

  bool join(const LaneLock& lock) noexcept override {
    ++threads_;
    has_begun_ = true;
    return has_more(lock);
  }
  [[nodiscard]] bool has_begun(const LaneLock& /*lock*/) const noexcept override {
    return has_begun_;
  }
  [[nodiscard]] bool has_more(const LaneLock& /*lock*/) const noexcept {
    return (next_.load(std::memory_order_relaxed) < size_ || !given_back_.empty()) && !is_ending();
  }
  // Tells whether elements that have not begun are left out.
  [[nodiscard]] bool is_ending() const noexcept {
    return this->is_cancel_requested() || (cancel_count() != 0 && this->is_over());
  }
  // Not as a coroutine does, but it may be queued again.
  [[nodiscard]] bool may_suspend() const noexcept override { return true; }

  void perform(Ledger* /*ledger*/) noexcept override {
    visit();
    const bool is_last = this->pool()->end_share(this, [this](const LaneLock& lock) {
      const bool more = has_more(lock);  // Asked once: a cancellation may come at any time.
      return std::pair(more, --threads_ == 0 && !more);
    });
    if (is_last) {
      end();
    }
  }

  // Calls the function for some elements, each in a context of its own.
  void visit() noexcept {
    const auto [begin, end] = take();
    if (begin >= end) {
      return;
    }
    const JobExtras* const extras = this->extras();
    const Measured measured(this->pool()->accountant(), this->context_node(),
                            extras != nullptr ? extras->queued_at : 0, /*is_first=*/begin == 0);
    Installed context(this->context_node(), Origin::job(this));
    oneapi::tbb::this_task_arena::isolate([&, begin = begin, end = end] {
      Merged merged;
      for (std::size_t i = begin; i < end && !is_ending(); ++i) {
        if (i != begin && this->pool()->has_due() && give_back({i, end})) [[unlikely]] {
          break;
        }
        try {
          call_for(i);
          merged.add_written(this->context_node());
        } catch (...) {
          const JobState::HandledError handled = JobState::handled_error();
          if (has_thrown()) {
            pass_on_thrown(static_cast<const JobState*>(this));
          }
          keep_error(i, {handled.error, handled.kind, NodeRef::share(current_node())});
        }
        done_.fetch_add(1, std::memory_order_relaxed);
        context.renew(this->context_node());
      }
      if (!merged.is_empty()) [[unlikely]] {
        keep_merged(begin, std::move(merged));
      }
    });
  }

  struct Span {
    std::size_t begin;
    std::size_t end;
  };

  Span take() noexcept {
    if (has_given_back_.load(std::memory_order_relaxed)) [[unlikely]] {
      std::forward_list<Span> taken;
      this->pool()->locked(this, [&](const LaneLock& /*lock*/) {
        if (!given_back_.empty()) {
          taken.splice_after(taken.before_begin(), given_back_, given_back_.before_begin());
          has_given_back_.store(!given_back_.empty(), std::memory_order_relaxed);
        }
      });
      if (!taken.empty()) {
        return taken.front();
      }
    }
    const std::size_t begin = next_.fetch_add(visit_, std::memory_order_relaxed);
    return {begin, std::min(begin + visit_, size_)};
  }

  [[gnu::noinline]] bool give_back(Span span) noexcept {
    try {
      std::forward_list<Span> one{span};
      this->pool()->requeue_bulk(this, [&](const LaneLock& /*lock*/) {
        given_back_.splice_after(given_back_.before_begin(), one);
        has_given_back_.store(true, std::memory_order_relaxed);
      });
      return true;
    } catch (...) {  // No memory.
      return false;
    }
  }

  void call_for(std::size_t i) {
    auto&& element = std::ranges::begin(*range_)[static_cast<Difference>(i)];
    if constexpr (std::is_void_v<Element>) {
      std::invoke(*function_, std::forward<decltype(element)>(element));
    } else {
      results_[i].emplace(std::invoke(*function_, std::forward<decltype(element)>(element)));
    }
  }

  struct Failure {
    std::exception_ptr error;
    std::uint32_t kind = 0;
    NodeRef context;  // As it was left.
  };

  // Keeps the error of the first element that has one.
  void keep_error(std::size_t i, Failure failure) noexcept {
    this->pool()->locked(this, [&](const LaneLock& /*lock*/) {
      if (i < failed_at_) {
        failed_at_ = i;
        std::swap(failure_, failure);
      }
    });
  }

  // After the last thread has left: nobody else looks at the task's own members any more.
  void end() noexcept {
    if (failure_.error != nullptr) {
      this->end_without_result(failure_.kind, std::move(failure_.error),
                               std::move(failure_.context));
    } else if (done_.load(std::memory_order_relaxed) == size_) {
      this->run();
    } else if (done_.load(std::memory_order_relaxed) == 0 && this->is_over()) {
      this->end_unbegun();
    } else {
      this->end_without_result(JobState::kCancelled, nullptr);
    }
  }

  // Keeps what the elements of a visit have set of variables that have a merge function.
  void keep_merged(std::size_t begin, Merged merged) noexcept {
    try {
      std::forward_list<Part> one;
      one.push_front({begin, std::move(merged)});
      this->pool()->locked(
          this, [&](const LaneLock& /*lock*/) { parts_.splice_after(parts_.before_begin(), one); });
    } catch (...) {  // No memory.
      keep_error(begin, {std::current_exception(), JobState::kFailed, {}});
    }
  }
  void join_parts() {
    std::forward_list<Part> parts = std::move(parts_);
    parts.sort([](const Part& left, const Part& right) { return left.begin < right.begin; });
    for (const Part& part : parts) {
      this->add_merged(part.merged);
    }
  }

  void call() override {
    this->begin_to_end();
    function_.reset();
    range_.reset();
    join_parts();
    if constexpr (std::is_void_v<Element>) {
      this->store([] {});
    } else {
      this->store([this] {
        std::vector<Element> all;
        all.reserve(size_);
        for (std::size_t i = 0; i < size_; ++i) {
          all.push_back(std::move(*results_[i]));
        }
        results_.reset();
        return all;
      });
    }
  }
  void drop() noexcept override {
    function_.reset();
    range_.reset();
    results_.reset();
    parts_.clear();
  }

  struct Part {
    std::size_t begin;
    Merged merged;
  };

  std::optional<Range> range_;
  std::optional<F> function_;
  const std::size_t size_;
  std::size_t visit_ = 1;
  std::unique_ptr<std::optional<std::conditional_t<std::is_void_v<Element>, char, Element>>[]>
      results_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<bool> has_given_back_{false};
  std::forward_list<Span> given_back_;  // These are guarded by the lane's lock.
  int threads_ = 0;
  bool has_begun_ = false;
  std::size_t failed_at_ = static_cast<std::size_t>(-1);
  Failure failure_;
  std::forward_list<Part> parts_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_BULK_JOB_H_
