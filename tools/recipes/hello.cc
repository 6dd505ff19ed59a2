// SPDX-License-Identifier: Apache-2.0
//
// A spawned task takes a snapshot where it is made; a coroutine runs in its awaiter's context.
//
//   auto task = pool.spawn(hello());  // greets the name that is set now
//   auto coroutine = hello();         // greets the name that is set when it is awaited

#include <iostream>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/errors.h"
#include "taskctx/job_pool.h"

inline taskctx::ContextVar<std::string> what{"what"};

taskctx::Task<std::string> hello() {
  try {
    co_return "hello " + what.get();
  } catch (const taskctx::LookupError&) {
    co_return "hello?";
  }
}

taskctx::Task<> run(taskctx::JobPool& pool) {
  std::cout << "at first: " << co_await hello() << '\n';

  taskctx::Job<std::string> task_1 = pool.spawn(hello());
  taskctx::Task<std::string> coroutine_1 = hello();
  what.set("world");
  taskctx::Job<std::string> task_2 = pool.spawn(hello());
  taskctx::Task<std::string> coroutine_2 = hello();

  std::cout << "task made before: " << co_await task_1 << '\n';
  std::cout << "task made after: " << co_await task_2 << '\n';
  std::cout << "coroutine made before: " << co_await coroutine_1 << '\n';
  std::cout << "coroutine made after: " << co_await coroutine_2 << '\n';
}

int main() {
  taskctx::JobPool pool{{.concurrency = 2}};
  pool.spawn(run(pool)).get();
}
