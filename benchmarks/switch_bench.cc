// SPDX-License-Identifier: Apache-2.0
//
// G5, G6 and G7: what a task costs: capture, install, restore, release, and all of it; and whether
// it matters how deep tasks and scopes are nested. G23: what a message costs in a queue.

#include <oneapi/tbb/concurrent_queue.h>

#include <array>
#include <cstddef>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "benchmarks/operations.h"
#include "taskctx/bind.h"
#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace bench {
namespace {

template <typename Contender>
void install_restore(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  int seen = 1;
  contender.bind([&] { seen = contender.read(); })();
  if (check(state, seen, 0)) {
    auto task = contender.bind([] { clobber(); });
    measure<8>(state, [&] { task(); });
    check(state, contender.read(), 0);
  }
}

// The same where each operation is a call, as a task is: nothing stays in registers in between.
template <typename Contender>
void install_restore_call(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  auto task = contender.bind([] { clobber(); });
  const auto call = [&task]() __attribute__((noinline)) { task(); };
  measure(state, call);
  check(state, contender.read(), 0);
}

// Context::run makes sure that nobody else is in the context: more than installing a snapshot.
void context_run(benchmark::State& state, std::size_t size) {
  const Taskctx contender(size);
  taskctx::Context context = taskctx::copy_context();
  measure(state, [&] { context.run([] { clobber(); }); });
}

// Blocks within blocks, each of which sets the variable; the innermost one reads it.
[[gnu::noinline]] void nest_scopes(const taskctx::ContextVar<int>& variable, int depth) {
  const taskctx::Scope scope{variable, depth};
  if (depth > 1) {
    nest_scopes(variable, depth - 1);
  }
  keep(variable.get());
}

// Tasks within tasks, each of which installs a snapshot and reads the variable.
[[gnu::noinline]] void nest_tasks(const taskctx::Context& context,
                                  const taskctx::ContextVar<int>& variable, int depth) {
  taskctx::bind(context, [&] {
    if (depth > 1) {
      nest_tasks(context, variable, depth - 1);
    }
    keep(variable.get());
  })();
}

// Measures `nest(variable, depth)` per level.
template <typename Nest>
void nested(benchmark::State& state, std::size_t depth, Nest nest) {
  constexpr std::size_t kBatch = 64;
  const Variables<int> variables(1);
  taskctx::Context().run([&] {
    variables[0].set(0);
    while (state.KeepRunningBatch(kBatch)) {
      for (std::size_t i = 0; i < kBatch; i += depth) {
        nest(variables[0], static_cast<int>(depth));
      }
    }
    check(state, variables[0].get(), 0);
  });
}

// Pushes a message and pops it again. `beside` is done in between.
template <typename Message, typename Beside>
void push_pop(benchmark::State& state, std::size_t size, Beside beside) {
  const Taskctx contender(size);
  oneapi::tbb::concurrent_queue<Message> queue;
  int sum = 0;
  measure(state, [&] {
    queue.push(1);
    beside();
    Message popped;
    sum += queue.try_pop(popped) ? 0 : 1;
    keep(&popped);
  });
  check(state, sum, 0);
}

// A message as large as a Carried<int>: the queue gets memory for fewer of them at once than of
// ints.
struct AsLarge {
  AsLarge(int number = 0) : value(number) {}  // NOLINT(google-explicit-constructor): as an int is
  std::array<void*, 2> rest{};
  int value;
};
static_assert(sizeof(AsLarge) == sizeof(taskctx::Carried<int>));

void add_queues(std::size_t size) {
  const auto nothing = [] {};
  const auto capture_and_release = [] {
    const taskctx::Context captured = taskctx::copy_context();
    keep(&captured);
  };
  const auto add_one = [size]<typename Message>(const char* contender, auto beside, Message) {
    add(std::string("G23/queue/") + contender, size,
        [beside](benchmark::State& state, std::size_t set) {
          push_pop<Message>(state, set, beside);
        });
  };
  add_one("taskctx", nothing, taskctx::Carried<int>());
  add_one("onetbb", nothing, 0);
  add_one("onetbb_and_capture", capture_and_release, 0);
  add_one("onetbb_as_large_and_capture", capture_and_release, AsLarge());
}

template <typename... Contenders>
void add_hops() {
  for (const std::size_t size : kSizes) {
    (add(std::string("G5/capture_release/") + Contenders::kName, size,
         &capture_release<Contenders>),
     ...);
    (add(std::string("G6/install_restore/") + Contenders::kName, size,
         &install_restore<Contenders>),
     ...);
    (add(std::string("G6/install_restore_call/") + Contenders::kName, size,
         &install_restore_call<Contenders>),
     ...);
    (add(std::string("G7/hop/") + Contenders::kName, size, &hop<Contenders>), ...);
  }
}

}  // namespace

void add_switches() {
  add_hops<Taskctx, ThreadLocalPointer, ThreadLocalTwoWords, SharedMap, MapCopy>();
  for (const std::size_t size : kSizes) {
    add("G6/context_run/taskctx", size, &context_run);
    add_queues(size);
  }
  for (const std::size_t depth : {1U, 8U, 64U}) {
    add("depth/scopes/taskctx", depth,
        [](benchmark::State& state, std::size_t levels) { nested(state, levels, &nest_scopes); });
    add("depth/tasks/taskctx", depth, [](benchmark::State& state, std::size_t levels) {
      nested(state, levels, [](const taskctx::ContextVar<int>& variable, int left) {
        nest_tasks(taskctx::copy_context(), variable, left);
      });
    });
  }
}

}  // namespace bench
