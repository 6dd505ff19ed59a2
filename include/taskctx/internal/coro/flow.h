// SPDX-License-Identifier: Apache-2.0
//
// Flow: one flow of control through coroutines, with a context of its own: a coroutine that other
// code starts, and the coroutines that it awaits directly.
//
// The thread that resumes a flow enters it, and leaves it before any other thread can resume it. So
// one thread at a time touches a flow, and passing the handle on synchronizes them. The flow's
// activation owns what the flow writes, so tokens and scopes move from thread to thread with it.

#ifndef TASKCTX_INTERNAL_CORO_FLOW_H_
#define TASKCTX_INTERNAL_CORO_FLOW_H_

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class JobFlow;
class JobState;
class Suspension;

// The job that a flow belongs to, and the flow that it began with; nullptr if there is none.
struct Home {
  JobState* job = nullptr;
  JobFlow* flow = nullptr;
};

class Flow {
 public:
  // Begins in `node`, which the owner keeps alive as long as the flow.
  explicit Flow(Node* node) noexcept : node_(node), activation_(&own_) {
    own_.origin = Origin::frame(&frame_);
  }
  // Runs in the place of `caller`, which waits for the flow's end and continues with its node() and
  // activation(). Meanwhile its origin is the flow's.
  Flow(Node* node, Activation* caller) noexcept : node_(node), activation_(caller) {
    own_.origin = Origin(caller);  // Never current: it leads to root().
  }
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // Makes the flow's context current.
  void enter() noexcept {
    update(own_.outer_node, current_node());
    if (update(own_.outer, current_activation())) [[unlikely]] {
      frame_.outer = origin_within(own_.outer);
    }
    loop_ = &no_loop;
    switch_to(node_, activation_);
  }
  // Restores what was current at enter(). From then on another thread may enter the flow.
  void leave() noexcept {
    loop_ = nullptr;
    if (is_current(activation_) || has_switched()) [[likely]] {
      update(node_, current_node());
      switch_to(own_.outer_node, own_.outer);
    } else {
      leave_crossed();
    }
  }
  [[nodiscard]] bool is_entered() const noexcept { return loop_ != nullptr; }

  // Resumes `next` in this flow, which must be entered; also callable in await_suspend(). All
  // coroutines of a flow are resumed from one loop, so deep or frequent awaiting does not grow the
  // stack. (Symmetric transfer promises the same, but g++ keeps that promise only when it
  // optimizes.)
  void go_on(std::coroutine_handle<> next) {
    if (loop_ != &no_loop) {
      loop_->next = next;
      return;
    }
    Loop loop{next};
    Loop* here = &loop;
    asm("" : "+r"(here));  // Or g++ warns of a dangling pointer.
    loop_ = here;          // leave() forgets it before the loop ends.
    while (loop.next != nullptr) {
      std::exchange(loop.next, nullptr).resume();  // The flow may be gone after this.
    }
  }

  // Leaves this flow, and resumes `next` in another one, on this thread and from the same loop.
  void hand_over(Flow& other, std::coroutine_handle<> next) {
    Loop* const loop = loop_;
    leave();
    other.enter();
    other.loop_ = loop;
    other.go_on(next);
  }
  // Leaves, and resumes a coroutine that has no flow.
  void hand_over(std::coroutine_handle<> next) {
    Loop* const loop = loop_;
    leave();
    if (loop != &no_loop) {
      loop->next = next;
    } else {
      next.resume();
    }
  }

  // Called, with the flow still entered, when the coroutine that it began with has ended. Nothing
  // of the flow is called after it.
  virtual void end() noexcept {}

  // The origin of all code of the flow, until the flow ends.
  [[nodiscard]] Origin origin() const noexcept { return Origin::frame(&frame_); }

  [[nodiscard]] Node* node() const noexcept { return node_; }
  [[nodiscard]] Activation* activation() const noexcept { return activation_; }

  [[nodiscard]] virtual Home home() noexcept { return {}; }

 protected:
  virtual ~Flow() { forget(); }

  // Releases what was written, after the flow has ended and was left.
  void forget() noexcept {
    if (Node* const written = std::exchange(own_.node, nullptr); written != nullptr) {
      release_written(written);
    }
  }

  Activation own_ = outermost_activation();  // Its `outer` is what enter() found.
  Node* node_;  // What is current in the flow, while it is not entered.
  Activation* activation_;
  Frame frame_{.outer = {}, .whose = Origin::as_outer()};

 private:
  struct Loop {
    std::coroutine_handle<> next;
  };
  static Loop no_loop;  // Means: entered, but no loop runs.

  // Returns where the flow's code is at work: where `outer` is; on a thread of no pool, in the job
  // that the flow belongs to, so that jobs which that one waits for can run there, too.
  [[nodiscard]] Origin origin_within(const Activation* outer) noexcept;
  // Returns the activation that all others of the flow are within.
  [[nodiscard]] const Activation* root() const noexcept;

  // Stores only if the value differs, which is rare. An unconditional store would be forwarded to
  // the next load, and put every suspension and resumption on one dependency chain.
  template <typename T>
  static bool update(T*& stored, T* now) noexcept {
    if (stored != now) [[unlikely]] {
      stored = now;
      return true;
    }
    return false;
  }

  // For leave(), when another activation is current than at enter(): returns true, and notes that
  // one, if the flow's own code has entered or left contexts.
  bool has_switched() noexcept;
  void leave_crossed() noexcept;

  Loop* loop_ = nullptr;  // nullptr while the flow is not entered.
};

inline constinit Flow::Loop Flow::no_loop{};

// The flow that a job begins with. It knows which coroutine the job is to resume, of whatever flow.
class JobFlow : public Flow {
 public:
  // Notes the coroutine, and which Suspension suspends it. Before the job is suspended.
  void set_next(Flow& flow, std::coroutine_handle<> next, Suspension* suspension) noexcept {
    next_flow_ = &flow;
    next_ = next;
    suspension_ = suspension;
  }

 protected:
  using Flow::Flow;
  ~JobFlow() override = default;

  // Notes the coroutine that the job begins with.
  void set_first(std::coroutine_handle<> first) noexcept { set_next(*this, first, nullptr); }
  void resume_next() {
    Flow& flow = *next_flow_;
    flow.enter();
    flow.go_on(next_);
  }
  // What suspends the coroutine, while the job waits; nullptr until it waits for the first time.
  [[nodiscard]] Suspension* suspension() const noexcept { return suspension_; }
  // The origin of that coroutine's code.
  [[nodiscard]] Origin next_origin() const noexcept { return next_flow_->activation()->origin; }

 private:
  Flow* next_flow_ = nullptr;
  std::coroutine_handle<> next_;
  Suspension* suspension_ = nullptr;
};

// A flow that is part of a promise, and ends with it.
class PromiseFlow : public Flow {
 public:
  explicit PromiseFlow(Node* node) noexcept : Flow(node) {}
  // Runs as the work of `link`, or of nobody.
  PromiseFlow(Node* node, LinkRef link) noexcept : Flow(node), link_(std::move(link)) {
    frame_.whose = Origin::link(link_);
  }
  ~PromiseFlow() override {
    if (is_entered()) {  // The coroutine is being destroyed.
      leave();
    }
  }

  // Called before the flow is entered to destroy its suspended coroutine.
  virtual void prepare_to_end() noexcept {}

 private:
  const LinkRef link_;
};

// Returns the awaiter that `co_await awaitable` uses.
template <typename A>
decltype(auto) awaiter_of(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}

template <typename Awaiter>
inline constexpr bool kHasNothing =
    std::is_empty_v<Awaiter> && std::is_trivially_copyable_v<Awaiter>;

// Keeps an awaiter, in no space if it is empty. (An awaiter that can't be moved must be built in
// place, and no_unique_address prevents that.)
template <typename Awaiter>
struct Kept {
  Awaiter awaiter;
};
template <typename Awaiter>
  requires kHasNothing<Awaiter>
struct Kept<Awaiter> {
  [[no_unique_address]] Awaiter awaiter;
};

// An awaiter that leaves the flow while the coroutine is suspended. `Awaiter` may be a reference.
template <typename Awaiter>
class Switching {
 public:
  template <typename A>
  Switching(A&& awaitable, Flow& flow)
      : kept_{awaiter_of(std::forward<A>(awaitable))}, flow_(flow) {}

  bool await_ready() { return static_cast<bool>(kept_.awaiter.await_ready()); }

  // Leaves first: once the awaiter has the handle, another thread may run the coroutine, and
  // destroy this object.
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    Flow& flow = flow_;
    flow.leave();
    try {
      return kept_.awaiter.await_suspend(handle);
    } catch (...) {  // Then the coroutine is not suspended.
      flow.enter();
      throw;
    }
  }

  decltype(auto) await_resume() {
    if (!flow_.is_entered()) {
      flow_.enter();
    }
    return kept_.awaiter.await_resume();
  }

 private:
  [[no_unique_address]] Kept<Awaiter> kept_;
  Flow& flow_;
};

// True for awaitables that handle the flow of their awaiter themselves.
template <typename A>
inline constexpr bool kKnowsFlow = requires { typename A::KnowsFlow; };

// A promise whose coroutine runs in a flow.
class FlowPromise {
 public:
  FlowPromise() = default;
  FlowPromise(const FlowPromise&) = delete;
  FlowPromise& operator=(const FlowPromise&) = delete;

  // Wraps any awaitable so that the coroutine keeps its context.
  template <typename A>
  auto await_transform(A&& awaitable) {
    if constexpr (kKnowsFlow<std::remove_cvref_t<A>>) {
      return awaiter_of(std::forward<A>(awaitable));
    } else {
      using Asked = decltype(awaiter_of(std::forward<A>(awaitable)));
      using Value = std::remove_cvref_t<Asked>;
      using Awaiter = std::conditional_t<kHasNothing<Value>, Value, Asked>;
      // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): inline assembly sets it.
      return Switching<Awaiter>(std::forward<A>(awaitable), *flow_);
    }
  }

  [[nodiscard]] Flow* flow() const noexcept { return flow_; }
  void set_flow(Flow* flow) noexcept { flow_ = flow; }

 protected:
  ~FlowPromise() = default;

 private:
  Flow* flow_ = nullptr;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_FLOW_H_
