// SPDX-License-Identifier: Apache-2.0
//
// ContextPromise: gives a coroutine type of your own a context that it keeps.
//
//   struct Request {
//     struct promise_type : taskctx::ContextPromise {
//       Request get_return_object() { ... }
//       auto initial_suspend() { return starting(std::suspend_never{}); }
//       auto final_suspend() noexcept { return ending(std::suspend_always{}); }
//       ...
//     };
//   };
//
// The coroutine has a context of its own: a snapshot of its caller's, taken at the call. Whatever
// it awaits, and on whichever thread that resumes it, finds it there with what it has set; the
// thread gets back its own context at each suspension, and at the end.
//
// Threads:  one at a time may run the coroutine, or destroy it.
// Lifetime: the context lives in the promise, as long as the coroutine's frame.
// Errors:   the constructor throws what copying a value with policy::copy throws. What
//           unhandled_exception() throws must be preceded by leave_context().

#ifndef TASKCTX_CONTEXT_PROMISE_H_
#define TASKCTX_CONTEXT_PROMISE_H_

#include <coroutine>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Enters the flow when the coroutine begins.
template <typename Awaiter>
struct Starting {
  bool await_ready() { return static_cast<bool>(awaiter.await_ready()); }
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    return awaiter.await_suspend(handle);
  }
  void await_resume() {
    promise.flow()->enter();
    awaiter.await_resume();
  }

  Awaiter awaiter;
  FlowPromise& promise;  // Who awaits it may have changed the flow.
};

// Leaves it when the coroutine has ended.
template <typename Awaiter>
struct Ending {
  bool await_ready() noexcept {
    flow.leave();
    return static_cast<bool>(awaiter.await_ready());
  }
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    return awaiter.await_suspend(handle);
  }
  void await_resume() noexcept { awaiter.await_resume(); }

  Awaiter awaiter;
  Flow& flow;
};

}  // namespace internal

// A base of promise types. It brings await_transform(): a promise that has one of its own calls
// this one with what that returns. Costs the thread two stores at each suspension and at each
// resumption.
class ContextPromise : public internal::FlowPromise {
 public:
  // Destroys a coroutine that is suspended, in its context: scopes that are open in it end where
  // they began. (handle.destroy() is as good for one that has not begun, or has ended.)
  //
  //   ~Request() { taskctx::ContextPromise::destroy(handle_); }
  template <typename Promise>
    requires std::is_base_of_v<ContextPromise, Promise>
  static void destroy(std::coroutine_handle<Promise> coroutine) noexcept {
    internal::Flow* const flow = coroutine.promise().flow();
    const bool is_own = flow == &coroutine.promise().own_flow_;
    if (coroutine.done() || flow->is_entered()) {
      coroutine.destroy();
    } else {
      flow->enter();
      coroutine.destroy();
      if (!is_own) {  // That has left at its end.
        flow->leave();
      }
    }
  }

  // Runs the coroutine in the context of the one that awaits it, as a Task does: what either sets,
  // the other sees. For the awaiter of your own type, before it resumes the coroutine for the first
  // time.
  //
  //   void await_suspend(std::coroutine_handle<promise_type> awaiter) {
  //     handle.promise().share_context(awaiter.promise());
  void share_context(internal::FlowPromise& awaiter) noexcept { set_flow(awaiter.flow()); }

 protected:
  ContextPromise() : context_(internal::capture()), own_flow_(context_.get()) {
    set_flow(&own_flow_);
  }
  ~ContextPromise() = default;

  // What initial_suspend() and final_suspend() return, made of what they would return else.
  template <typename Awaiter>
  auto starting(Awaiter awaiter) {
    return internal::Starting<Awaiter>{std::move(awaiter), *this};
  }
  template <typename Awaiter>
  auto ending(Awaiter awaiter) noexcept {
    return internal::Ending<Awaiter>{std::move(awaiter), *flow()};
  }

  // Puts back the thread's own context where final_suspend() is not reached.
  void leave_context() noexcept { flow()->leave(); }

 private:
  const internal::NodeRef context_;
  internal::PromiseFlow own_flow_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_PROMISE_H_
