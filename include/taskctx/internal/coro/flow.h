// SPDX-License-Identifier: Apache-2.0
//
// Flow: one flow of control through coroutines, and the context that it has for itself: a coroutine
// that somebody starts, and those that it awaits directly.
//
// A flow is entered by whoever resumes it, on that thread, and left before anybody else can resume
// it: so one thread at a time touches it, and the handle's way to the next one synchronizes. What
// it writes belongs to its activation, so tokens and scopes go with it.

#ifndef TASKCTX_INTERNAL_CORO_FLOW_H_
#define TASKCTX_INTERNAL_CORO_FLOW_H_

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class JobState;
class Suspension;

class Flow {
 public:
  // Begins in `node`, which the owner pins as long as the flow is there.
  explicit Flow(Node* node) noexcept : node_(node), activation_(&own_), root_(&own_) {}
  // Runs in the place of `caller`, who waits for its end, and goes on with node() and activation().
  Flow(Node* node, Activation* caller) noexcept : node_(node), activation_(caller), root_(caller) {}
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // Makes the flow's context current.
  void enter() noexcept {
    update(own_.outer_node, current_node());
    if (update(own_.outer, current_activation())) [[unlikely]] {
      root_->origin = origin_within(own_.outer);
    }
    loop_ = &no_loop;
    switch_to(node_, activation_);
  }
  // Puts back what was current at enter(). From now on another thread may enter, if it is told to.
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

  // Resumes `next` in this flow, which is entered, from the outside or out of await_suspend(). The
  // coroutines of a flow resume each other one after the other, from one loop, so awaiting deeply
  // or often does not grow the stack. (Symmetric transfer promises the same, but g++ keeps that
  // only where it optimizes.)
  void go_on(std::coroutine_handle<> next) {
    if (loop_ != &no_loop) {
      loop_->next = next;
      return;
    }
    Loop loop{next};
    Loop* here = &loop;
    asm("" : "+r"(here));  // g++ fears that it is kept for longer than it is there.
    loop_ = here;          // Nobody has it when the loop has ended: leave() forgets it.
    while (loop.next != nullptr) {
      std::exchange(loop.next, nullptr).resume();  // Nobody knows whether the flow is still there.
    }
  }

  // Goes on in another flow, on this thread and from the same loop.
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

  // Called at the end of the coroutine that the flow began with, which is still entered. The last
  // that is heard of the flow.
  virtual void end() noexcept {}

  [[nodiscard]] Node* node() const noexcept { return node_; }
  [[nodiscard]] Activation* activation() const noexcept { return activation_; }

  // The flow of the job that this one belongs to; nullptr if there is none.
  [[nodiscard]] Flow* home() const noexcept { return home_; }
  [[nodiscard]] JobState* job() const noexcept { return job_; }

  // Notes what the job is to resume, and by what that is suspended: for the job's own flow, before
  // the job is suspended.
  void set_next(Flow& flow, std::coroutine_handle<> next, Suspension* suspension) noexcept {
    next_flow_ = &flow;
    next_ = next;
    suspension_ = suspension;
  }

 protected:
  virtual ~Flow() { forget(); }

  // Lets go of what was written, when the flow has ended and is left.
  void forget() noexcept {
    if (Node* const written = std::exchange(own_.node, nullptr); written != nullptr) {
      release(written);
    }
  }

  // For the flow of a job: resumes what is noted.
  void resume_next() {
    Flow& flow = *next_flow_;
    flow.enter();
    flow.go_on(next_);
  }
  // For that job, while it waits: by what the coroutine is suspended.
  [[nodiscard]] Suspension* suspension() const noexcept { return suspension_; }

  Flow* home_ = nullptr;
  JobState* job_ = nullptr;
  Activation own_ = outermost_activation();  // Keeps what is around, in any case.
  Node* node_;  // What is current in the flow, while it is not entered.
  Activation* activation_;

 private:
  struct Loop {
    std::coroutine_handle<> next;
  };
  static Loop no_loop;  // Stands for none.

  // Returns where the flow's code is at work: where `outer` is, or, on a thread of no pool, in the
  // job that the flow belongs to. So what that waits for can run there, too.
  [[nodiscard]] Origin origin_within(const Activation* outer) const noexcept;

  // Mostly nothing has changed since the last time. A store of the same would have the next load
  // wait for it, and that one's store the next: a suspension and a resumption are one such chain.
  template <typename T>
  static bool update(T*& stored, T* now) noexcept {
    if (stored != now) [[unlikely]] {
      stored = now;
      return true;
    }
    return false;
  }

  // Where another activation is current than at enter(): notes that, if the flow has entered
  // contexts, or left some.
  bool has_switched() noexcept;
  void leave_crossed() noexcept;

  Activation* const root_;  // What all other activations of the flow are within.
  Loop* loop_ = nullptr;    // nullptr while the flow is not entered.
  Flow* next_flow_ = nullptr;
  std::coroutine_handle<> next_;
  Suspension* suspension_ = nullptr;
};

inline constinit Flow::Loop Flow::no_loop{};

// A flow that is part of a promise, and goes with it.
class PromiseFlow : public Flow {
 public:
  using Flow::Flow;
  ~PromiseFlow() override {
    if (is_entered()) {  // The coroutine is being destroyed.
      leave();
    }
  }

  // Called before that is entered to be destroyed, suspended in the middle.
  virtual void prepare_to_end() noexcept {}
};

// Returns what `co_await awaitable` asks.
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

// Keeps an awaiter, in no space if it has nothing. (What shares its space can't be built in place,
// which one that can't be moved must be.)
template <typename Awaiter>
struct Kept {
  Awaiter awaiter;
};
template <typename Awaiter>
  requires kHasNothing<Awaiter>
struct Kept<Awaiter> {
  [[no_unique_address]] Awaiter awaiter;
};

// Leaves the flow while the coroutine is suspended. `Awaiter` may be a reference.
template <typename Awaiter>
class Switching {
 public:
  template <typename A>
  Switching(A&& awaitable, Flow& flow)
      : kept_{awaiter_of(std::forward<A>(awaitable))}, flow_(flow) {}

  bool await_ready() { return static_cast<bool>(kept_.awaiter.await_ready()); }

  // Once the awaiter has the handle, the coroutine may run elsewhere, and this object be gone.
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

// Tells whether something knows itself what to do with the flow of the coroutine that awaits it.
template <typename A>
inline constexpr bool kKnowsFlow = requires { typename std::remove_cvref_t<A>::KnowsFlow; };

// A promise whose coroutine runs in a flow.
class FlowPromise {
 public:
  FlowPromise() = default;
  FlowPromise(const FlowPromise&) = delete;
  FlowPromise& operator=(const FlowPromise&) = delete;

  // Makes of anything that can be awaited something that keeps the context.
  template <typename A>
  auto await_transform(A&& awaitable) {
    if constexpr (kKnowsFlow<A>) {
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
