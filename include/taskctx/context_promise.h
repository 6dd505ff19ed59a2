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
// The coroutine has a context of its own, which begins as a snapshot of its caller's, taken at the
// call. Whatever it awaits, and whichever thread resumes it, it keeps that context with all that it
// has set. The thread gets its own context back at each suspension, and at the end.
//
// Threads:  one at a time may run the coroutine, or destroy it.
// Lifetime: the context lives in the promise, as long as the coroutine's frame.
// Errors:   the constructor throws what copying a value with policy::copy throws. An
//           unhandled_exception() that throws must call leave_context() first.

#ifndef TASKCTX_CONTEXT_PROMISE_H_
#define TASKCTX_CONTEXT_PROMISE_H_

#include <coroutine>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/capture.h"
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
  FlowPromise& promise;  // Asked late: share_context() may change its flow.
};

// Leaves the flow when the coroutine has ended.
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

// A base class of promise types. It brings an await_transform(); a promise that has one of its own
// must pass its result through this one. Costs two stores at each suspension and resumption.
class ContextPromise : public internal::FlowPromise {
 public:
  // Destroys a suspended coroutine, in its context, so that its open scopes end in the context that
  // they began in. (For one that has not begun, or has ended, handle.destroy() does as well.)
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
      if (!is_own) {  // Its own flow has left in its destructor.
        flow->leave();
      }
    }
  }

  // Makes the coroutine run in its awaiter's context, as a Task does: each sees what the other
  // sets. Call it in your type's awaiter, before the coroutine is resumed for the first time.
  //
  //   void await_suspend(std::coroutine_handle<promise_type> awaiter) {
  //     handle.promise().share_context(awaiter.promise());
  void share_context(internal::FlowPromise& awaiter) noexcept { set_flow(awaiter.flow()); }

 protected:
  ContextPromise()
      : context_(internal::capture()), own_flow_(context_.get(), internal::capture_link()) {
    set_flow(&own_flow_);
  }
  ~ContextPromise() = default;

  // Wrap the awaiters that initial_suspend() and final_suspend() would otherwise return: the first
  // enters the context when the coroutine begins, the second leaves it at the end.
  template <typename Awaiter>
  auto starting(Awaiter awaiter) {
    return internal::Starting<Awaiter>{std::move(awaiter), *this};
  }
  template <typename Awaiter>
  auto ending(Awaiter awaiter) noexcept {
    return internal::Ending<Awaiter>{std::move(awaiter), *flow()};
  }

  // Restores the thread's own context where final_suspend() will not be reached.
  void leave_context() noexcept { flow()->leave(); }

 private:
  const internal::NodeRef context_;
  internal::PromiseFlow own_flow_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_PROMISE_H_
