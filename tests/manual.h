// SPDX-License-Identifier: Apache-2.0
//
// Manual: a coroutine type as users write them, resumed and destroyed by hand, or awaited.

#ifndef TASKCTX_TESTS_MANUAL_H_
#define TASKCTX_TESTS_MANUAL_H_

#include <coroutine>
#include <exception>
#include <utility>

#include "taskctx/context_promise.h"

namespace taskctx_test {

class Manual {
 public:
  struct promise_type : taskctx::ContextPromise {
    Manual get_return_object() {
      return Manual(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    auto initial_suspend() { return starting(std::suspend_always{}); }
    auto final_suspend() noexcept { return ending(std::suspend_always{}); }
    void return_void() {}
    void unhandled_exception() { error = std::current_exception(); }
    std::exception_ptr error;
  };

  Manual(Manual&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Manual& operator=(Manual&&) = delete;
  ~Manual() {
    if (handle_ != nullptr) {
      taskctx::ContextPromise::destroy(handle_);
    }
  }
  void resume() { handle_.resume(); }
  // Awaited, it begins in the context of its awaiter, which is not resumed at its end.
  auto operator co_await() {
    struct Awaiter {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> awaiter) const {
        handle.promise().share_context(awaiter.promise());
        handle.resume();
      }
      void await_resume() const noexcept {}
      std::coroutine_handle<promise_type> handle;
    };
    return Awaiter{handle_};
  }
  [[nodiscard]] bool done() const { return handle_.done(); }

 private:
  explicit Manual(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_MANUAL_H_
