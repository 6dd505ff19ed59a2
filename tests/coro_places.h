// SPDX-License-Identifier: Apache-2.0
//
// Where coroutines of a test go on: on new threads, in pools; what is wrong there is counted.

#ifndef TASKCTX_TESTS_CORO_PLACES_H_
#define TASKCTX_TESTS_CORO_PLACES_H_

#include <atomic>
#include <coroutine>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

namespace taskctx_test {

inline const taskctx::ContextVar<std::string> request{"request", "none"};
inline const taskctx::ContextVar<int> step{"step", 0};
inline thread_local int thread_local_step = 0;

// In a function of its own: within a coroutine, clang reads the one of the thread that the
// coroutine was on before, so that it would seem to be kept.
[[gnu::noinline]] inline int& step_of_this_thread() {
  asm volatile("");
  return thread_local_step;
}

// Where the coroutines of one test run, and what they found wrong.
struct Place {
  ~Place() { join(); }
  void join() {
    const std::lock_guard lock(mutex);
    for (std::thread& thread : threads) {
      thread.join();
    }
    threads.clear();
  }
  // Resumes `handle` on a new thread, which has a context of its own.
  void resume_on_new_thread(std::coroutine_handle<> handle) {
    const std::lock_guard lock(mutex);
    threads.emplace_back([this, handle] {
      const taskctx::Scope own{request, "the thread's"};
      handle.resume();
      wrong += request.get() != "the thread's" || step.get() != 0 ? 1 : 0;
    });
  }

  taskctx::JobPool pool{{.concurrency = 2}};
  taskctx::JobPool other{{.concurrency = 2}};
  std::atomic<int> wrong{0};
  std::mutex mutex;
  std::vector<std::thread> threads;
};

// Foreign awaitables: they know nothing of contexts.
struct NewThread {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    Place& there = place;  // The coroutine, and this object, may be gone at once.
    there.resume_on_new_thread(handle);
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Inline {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    place.wrong += request.get() != "none" ? 1 : 0;  // This is the thread's own.
    handle.resume();
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Refused {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> /*handle*/) const {
    place.wrong += request.get() != "none" ? 1 : 0;
    return false;
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Transfer {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> handle) const {
    place.wrong += request.get() != "none" ? 1 : 0;
    return handle;
  }
  void await_resume() const noexcept {}
  Place& place;
};
// Asked with a co_await operator, for something that can't be moved.
struct Immovable {
  struct Awaiter : std::suspend_never {
    explicit Awaiter(int value) : kept(value) {}
    Awaiter(Awaiter&&) = delete;
    [[nodiscard]] int await_resume() const noexcept { return kept; }
    const int kept;
  };
  Awaiter operator co_await() const { return Awaiter(value); }
  int value;
};
struct Throws {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> /*handle*/) const {
    throw std::runtime_error("not suspended");
  }
  void await_resume() const noexcept {}
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_CORO_PLACES_H_
