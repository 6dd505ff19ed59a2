// SPDX-License-Identifier: Apache-2.0
//
// Coroutines of other libraries, which begin at once and know nothing of contexts: Foreign destroys
// itself at its end; Plain is destroyed by who has it.
//
//   Foreign wait_for(Job<int> job) { co_await std::move(job); }

#ifndef TASKCTX_TESTS_FOREIGN_H_
#define TASKCTX_TESTS_FOREIGN_H_

#include <coroutine>
#include <exception>

namespace taskctx_test {

struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

class Plain {
 public:
  struct promise_type {
    Plain get_return_object() {
      return Plain(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  ~Plain() { handle_.destroy(); }

 private:
  explicit Plain(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_FOREIGN_H_
