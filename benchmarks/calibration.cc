// SPDX-License-Identifier: Apache-2.0
//
// What goals are expressed in: so a slower machine, or a slower hour, doesn't make them harder.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "benchmarks/bench.h"

namespace bench {
namespace {

void dependent_add(benchmark::State& state, std::size_t /*size*/) {
  long sum = 0;
  const long step = opaque(1L);
  measure<8>(state, [&] {
    sum += step;
    sum = opaque(sum);
  });
}

void atomic_add(benchmark::State& state, std::size_t /*size*/) {
  std::atomic<unsigned> count{0};
  keep(&count);
  measure<8>(state, [&] { count.fetch_add(1, std::memory_order_relaxed); });
}

void malloc_free(benchmark::State& state, std::size_t size) {
  measure(state, [&] {
    void* memory = std::malloc(size);
    keep(memory);
    std::free(memory);
  });
}

void shared_ptr_copy(benchmark::State& state, std::size_t /*size*/) {
  const auto original = std::make_shared<int>(0);
  measure(state, [&] {
    const std::shared_ptr<int> copy = original;
    keep(&copy);
  });
}

}  // namespace

void add_calibrations() {
  add("unit/dependent_add/cpu", 1, &dependent_add);
  for (const int threads : {1, 2}) {  // Is there a core for each?
    add("unit/add_on_threads/cpu", 1, &dependent_add)->Threads(threads)->UseRealTime();
  }
  add("unit/atomic_add/cpu", 1, &atomic_add);
  add("unit/malloc_free/libc", 64, &malloc_free);
  add("unit/malloc_free/libc", 256, &malloc_free);
  add("unit/shared_ptr_copy/libstdc++", 1, &shared_ptr_copy);
}

}  // namespace bench
