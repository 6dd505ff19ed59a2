// SPDX-License-Identifier: Apache-2.0
//
// What the benchmarks on several threads share: who works, in which context, and how they are
// named.
//
//   void post(benchmark::State& state, std::size_t size, int threads) {
//     Workers workers(threads);
//     with_variables(size, [&](const Variables<int>&) { measure_pairs(state, count, ours, theirs); });
//   }
//   add_pairs("G10", "post", 2, &post);  // G10/post/taskctx/8/threads:2, G11/post/taskctx/0/threads:2

#ifndef TASKCTX_BENCHMARKS_WORKERS_H_
#define TASKCTX_BENCHMARKS_WORKERS_H_

#include <benchmark/benchmark.h>
#include <oneapi/tbb/task_arena.h>
#include <sched.h>

#include <cstddef>
#include <latch>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "taskctx/context.h"
#include "taskctx/job_pool.h"

namespace bench {

// How many threads work: one shows what is added, two what they do to each other.
inline constexpr int kThreads[] = {1, 2};

// How many variables are set. Nothing must cost nothing: G11.
inline constexpr std::size_t kNothing = 0;
inline constexpr std::size_t kSome = 8;

// Binds the calling thread to one of the processors, so that no two of them share one.
inline void keep_apart(int thread) {
  cpu_set_t all;
  CPU_ZERO(&all);
  if (sched_getaffinity(0, sizeof all, &all) != 0) {
    return;
  }
  thread %= CPU_COUNT(&all);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &all) && thread-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      (void)sched_setaffinity(0, sizeof one, &one);
    }
  }
}

// A pool and an arena of as many threads; the pool's being there lets oneTBB have enough of them
// for either.
struct Workers {
  explicit Workers(int threads)
      : pool({.concurrency = threads}), arena(threads, /*reserved_for_masters=*/0) {}

  taskctx::JobPool pool;
  oneapi::tbb::task_arena arena;
};

// Calls `body(variables)` in a context where `size` variables are set; in none if that is 0.
template <typename Body>
void with_variables(std::size_t size, Body body) {
  const Variables<int> variables(size);
  if (size == kNothing) {
    body(variables);
    return;
  }
  taskctx::Context().run([&] {
    for (std::size_t i = 0; i < size; ++i) {
      variables[i].set(value_of(i, size));
    }
    body(variables);
  });
}

// Starts `count` tasks, and waits until all have run: `start(all)` starts one that counts `all`
// down.
template <typename Start>
void start_and_wait(int count, Start start) {
  std::latch all(count);
  for (int i = 0; i < count; ++i) {
    start(all);
  }
  all.wait();
}

// Registers `function(state, size, threads)` once with variables that are set, as an operation of
// `goal`, and once without, as one of G11.
template <typename Function>
void add_pairs(const std::string& goal, const std::string& operation, int threads,
               Function function) {
  for (const std::size_t size : {kSome, kNothing}) {
    const std::string name = (size == kNothing ? "G11" : goal) + "/" + operation + "/taskctx/" +
                             std::to_string(size) + "/threads:" + std::to_string(threads);
    add(name, [=](benchmark::State& state) { function(state, size, threads); })
        ->UseManualTime()
        ->Iterations(kPairs);
  }
}

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_WORKERS_H_
