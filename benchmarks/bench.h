// SPDX-License-Identifier: Apache-2.0
//
// What all benchmarks share: names, loops, and a way to use a value that no compiler sees through.
//
//   add("G1/get_int/taskctx", 8, [](benchmark::State& state, std::size_t size) {
//     measure<8>(state, [&] { keep(variable.get()); });
//   });
//
// A benchmark is called <goal>/<operation>/<contender>/<size>; reports find it by that name. One
// operation has the same loop for all contenders. benchmark::DoNotOptimize is not used for reads:
// with g++ it is content with a value that stays in memory, and no load is emitted.

#ifndef TASKCTX_BENCHMARKS_BENCH_H_
#define TASKCTX_BENCHMARKS_BENCH_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace bench {

// How many variables are set.
inline constexpr std::size_t kSizes[] = {1, 8, 32, 128, 1000};
inline constexpr std::size_t kMaxSize = 1000;

// Uses a value, of the size of a register, that has been loaded. All memory may have changed
// afterwards, so that nothing is hoisted out of a loop.
template <typename T>
inline void keep(T value) {
  asm volatile("" : : "r"(value) : "memory");
}

// Says that all memory may be read and may change here.
inline void clobber() { asm volatile("" : : : "memory"); }

// Returns `value`, of which the compiler knows nothing any more.
template <typename T>
inline T opaque(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Flattened, for a compiler that is asked for the same eight times makes a function of it.
template <std::size_t... kIndices, typename Operation>
[[gnu::flatten]] inline void unroll(std::index_sequence<kIndices...> /*indices*/,
                                    Operation& operation) {
  // Between two operations all memory may change: what the first one stored is not dead, and what
  // the second one loads is not known.
  (((void)kIndices, operation(), clobber()), ...);
}

// Measures `operation`, written out kUnroll times: for operations that are shorter than a loop.
template <std::size_t kUnroll = 1, typename Operation>
inline void measure(benchmark::State& state, Operation operation) {
  constexpr std::size_t kBatch = 64;
  while (state.KeepRunningBatch(kBatch)) {
    for (std::size_t i = 0; i < kBatch; i += kUnroll) {
      unroll(std::make_index_sequence<kUnroll>(), operation);
    }
  }
}

// Ends the benchmark, and the whole program in failure, if a contender gives another answer than
// the others do. Tells whether to go on.
bool check(benchmark::State& state, long answer, long expected);

// Returns the name and version of the compiler.
std::string compiler();

// Runs what was registered; returns what main() returns.
int run(int argc, char** argv);

// Registers a benchmark.
benchmark::internal::Benchmark* add(const std::string& name,
                                    std::function<void(benchmark::State&)> function);

// Registers a benchmark under `name`/`size`.
template <typename Function>
benchmark::internal::Benchmark* add(const std::string& name, std::size_t size, Function function) {
  return add(name + "/" + std::to_string(size),
             [function, size](benchmark::State& state) { function(state, size); });
}

// Each registers the benchmarks of one file: of context_bench, and of pool_bench.
void add_calibrations();
void add_gets();
void add_sets();
void add_switches();
void add_threads();

void add_loops();
void add_flows();
void add_jobs();
void add_latencies();
void add_deadlines();
void add_coroutines();
void add_cancels();
void add_scale();
void add_shared();

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_BENCH_H_
