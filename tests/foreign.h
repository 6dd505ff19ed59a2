// SPDX-License-Identifier: Apache-2.0
//
// Foreign: another library's coroutine, which begins at once and knows nothing of contexts.
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

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_FOREIGN_H_
