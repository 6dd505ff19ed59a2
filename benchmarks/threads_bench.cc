// SPDX-License-Identifier: Apache-2.0
//
// G12: two threads that capture and write at once, each in a context of its own or both in
// snapshots of one.

#include <cstddef>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"

namespace bench {
namespace {

constexpr std::size_t kSize = 8;

// Declared once for all threads, as variables are.
const Variables<int>& variables() {
  static const auto* const row = new Variables<int>(kSize);
  return *row;
}

void set_all() {
  for (std::size_t i = 0; i < kSize; ++i) {
    variables()[i].set(value_of(i, kSize));
  }
}

void own_capture_write(benchmark::State& state, std::size_t size) {
  const auto& middle = variables()[size / 2];
  taskctx::Context().run([&] {
    set_all();
    int value = 0;
    measure(state, [&] {
      const taskctx::Context captured = taskctx::copy_context();
      middle.set(++value);
    });
    check(state, middle.get(), value);
  });
}

// All threads count references to the same node.
void shared_capture(benchmark::State& state, std::size_t size) {
  static const taskctx::Context& shared = [&size]() -> const taskctx::Context& {
    auto* context = new taskctx::Context;
    context->run([&] { set_all(); });
    keep(size);
    return *context;
  }();
  taskctx::Context(shared).run([&] {
    measure(state, [&] {
      const taskctx::Context captured = taskctx::copy_context();
      keep(&captured);
    });
    check(state, variables()[size / 2].get(), 0);
  });
}

}  // namespace

void add_threads() {
  for (const int threads : {1, 2}) {
    add("G12/own_capture_write/taskctx", kSize, &own_capture_write)
        ->Threads(threads)
        ->UseRealTime();
    add("G12/shared_capture/taskctx", kSize, &shared_capture)->Threads(threads)->UseRealTime();
  }
}

}  // namespace bench
