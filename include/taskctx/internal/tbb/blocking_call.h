// SPDX-License-Identifier: Apache-2.0
//
// BlockingCall, LeafContext: the context of a blocking algorithm's caller, and of its bodies.
//
//   AlgorithmCall call;                           // on the caller's stack, until it returns
//   call.run([&] { onetbb::parallel_sort(first, last, Borrowed(call, compare)); });
//
// Each body that oneTBB calls installs the caller's context, and restores what was there. It counts
// no references: the caller, which waits for it, keeps its node alive.

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
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/watch.h"
#include "taskctx/internal/tbb/call_link.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Holds the caller's context during a blocking algorithm: keeps its node alive, so that leaves may
// borrow it, and hides it from foreign tasks. Restores it at the algorithm's end, also after an
// exception, and on another thread.
class BlockingCall : public BodiesCall {
 public:
  // `is_in_group`: the leaves are in a group that the caller's link cancels.
  explicit BlockingCall(bool is_in_group = false)
      : node_(capture()), origin_(is_in_group ? hidden_.origin_in_group() : hidden_.origin()) {}

  [[nodiscard]] Node* node() const noexcept { return node_.get(); }
  // Returns where the caller is at work; its leaves are at work there, too.
  [[nodiscard]] Origin origin() const noexcept { return origin_; }
  // Returns the pool that the caller is at work in, or nullptr.
  [[nodiscard]] Executor* executor() const noexcept { return hidden_.executor(); }

 private:
  const NodeRef node_;
  // The caller's context is back before its node is released.
  const Hidden hidden_;
  const Origin origin_;
};

// The call of an algorithm: if the caller is cancelled, so is the algorithm, and it throws.
class AlgorithmCall : private CallLink, public BlockingCall {
 public:
  // Throws Cancelled if the caller is to stop.
  AlgorithmCall() : CallLink("begin algorithm"), BlockingCall(is_linked()) {}

  // Lets oneTBB run `algorithm()`, which gets these options, in a group that the caller's link
  // cancels: the caller's own task_group_context, if there is one among the options. Throws what
  // the algorithm throws, and Cancelled if it may have been ended early.
  template <typename Algorithm, typename... Options>
  void run(const Algorithm& algorithm, const Options&... options) {
    if (needs_group() || (is_in_group() && kHasContext<Options...>)) [[unlikely]] {
      run_in_group(algorithm, options...);
    } else {
      algorithm();
    }
    check();
  }

 protected:
  using CallLink::kind;

  // True if a task_group_context is among the options. It is the last one.
  template <typename... Options>
  static constexpr bool kHasContext =
      (std::is_base_of_v<onetbb::task_group_context, std::remove_cvref_t<Options>> || ...);

  // Calls `algorithm()`, which runs in `context`, likewise. `is_own`: it is of this kind(), and not
  // the caller's own.
  template <typename Algorithm>
  void run_in(onetbb::task_group_context& context, bool is_own, const Algorithm& algorithm) {
    if (needs_group() || (is_in_group() && !is_own)) [[unlikely]] {
      const GroupListener listener(link(), executor(), context);
      algorithm();
    } else {
      algorithm();
    }
    check();
  }

 private:
  void check() const { CallLink::check("finish algorithm"); }

  template <typename Algorithm, typename... Options>
  [[gnu::noinline]] void run_in_group(const Algorithm& algorithm, const Options&... options) {
    if constexpr (kHasContext<Options...>) {
      auto& context = std::get<sizeof...(Options) - 1>(std::tie(options...));
      const GroupListener listener(link(), executor(),
                                   const_cast<onetbb::task_group_context&>(
                                       static_cast<const onetbb::task_group_context&>(context)));
      algorithm();
    } else {
      onetbb::task_group_context context(kind());
      const GroupListener listener(link(), executor(), context);
      onetbb::task_group(context).run_and_wait(algorithm);
    }
  }
};

// Tells whether jobs call for a thread. Costs a load and a test. (Relaxed: only a hint.)
inline bool is_calling(const Calls& calls) noexcept {
  return calls.load(std::memory_order_relaxed) != 0;
}
// In place of Calls, for loops whose leaves can't leave anything to others.
struct NoCalls {};
inline constexpr NoCalls kNoCallsAtAll{};
inline bool is_calling(NoCalls /*calls*/) noexcept { return false; }

// Runs the enclosing block in the context of `call`, or a task in a context of its own. Does what
// Installed does, in fewer instructions: it checks for watchers of switches only at entry. If there
// are any it draws an id, as a write would; so the destructor tests only `id != 0` (written to, or
// watched).
class LeafContext {
 public:
  explicit LeafContext(const BlockingCall& call) noexcept
      : LeafContext(call.node(), call.origin()) {}
  LeafContext(Node* node, Origin origin) noexcept {
    mine_.origin = origin;
    mine_.outer_node = current_node();
    mine_.outer = current_activation();
    set_current(node, &mine_);
    if (switch_watchers.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      be_watched();
      notify_switch(mine_.outer_node, node);
    }
  }
  LeafContext(const LeafContext&) = delete;
  LeafContext& operator=(const LeafContext&) = delete;
  ~LeafContext() {
    if (mine_.id == 0 && is_current(&mine_)) [[likely]] {
      set_current(mine_.outer_node, mine_.outer);
    } else {
      end_slowly();
    }
  }

  // Returns the activation that was current before.
  [[nodiscard]] const Activation* outer() const noexcept { return mine_.outer; }

  // Drops what was written, and continues in the empty context: the node may be released then.
  void leave_node() noexcept { begin_anew(&empty_node); }

  // Tells whether renew() has something to do, or there are calls, with one test.
  [[nodiscard]] bool is_to_be_renewed(const Calls& calls) const noexcept {
    return (mine_.id | calls.load(std::memory_order_relaxed)) != 0;
  }
  [[nodiscard]] bool is_to_be_renewed(NoCalls /*calls*/) const noexcept { return mine_.id != 0; }

  // Begins again, like the end of this guard and the start of another one. Costs a load and a test
  // if nothing has been written.
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
    if (mine_.id == 0) {  // A watcher may have written.
      mine_.id = draw_id();
      mine_.scopes = 0;
    }
  }
  void begin_anew(Node* node) noexcept;
  void end_slowly() noexcept;

  Activation mine_;
};

[[gnu::noinline]] inline void LeafContext::begin_anew(Node* node) noexcept {
  Node* written = std::exchange(mine_.node, nullptr);
  mine_.id = 0;
  switch_to(node, &mine_);
  if (written != nullptr) {
    release_written(written);
  }
}

[[gnu::noinline]] inline void LeafContext::end_slowly() noexcept {
  leave(mine_, "task or loop's body");
  if (mine_.node != nullptr) {
    drop_written(mine_);
  }
}

// Returns what `function()` returns, called as a body of `call`: in its context, and so that
// context_of() tells of what it throws.
template <typename F>
decltype(auto) run_body(const BlockingCall& call, F&& function) {
  const LeafContext context(call);
  try {
    return std::forward<F>(function)();
  } catch (...) {
    call.remember();
    throw;
  }
}

// Keeps the first exception of user code where oneTBB hangs if one comes: when it joins two
// results, or splits a range. On the caller's stack, for one call.
class FirstError {
 public:
  FirstError() = default;
  // For callbacks that may also run before oneTBB's loop has begun, in the group `outside`: that
  // one is not to be cancelled.
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

  // Rethrows the exception, if there is one. For the caller, after oneTBB has returned.
  void rethrow() const {
    if (error_ != nullptr) [[unlikely]] {
      std::rethrow_exception(error_);
    }
  }

 private:
  [[gnu::noinline]] void keep() noexcept {
    // Relaxed: oneTBB's end of the call orders `error_` before rethrow().
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

// Calls a callable of the caller's in the caller's context. Copies are cheap: they borrow it.
template <typename F>
class Borrowed {
 public:
  Borrowed(const BlockingCall& call, F& function) noexcept : call_(&call), function_(function) {}

  template <typename... Args>
    requires std::invocable<F&, Args...>
  std::invoke_result_t<F&, Args...> operator()(Args&&... args) const {
    return run_body(*call_, [&]() -> decltype(auto) {
      return std::invoke(function_, std::forward<Args>(args)...);
    });
  }

 private:
  const BlockingCall* call_;
  F& function_;
};

// The body of a reduction or scan, which oneTBB splits: the caller's own, or one that was split
// from it. All members of the user's body run in the caller's context.
template <typename Body>
class SplitBody {
 public:
  SplitBody(const BlockingCall& call, Body& body) noexcept
      : call_(&call), body_(std::addressof(body)) {}
  SplitBody(SplitBody& other, onetbb::split split) : call_(other.call_) {
    body_ = run_body(*call_, [&] {
      return ::new (static_cast<void*>(std::addressof(split_))) Body(*other.body_, split);
    });
  }
  SplitBody(const SplitBody&) = delete;
  SplitBody& operator=(const SplitBody&) = delete;
  ~SplitBody() {
    if (body_ == std::addressof(split_)) {
      const LeafContext context(*call_);
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

// True for the types of arguments that may follow an algorithm's body.
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
