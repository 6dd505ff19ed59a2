// SPDX-License-Identifier: Apache-2.0
//
// Four spinners as coroutines on one thread, each with its own symbol: with a global variable, and
// with a context variable.
//
//   taskctx::Scope scope{symbol, 'a'};
//   pool.spawn(spin());  // prints a's, between the others' symbols
//
// While one sleeps, the others run. The global then has the last value that was set, so all four
// print the same symbol.

#include <iostream>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

constexpr int kRounds = 10;

char global_symbol = '.';
inline taskctx::ContextVar<char> symbol{"symbol", '.'};

taskctx::Task<> spin(char (*read)()) {
  for (int round = 0; round < kRounds; ++round) {
    co_await taskctx::sleep_for(absl::Milliseconds(10));
    std::cout << read();
  }
}

taskctx::Task<> run_spinners(taskctx::JobPool& pool, char (*read)()) {
  std::vector<taskctx::Job<void>> spinners;
  for (const char own : {'0', 'a', 'b', 'c'}) {
    global_symbol = own;
    taskctx::Scope scope{symbol, own};
    spinners.push_back(pool.spawn(spin(read)));
  }
  co_await taskctx::when_all(std::move(spinners));
  std::cout << '\n';
}

int main() {
  taskctx::JobPool pool{{.concurrency = 1}};
  pool.spawn(run_spinners(pool, [] { return global_symbol; })).get();
  pool.spawn(run_spinners(pool, [] { return symbol.get(); })).get();
}
