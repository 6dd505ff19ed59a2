// SPDX-License-Identifier: Apache-2.0
//
// One operation after the other, for a count of instructions: see instructions.py, which runs this
// under valgrind. measured() is what it counts: it is called twice for each operation, with two
// numbers of times, so that what does not depend on that number cancels out. The first line of
// output names the compiler, and then for each call, in order, a line says what was done and how
// often.
//
// The variable is at namespace scope, as users have it, and lies in the middle of those set.

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/concurrent_queue.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_group.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"

namespace bench {

constinit taskctx::ContextVar<int> variable{"variable"};
constinit taskctx::ContextVar<std::string> text{"text"};

namespace {

using Range = oneapi::tbb::blocked_range<int>;

[[gnu::noinline]] void nothing() { clobber(); }
[[gnu::noinline]] void thread_local_get() { keep(thread_local_int); }
[[gnu::noinline]] void get_int() { keep(variable.get()); }
[[gnu::noinline]] void find_int() { keep(variable.find()); }
[[gnu::noinline]] void get_string() { keep(&text.get()); }
[[gnu::noinline]] void scope() {
  const taskctx::Scope scope{variable, 5};
  clobber();
}
[[gnu::noinline]] void capture_release() {
  const taskctx::Context captured = taskctx::copy_context();
  keep(&captured);
}
[[gnu::noinline]] void set_after_capture() {
  const taskctx::Context captured = taskctx::copy_context();
  variable.set(5);
}

[[gnu::noinline]] void cancelled() { keep(taskctx::cancelled()); }
[[gnu::noinline]] void cancel_scope() {
  const taskctx::CancelScope scope;
  clobber();
}

constexpr auto kBody = [] { clobber(); };
using Task = decltype(taskctx::bind(kBody));
Task* task = nullptr;

[[gnu::noinline]] void install_restore() { (*task)(); }
[[gnu::noinline]] void hop() {
  taskctx::bind([] { keep(variable.get()); })();
}

// Through a queue, from and to this thread.
template <typename Message>
[[gnu::noinline]] void push_pop() {
  static oneapi::tbb::concurrent_queue<Message> queue;
  queue.push(1);
  Message popped;
  queue.try_pop(popped);
  keep(&popped);
}

template <void (*kOperation)()>
void repeat(int times) {
  for (int i = 0; i < times; ++i) {
    kOperation();
  }
}

void cancelled_in_scope(int times) {
  const taskctx::CancelScope scope;
  repeat<&cancelled>(times);
}

void leaves(int times) {
  taskctx::tbb::parallel_for(
      Range(0, times, 1), [](const Range& range) { keep(range.begin()); },
      oneapi::tbb::simple_partitioner());
}
void raw_leaves(int times) {
  oneapi::tbb::parallel_for(
      Range(0, times, 1), [](const Range& range) { keep(range.begin()); },
      oneapi::tbb::simple_partitioner());
}
void indices(int times) {
  taskctx::tbb::parallel_for(0, times, [](int i) { keep(i); });
}
void raw_indices(int times) {
  oneapi::tbb::parallel_for(0, times, [](int i) { keep(i); });
}

template <typename Group>
void run_tasks(int times) {
  Group group;
  for (int i = 0; i < times; ++i) {
    group.run([i] { keep(i); });
  }
  group.wait();
}

struct Operation {
  const char* name;
  void (*run)(int times);
};

constexpr Operation kOperations[] = {
    {"nothing", &repeat<&nothing>},
    {"thread_local_get", &repeat<&thread_local_get>},
    {"get_int", &repeat<&get_int>},
    {"find_int", &repeat<&find_int>},
    {"get_string", &repeat<&get_string>},
    {"scope", &repeat<&scope>},
    {"install_restore", &repeat<&install_restore>},
    {"capture_release", &repeat<&capture_release>},
    {"hop", &repeat<&hop>},
    {"set_after_capture", &repeat<&set_after_capture>},
    {"leaf", &leaves},
    {"raw_leaf", &raw_leaves},
    {"index", &indices},
    {"raw_index", &raw_indices},
    {"task", &run_tasks<taskctx::tbb::task_group>},
    {"raw_task", &run_tasks<oneapi::tbb::task_group>},
    {"carried", &repeat<&push_pop<taskctx::Carried<int>>>},
    {"raw_carried", &repeat<&push_pop<int>>},
    {"cancelled", &repeat<&cancelled>},
    {"cancel_scope", &repeat<&cancel_scope>},
};

// After something was cancelled, anywhere in the process.
constexpr Operation kLaterOperations[] = {
    {"cancelled_later", &repeat<&cancelled>},
    {"cancelled_in_scope", &cancelled_in_scope},
};

}  // namespace

// The names that valgrind looks for: it counts anew from the one, until the other returns.
// (Not the same code as nothing(): the compiler would make them one function.)
[[gnu::noinline]] void begin() { keep(0); }
[[gnu::noinline]] void measured(void (*run)(int times), int times) {
  run(times);
  clobber();  // No tail call: the function lasts as long as what it runs.
}

namespace {

void run_all(std::size_t size, std::span<const Operation> operations) {
  const Variables<int> others(size);
  taskctx::Context().run([&] {
    text.set("request");
    for (std::size_t i = 0; i + 1 < size; ++i) {
      if (i == size / 2) {
        variable.set(1);
      }
      others[i].set(1);
    }
    variable.set(1);
    auto here = taskctx::bind(kBody);
    task = &here;
    for (const Operation& operation : operations) {
      operation.run(100);  // Slots are given, and allocators and thread-locals are ready.
      for (const int times : {1000, 2000}) {
        begin();
        measured(opaque(operation.run), times);
        std::printf("%s %zu %d\n", operation.name, size, times);
      }
    }
  });
}

}  // namespace
}  // namespace bench

int main() {
#ifndef __OPTIMIZE__
  std::fputs("cannot count instructions: this program was built without optimization\n", stderr);
  return EXIT_FAILURE;
#endif
  std::printf("%s\n", bench::compiler().c_str());
  const oneapi::tbb::global_control one_thread(oneapi::tbb::global_control::max_allowed_parallelism,
                                               1);
  for (const std::size_t size : bench::kSizes) {
    bench::run_all(size, bench::kOperations);
  }
  (void)taskctx::CancelScope().cancel();
  for (const std::size_t size : bench::kSizes) {
    bench::run_all(size, bench::kLaterOperations);
  }
}
