// SPDX-License-Identifier: Apache-2.0
//
// LoopCall: a call of a loop whose leaves may leave the rest of their part of the range to others,
// and end, because their thread is called to something more urgent.
//
//   LoopCall<Range> call;                                              // on the caller's stack
//   call.run(range, body, partitioner);                                // oneTBB's parallel_for
//   if (is_calling(call.calls()) && call.leave(rest, outer)) return;   // in the body
//
// oneTBB looks for what is urgent between its tasks, and a task is a thread's share of the loop, a
// long series of leaves. What was left is another such loop, with the same task_group_context: an
// exception or a cancellation ends it, or lets it not begin. It begins when the first one has
// ended, which its caller's thread sees to: that one never leaves anything.

#ifndef TASKCTX_INTERNAL_TBB_LOOP_CALL_H_
#define TASKCTX_INTERNAL_TBB_LOOP_CALL_H_

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstddef>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/origin.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Of what runs in no pool.
inline constinit Calls no_calls{0};

template <typename Range>
class LoopCall : public BlockingCall {
 public:
  LoopCall()
      : executor_(executor()), calls_(executor_ != nullptr ? &executor_->calls() : &no_calls) {}
  LoopCall(const LoopCall&) = delete;
  LoopCall& operator=(const LoopCall&) = delete;
  ~LoopCall() { const Parts left(parts_.load(std::memory_order_relaxed)); }

  // A leaf that sees one asks leave().
  [[nodiscard]] const Calls& calls() const noexcept { return *calls_; }

  // Leaves `rest` to the loop, if this thread can do what it is called to: it has nothing else
  // to do than this leaf, around which `outer` is current. Returns whether that is so; the body is
  // to return then.
  [[gnu::noinline]] bool leave(const Range& rest, const Activation* outer) noexcept {
    if (!is_outermost(outer) || is_elsewhere_.load(std::memory_order_relaxed)) {
      return false;
    }
    if (!executor_->is_in_arena()) {
      is_elsewhere_.store(true, std::memory_order_relaxed);  // So are all of the loop's leaves.
      return false;
    }
    try {
      auto* const part = new Part{rest, parts_.load(std::memory_order_relaxed)};
      while (!parts_.compare_exchange_weak(part->next, part, std::memory_order_release,
                                           std::memory_order_relaxed)) {
      }
      return true;
    } catch (...) {  // No memory, or the range can't be copied.
      return false;
    }
  }

  // Runs the loop, with all of its parts.
  template <typename Body, typename... Options>
  void run(const Range& range, const Body& body, Options&&... options) {
    if constexpr ((std::is_base_of_v<onetbb::task_group_context, std::remove_cvref_t<Options>> ||
                   ...)) {
      run_parts(range, body, std::get<sizeof...(Options) - 1>(std::tie(options...)), options...);
    } else {
      onetbb::task_group_context context;
      run_parts(range, body, context, options..., context);
    }
  }

 private:
  template <typename Body, typename... Options>
  void run_parts(const Range& range, const Body& body, onetbb::task_group_context& context,
                 Options&... options) {
    onetbb::parallel_for(range, body, options...);
    // The end of oneTBB's loop makes visible what its leaves have done.
    while (Part* const left = parts_.load(std::memory_order_relaxed)) {
      parts_.store(nullptr, std::memory_order_relaxed);
      const Parts parts(left);
      onetbb::parallel_for(
          Rest(left), [body](Rest& rest) { rest.visit([&body](Range& part) { body(part); }); },
          context);
    }
  }

  struct Part {
    Range range;
    Part* next;
  };

  // Owns a list of parts.
  struct Parts {
    explicit Parts(Part* its_first) noexcept : first(its_first) {}
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;
    ~Parts() {
      while (first != nullptr) {
        delete std::exchange(first, first->next);
      }
    }
    Part* first;
  };

  // Some parts, as one range: it splits between them first. Copies and splits need no memory.
  class Rest {
   public:
    explicit Rest(Part* first) : first_(first) {
      for (const Part* part = first; part != nullptr; part = part->next) {
        ++size_;
      }
      become_one();
    }
    Rest(Rest& other, onetbb::split split) {
      if (other.size_ == 1) {
        size_ = 1;
        one_.emplace(*other.one_, split);
        return;
      }
      first_ = other.first_;
      size_ = other.size_ / 2;
      for (std::size_t i = 0; i < size_; ++i) {
        other.first_ = other.first_->next;
      }
      other.size_ -= size_;
      other.become_one();
      become_one();
    }

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] bool is_divisible() const { return size_ > 1 || one_->is_divisible(); }

    template <typename Visit>
    void visit(Visit visit) {
      if (size_ == 1) {
        return visit(*one_);
      }
      for (Part* part = first_; size_ != 0; part = part->next, --size_) {
        visit(part->range);
      }
    }

   private:
    void become_one() {
      if (size_ == 1) {
        one_.emplace(first_->range);
      }
    }

    Part* first_ = nullptr;
    std::size_t size_ = 0;
    std::optional<Range> one_;  // If it is one.
  };

  Executor* const executor_;
  const Calls* const calls_;
  std::atomic<bool> is_elsewhere_{false};
  std::atomic<Part*> parts_{nullptr};
};

// A call of a loop with simple_partitioner: there a task is one leaf, and has nothing to leave.
template <typename Range>
class SimpleLoopCall : public BlockingCall {
 public:
  [[nodiscard]] static NoCalls calls() noexcept { return {}; }
  static bool leave(const Range& /*rest*/, const Activation* /*outer*/) noexcept { return false; }
  template <typename Body, typename... Options>
  static void run(const Range& range, const Body& body, Options&&... options) {
    onetbb::parallel_for(range, body, std::forward<Options>(options)...);
  }
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_LOOP_CALL_H_
