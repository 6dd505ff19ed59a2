// SPDX-License-Identifier: Apache-2.0
//
// G3 and G4: writes, and the block-wise setting of a variable with and without a snapshot out.

#include <cstddef>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "benchmarks/operations.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/scope.h"

namespace bench {
namespace {

// The first Scope in a task, which always copies: installs a snapshot, sets, restores both.
void first_scope(benchmark::State& state, std::size_t size) {
  const Variables<int> variables(size);
  taskctx::Context().run([&] {
    for (std::size_t i = 0; i < size; ++i) {
      variables[i].set(value_of(i, size));
    }
    const auto& middle = variables[size / 2];
    int value = 0;
    const auto task = taskctx::bind([&] {
      const taskctx::Scope scope{middle, ++value};
      clobber();
    });
    measure(state, [&] { task(); });
    check(state, middle.get(), 0);
  });
}

// A snapshot is out, so a set has to copy. What was captured last is dropped in between.
template <typename Contender>
void set_after_capture(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  const std::size_t middle = opaque(size / 2);
  int value = 0;
  measure(state, [&] {
    const auto captured = contender.capture();
    contender.set(middle, ++value);
  });
  check(state, contender.read(middle), value);
}

// The same in a context of strings; the string that is set is short or long.
void set_string_after_capture(benchmark::State& state, std::size_t size, std::size_t length) {
  const Variables<std::string> variables(size);
  const std::string text(length, 'x');
  taskctx::Context().run([&] {
    for (std::size_t i = 0; i < size; ++i) {
      variables[i].set(text);
    }
    const auto& middle = variables[size / 2];
    measure(state, [&] {
      const taskctx::Context captured = taskctx::copy_context();
      middle.set(text);
    });
    check(state, middle.get() == text, 1);
  });
}

void set_short_string(benchmark::State& state, std::size_t size) {
  set_string_after_capture(state, size, 10);
}
void set_long_string(benchmark::State& state, std::size_t size) {
  set_string_after_capture(state, size, 36);
}

template <typename... Contenders>
void add_scopes() {
  for (const std::size_t size : kSizes) {
    (add(std::string("G3/scope/") + Contenders::kName, size, &scope<Contenders>), ...);
  }
}

template <typename... Contenders>
void add_sets_after_capture() {
  for (const std::size_t size : kSizes) {
    (add(std::string("G4/set_after_capture/") + Contenders::kName, size,
         &set_after_capture<Contenders>),
     ...);
  }
}

}  // namespace

void add_sets() {
  add_scopes<Taskctx, ThreadLocal, ThreadLocalWrapper, Parameter, SharedMap, MapCopy, Ets>();
  add_sets_after_capture<Taskctx, SharedMap, MapCopy>();
  for (const std::size_t size : kSizes) {
    add("G3/first_scope/taskctx", size, &first_scope);
    add("G4/set_short_string_after_capture/taskctx", size, &set_short_string);
    add("G4/set_long_string_after_capture/taskctx", size, &set_long_string);
  }
}

}  // namespace bench
