// SPDX-License-Identifier: Apache-2.0
//
// A coroutine that is resumed by hand.
//
//   Resumable<WithContext> suspends() {
//     while (true) {
//       co_await std::suspend_always{};
//     }
//   }

#ifndef TASKCTX_BENCHMARKS_RESUMABLE_H_
#define TASKCTX_BENCHMARKS_RESUMABLE_H_

#include <coroutine>
#include <exception>

#include "taskctx/context_promise.h"

namespace bench {

// The promise's base: with a context, and the same without.
struct WithContext : taskctx::ContextPromise {
  auto initial_suspend() { return starting(std::suspend_always{}); }
  auto final_suspend() noexcept { return ending(std::suspend_always{}); }
};
struct WithoutContext {
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_always final_suspend() noexcept { return {}; }
  template <typename Promise>
  static void destroy(std::coroutine_handle<Promise> handle) {
    handle.destroy();
  }
};

template <typename Base>
class Resumable {
 public:
  struct promise_type : Base {
    Resumable get_return_object() {
      return Resumable(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  Resumable(const Resumable&) = delete;
  Resumable& operator=(const Resumable&) = delete;
  ~Resumable() { promise_type::destroy(handle_); }

  void resume() { handle_.resume(); }

 private:
  explicit Resumable(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_RESUMABLE_H_
