// SPDX-License-Identifier: Apache-2.0
//
// Threads that are no pool's, to which coroutines can go.

#ifndef TASKCTX_TESTS_ELSEWHERE_H_
#define TASKCTX_TESTS_ELSEWHERE_H_

#include <coroutine>
#include <thread>

#include "tests/stealing.h"

namespace taskctx_test {

// What a coroutine awaits to be resumed by a thread that is nobody's.
class Elsewhere {
 public:
  Elsewhere() = default;
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  ~Elsewhere() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  [[nodiscard]] bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    is_suspended_.open();
  }
  void await_resume() const {}

  // Resumes the coroutine as soon as it is suspended, and `when` is open.
  void resume(const Latch& when) {
    thread_ = std::thread([this, &when] {
      is_suspended_.wait();
      when.wait();
      handle_.resume();
    });
  }

 private:
  std::coroutine_handle<> handle_;
  Latch is_suspended_;
  std::thread thread_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_ELSEWHERE_H_
