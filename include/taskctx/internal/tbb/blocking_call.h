// SPDX-License-Identifier: Apache-2.0
//
// What oneTBB's blocking algorithms and their bodies have in common.
//
//   const BlockingCall call;                           // on the caller's stack, until it returns
//   onetbb::parallel_sort(first, last, Borrowed(call, compare));
//
// A body that oneTBB runs installs the caller's context, and restores what was there. It borrows
// both: the caller waits for it.

#ifndef TASKCTX_INTERNAL_TBB_BLOCKING_CALL_H_
#define TASKCTX_INTERNAL_TBB_BLOCKING_CALL_H_

#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace onetbb = ::oneapi::tbb;

// Holds the caller's context during a blocking algorithm: pins its node, so that leaves may borrow
// it, and hides it from tasks that are not ours. The end of the algorithm puts it back, by
// exception and on another thread, too.
class BlockingCall {
 public:
  BlockingCall() : node_(capture()) {}

  [[nodiscard]] Node* node() const noexcept { return node_.get(); }
  // Says that its leaves are at work where the caller is.
  [[nodiscard]] Origin origin() const noexcept { return hidden_.origin(); }
  // Returns the pool that it is at work in, or nullptr.
  [[nodiscard]] Executor* executor() const noexcept { return hidden_.executor(); }

 private:
  const NodeRef node_;
  // Last: the caller's context is back before its node is unpinned.
  const Hidden hidden_;
};

// Tells whether there are calls. Costs a load and a test.
inline bool is_calling(const Calls& calls) noexcept {
  return calls.load(std::memory_order_relaxed) != 0;
}
// Stands for calls where nobody answers any.
struct NoCalls {};
inline bool is_calling(NoCalls /*calls*/) noexcept { return false; }

// Runs the enclosing block, a leaf, in the context of `call`, or a task in its own. Does what
// Installed does, in fewer instructions: it looks but once whether anybody watches switches. If so,
// it draws the id that a write would draw, so that its end has but one thing to test.
class Leaf {
 public:
  explicit Leaf(const BlockingCall& call) noexcept : Leaf(call.node(), call.origin()) {}
  Leaf(Node* node, Origin origin) noexcept {
    mine_.origin = origin;
    mine_.outer_node = current_node();
    mine_.outer = current_activation();
    set_current(node, &mine_);
    if (switch_watchers.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      be_watched();
      notify_switch(mine_.outer_node, node);
    }
  }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;
  ~Leaf() {
    if (mine_.id == 0 && is_current(&mine_)) [[likely]] {
      set_current(mine_.outer_node, mine_.outer);
    } else {
      end_slowly();
    }
  }

  // What was current before.
  [[nodiscard]] const Activation* outer() const noexcept { return mine_.outer; }

  // Goes on in the empty context, with what has been written dropped: lets go of the node.
  void leave_node() noexcept { begin_anew(&empty_node); }

  // Tells whether renew() has something to do, or there are calls: one test for both.
  [[nodiscard]] bool is_to_be_renewed(const Calls& calls) const noexcept {
    return (mine_.id | calls.load(std::memory_order_relaxed)) != 0;
  }
  [[nodiscard]] bool is_to_be_renewed(NoCalls /*calls*/) const noexcept { return mine_.id != 0; }

  // Begins anew, as another Leaf would after this one's end. Costs a load and a test if nothing has
  // been written.
  void renew(const BlockingCall& call) noexcept {
    if (mine_.id != 0) [[unlikely]] {
      begin_anew(call.node());
      if (switch_watchers.load(std::memory_order_relaxed) != 0) {
        be_watched();
      }
    }
  }

 private:
  void be_watched() noexcept {
    if (mine_.id == 0) {  // Whoever was told may have written.
      mine_.id = draw_id();
      mine_.scopes = 0;
    }
  }
  void begin_anew(Node* node) noexcept;
  void end_slowly() noexcept;

  Activation mine_;
};

[[gnu::noinline]] inline void Leaf::begin_anew(Node* node) noexcept {
  Node* written = std::exchange(mine_.node, nullptr);
  mine_.id = 0;
  switch_to(node, &mine_);
  if (written != nullptr) {
    release(written);
  }
}

[[gnu::noinline]] inline void Leaf::end_slowly() noexcept {
  leave(mine_, "task or loop's body");
  if (mine_.node != nullptr) {
    drop_written(mine_);
  }
}

// Keeps the first of what the user's code throws where oneTBB does not expect it: while it joins
// two results, or splits a range. It would hang. On the caller's stack, for one call.
class FirstError {
 public:
  FirstError() = default;
  // For what may also be called before oneTBB runs anything: there, in `outside`, there is nothing
  // to cancel yet.
  explicit FirstError(const onetbb::task_group_context* outside) noexcept : outside_(outside) {}

  // Calls `function`. If that throws, cancels the loop or group that this is called in, and returns
  // false.
  template <typename F>
  bool guard(F&& function) noexcept {
    try {
      std::forward<F>(function)();
      return true;
    } catch (...) {
      keep();
      return false;
    }
  }

  // Throws what has been kept. For the caller, when oneTBB has returned.
  void rethrow() const {
    if (error_ != nullptr) [[unlikely]] {
      std::rethrow_exception(error_);
    }
  }

 private:
  [[gnu::noinline]] void keep() noexcept {
    if (!is_taken_.exchange(true, std::memory_order_relaxed)) {
      error_ = std::current_exception();
    }
    onetbb::task_group_context* const here = onetbb::task::current_context();
    if (here != nullptr && here != outside_) {
      here->cancel_group_execution();
    }
  }

  const onetbb::task_group_context* const outside_ = nullptr;
  std::atomic<bool> is_taken_{false};
  std::exception_ptr error_;
};
// A callable of the caller's, to be called in the caller's context. Copies are cheap, and borrow
// the same callable.
template <typename F>
class Borrowed {
 public:
  Borrowed(const BlockingCall& call, F& function) noexcept : call_(&call), function_(function) {}

  template <typename... Args>
    requires std::invocable<F&, Args...>
  std::invoke_result_t<F&, Args...> operator()(Args&&... args) const {
    const Leaf context(*call_);
    return std::invoke(function_, std::forward<Args>(args)...);
  }

 private:
  const BlockingCall* call_;
  F& function_;
};

// A body that oneTBB splits, for reductions and scans: the caller's own, or one that was split from
// it. All its members run in the caller's context.
template <typename Body>
class SplitBody {
 public:
  SplitBody(const BlockingCall& call, Body& body) noexcept
      : call_(&call), body_(std::addressof(body)) {}
  SplitBody(SplitBody& other, onetbb::split split) : call_(other.call_) {
    const Leaf context(*call_);
    body_ = ::new (static_cast<void*>(std::addressof(split_))) Body(*other.body_, split);
  }
  SplitBody(const SplitBody&) = delete;
  SplitBody& operator=(const SplitBody&) = delete;
  ~SplitBody() {
    if (body_ == std::addressof(split_)) {
      const Leaf context(*call_);
      body_->~Body();
    }
  }

 protected:
  [[nodiscard]] const BlockingCall& call() const noexcept { return *call_; }
  [[nodiscard]] Body& body() const noexcept { return *body_; }

 private:
  const BlockingCall* call_;
  Body* body_;
  union {
    Body split_;
  };
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

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_BLOCKING_CALL_H_
