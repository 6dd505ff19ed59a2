// SPDX-License-Identifier: Apache-2.0
//
// What the sources of the program //benchmarks:shared_writes have in common. It does one operation
// after the other on two threads that take turns, for a count of what they write to the same cache
// lines: see counting.h, and shared_writes.py, which reads what it prints.
//
//   count("copy", [&] { const taskctx::Context copy(shared); });

#ifndef TASKCTX_BENCHMARKS_SHARED_WRITES_H_
#define TASKCTX_BENCHMARKS_SHARED_WRITES_H_

#include <thread>

#include "benchmarks/counting.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"

namespace bench {

// How often each of the two threads does what is counted.
inline constexpr int kLaps = 50;

// Calls `body()` on two threads.
template <typename Body>
void on_two_threads(Body body) {
  std::thread first([&] { body(); });
  std::thread second([&] { body(); });
  first.join();
  second.join();
}

// Counts `operation` on two threads, each of them inside of `context`, or outside of all contexts.
template <typename Operation>
void count(const char* name, Operation operation) {
  counting::Turns turns(name, kLaps);
  on_two_threads([&] {
    while (turns.next()) {
      operation();
    }
  });
  counting::report();
}
template <typename Operation>
void count_inside(const char* name, const taskctx::Context& context, Operation operation) {
  counting::Turns turns(name, kLaps);
  auto body = taskctx::bind(context, [&] {
    while (turns.next()) {
      operation();
    }
  });
  on_two_threads([&] { body(); });
  counting::report();
}

// Each counts the operations of one file.
void count_values(const taskctx::Context& ints, const taskctx::Context& strings);
void count_cancelling();
void count_onetbb(const taskctx::Context& context);
void count_pool(const taskctx::Context& context);

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_SHARED_WRITES_H_
