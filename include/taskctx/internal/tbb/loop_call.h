// SPDX-License-Identifier: Apache-2.0
//
// LoopCall: a call of a loop whose body may give back the rest of its part of the range, and end,
// because a job calls for its thread: one that is due, or has waited for long.
//
//   LoopCall<Range> call;                                              // on the caller's stack
//   call.run(range, body, partitioner);                                // oneTBB's parallel_for
//   if (is_calling(call.calls()) && call.give_back(rest, outer)) return;   // in the body
//
// oneTBB looks for urgent tasks only between its tasks, and a task is a thread's whole share of the
// loop. What bodies have given back is run as another loop, with the same task_group_context, so
// that an exception or a cancellation ends it, or keeps it from beginning. The caller's thread
// starts it when the first loop has ended; it never gives anything back itself.

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

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename Range>
class LoopCall : public AlgorithmCall {
 public:
  LoopCall()
      : executor_(executor()), calls_(executor_ != nullptr ? &executor_->calls() : &no_calls) {}
  LoopCall(const LoopCall&) = delete;
  LoopCall& operator=(const LoopCall&) = delete;
  ~LoopCall() { const Parts left(parts_.load(std::memory_order_relaxed)); }

  // Returns the calls. A body that sees one calls give_back().
  [[nodiscard]] const Calls& calls() const noexcept { return *calls_; }
  // Returns those that are left to look at after give_back() has returned false: if this thread can
  // answer no call, only those in which cancellations are counted.
  [[nodiscard]] const Calls& calls_left(const Activation* outer) const noexcept {
    return can_answer(outer) ? *calls_ : no_calls;
  }

  // Gives `rest` back to the loop, if this thread can answer a call: nothing waits on its stack
  // below this body, around which `outer` is current. Returns whether it did, or the loop was
  // cancelled; the body must return then.
  [[gnu::noinline]] bool give_back(const Range& rest, const Activation* outer) noexcept {
    // (Relaxed: a hint.)
    const std::uint32_t calls = calls_->load(std::memory_order_relaxed);
    if (calls >= kStop && onetbb::is_current_task_group_canceling()) {
      return true;  // Nobody will ask for the rest.
    }
    if (calls % kStop == 0) {
      return false;
    }
    if (!can_answer(outer)) {
      return false;
    }
    if (!executor_->is_in_arena()) {
      // The same holds for all bodies of this loop. (Relaxed: only saves the look.)
      is_elsewhere_.store(true, std::memory_order_relaxed);
      return false;
    }
    try {
      auto* const part = new Part{rest, parts_.load(std::memory_order_relaxed)};
      // Pairs with nothing of ours: the end of oneTBB's loop orders this before run_parts().
      while (!parts_.compare_exchange_weak(part->next, part, std::memory_order_release,
                                           std::memory_order_relaxed)) {
      }
      return true;
    } catch (...) {  // No memory, or the range can't be copied.
      return false;
    }
  }

  // Runs the loop, and all that was given back.
  template <typename Body, typename... Options>
  void run(const Range& range, const Body& body, Options&&... options) {
    if constexpr (kHasContext<Options...>) {
      run_parts(range, body, std::get<sizeof...(Options) - 1>(std::tie(options...)),
                /*is_own=*/false, options...);
    } else {
      onetbb::task_group_context context(this->kind());
      run_parts(range, body, context, /*is_own=*/true, options..., context);
    }
  }

 private:
  [[nodiscard]] bool can_answer(const Activation* outer) const noexcept {
    return is_outermost(outer) && !is_elsewhere_.load(std::memory_order_relaxed);
  }

  template <typename Body, typename... Options>
  void run_parts(const Range& range, const Body& body, onetbb::task_group_context& context,
                 bool is_own, Options&... options) {
    this->run_in(context, is_own, [&] {
      onetbb::parallel_for(range, body, options...);
      run_what_was_given_back(body, context);
    });
  }

  template <typename Body>
  void run_what_was_given_back(const Body& body, onetbb::task_group_context& context) {
    // The end of oneTBB's loop makes visible what its bodies have done.
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

  // Several parts as one range. It splits between parts first. Copies and splits need no memory.
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
    std::optional<Range> one_;  // If size_ is 1.
  };

  Executor* const executor_;
  const Calls* const calls_;
  std::atomic<bool> is_elsewhere_{false};
  std::atomic<Part*> parts_{nullptr};
};

// A call of a loop with simple_partitioner: a task is one call of the body, with nothing to give
// back.
template <typename Range>
class SimpleLoopCall : public AlgorithmCall {
 public:
  [[nodiscard]] static const NoCalls& calls() noexcept { return kNoCallsAtAll; }
  [[nodiscard]] static const NoCalls& calls_left(const Activation* /*outer*/) noexcept {
    return kNoCallsAtAll;
  }
  static bool give_back(const Range& /*rest*/, const Activation* /*outer*/) noexcept {
    return false;
  }
  template <typename Body, typename... Options>
  void run(const Range& range, const Body& body, Options&&... options) {
    AlgorithmCall::run(
        [&] { onetbb::parallel_for(range, body, std::forward<Options>(options)...); }, options...);
  }
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_LOOP_CALL_H_
