// SPDX-License-Identifier: Apache-2.0
//
// Counts what values and scopes cost two threads: see shared_writes.h. Contexts are shared, as they
// are in a service whose requests inherit the settings of the application.

#include <oneapi/tbb/global_control.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "benchmarks/shared_writes.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/shared.h"

namespace bench {
namespace {

constexpr std::size_t kVariables = 8;

constinit taskctx::ContextVar<int> number{"number"};
constinit taskctx::ContextVar<std::string> text{"text"};

// An atomic in a line of its own: its count is known, and shows that counting works.
struct alignas(64) Sum {
  std::atomic<int> value{0};
};
void add_one(Sum& sum) { sum.value.fetch_add(1, std::memory_order_relaxed); }

// A context with 8 ints, or 8 strings.
taskctx::Context with_ints(const Variables<int>& row) {
  taskctx::Context context;
  context.run([&] {
    for (std::size_t i = 0; i + 1 < kVariables; ++i) {
      row[i].set(1);
    }
    number.set(1);
  });
  return context;
}
taskctx::Context with_strings(const Variables<std::string>& row) {
  taskctx::Context context;
  context.run([&] {
    for (std::size_t i = 0; i + 1 < kVariables; ++i) {
      row[i].set("a setting of the application");
    }
    text.set("another setting");
  });
  return context;
}

}  // namespace

void count_values(const taskctx::Context& ints, const taskctx::Context& strings) {
  count("nothing", [] { clobber(); });
  Sum sum;
  count("add", [&] { add_one(sum); });
  count("copy", [&] {
    const taskctx::Context copy(ints);
    keep(&copy);
  });
  count_inside("capture", ints, [] {
    const taskctx::Context captured = taskctx::copy_context();
    keep(&captured);
  });
  count_inside("get_int", ints, [] { keep(number.get()); });
  count_inside("get_string", strings, [] { keep(&text.get()); });

  auto task = taskctx::bind(ints, [] { clobber(); });
  count("bound_call", [&] { task(); });
  auto write_int = taskctx::bind(ints, [] { number.set(5); });
  count("write_ints", [&] { write_int(); });
  auto write_beside = taskctx::bind(strings, [] { number.set(5); });
  count("write_beside_strings", [&] { write_beside(); });
  auto write_string = taskctx::bind(strings, [] { text.set("of this task"); });
  count("write_strings", [&] { write_string(); });

  const taskctx::Shared<int> shared(1);
  count("shared_load", [&] { keep(shared.load()); });
  count("shared_update", [&] { shared.update([](int& value) { ++value; }); });
}

void count_cancelling() {
  count("cancelled", [] { keep(taskctx::cancelled()); });
  (void)taskctx::CancelScope().cancel();  // From now on questions look at scopes.
  count("cancel_scope", [] {
    const taskctx::CancelScope scope;
    clobber();
  });
  const taskctx::CancelScope scope;
  const taskctx::Context here = taskctx::copy_context();
  count_inside("cancelled_in_scope", here, [] { keep(taskctx::cancelled()); });
  count_inside("cancel_scope_in_scope", here, [] {
    const taskctx::CancelScope inner;
    clobber();
  });
}

}  // namespace bench

int main() {
#ifndef __OPTIMIZE__
  std::fputs("cannot count: this program was built without optimization\n", stderr);
  return EXIT_FAILURE;
#endif
  std::printf("%s\n", bench::compiler().c_str());
  const oneapi::tbb::global_control threads(oneapi::tbb::global_control::max_allowed_parallelism,
                                            4);
  const bench::Variables<int> numbers(bench::kVariables);
  const bench::Variables<std::string> texts(bench::kVariables);
  const taskctx::Context ints = bench::with_ints(numbers);
  const taskctx::Context strings = bench::with_strings(texts);
  bench::count_values(ints, strings);
  bench::count_onetbb(ints);
  bench::count_pool(ints);
  bench::count_cancelling();
}
