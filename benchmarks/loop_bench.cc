// SPDX-License-Identifier: Apache-2.0
//
// G8 and G9: parallel loops, and tasks of a group, against oneTBB's own in the same arena.

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstddef>
#include <thread>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/tbb.h"

namespace bench {
namespace {

using Range = oneapi::tbb::blocked_range<int>;

// oneTBB's loops and ours, under names that a template can be given.
struct Raw {
  template <typename... Args>
  static void run(const Args&... args) {
    oneapi::tbb::parallel_for(args...);
  }
};
struct Ours {
  template <typename... Args>
  static void run(const Args&... args) {
    taskctx::tbb::parallel_for(args...);
  }
};

// One task, and one call of the body, for each index.
template <typename Loop, typename Index>
void leaves(int count, Index index) {
  Loop::run(
      Range(0, count, 1), [index](const Range& range) { index(range.begin()); },
      oneapi::tbb::simple_partitioner());
}

// As many calls of the body as oneTBB finds useful.
template <typename Loop, typename Index>
void ranges(int count, Index index) {
  Loop::run(
      Range(0, count),
      [index](const Range& range) {
        for (int i = range.begin(); i < range.end(); ++i) {
          index(i);
        }
      },
      oneapi::tbb::auto_partitioner());
}

template <typename Loop, typename Index>
void indices(int count, Index index) {
  Loop::run(0, count, index);
}

// Loops that are over at once.
template <typename Loop, typename Index>
void short_loops(int count, Index index) {
  for (int i = 0; i < count; ++i) {
    Loop::run(0, 1, [index, i](int) { index(i); });
  }
}

// A task for each index, run and waited for by one thread, helped by the others.
template <typename Group, typename Index>
void tasks(int count, Index index) {
  Group group;
  for (int i = 0; i < count; ++i) {
    group.run([index, i] { index(i); });
  }
  group.wait();
}

// Returns when all threads of the arena are at work in it: one that sleeps comes too late for a
// loop of milliseconds, and a loop with and one without it can't be compared.
void gather(int threads) {
  std::atomic<int> here{0};
  oneapi::tbb::parallel_for(
      0, threads,
      [&](int) {
        here.fetch_add(1);
        while (here.load() < threads) {
          std::this_thread::yield();
        }
      },
      oneapi::tbb::static_partitioner());
}

// Runs both in one arena, and checks first that both call the body once for each index.
template <typename RunOurs, typename RunRaw>
void loop(benchmark::State& state, std::size_t size, int threads, int count, RunOurs run_ours,
          RunRaw run_raw) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                          static_cast<std::size_t>(threads));
  oneapi::tbb::task_arena arena(threads);
  with_variables(size, [&](const Variables<int>& variables) {
    const auto sum_of = [&](auto run) {
      std::atomic<long> sum{0};
      arena.execute([&] { run(count, [&](int i) { sum += i; }); });
      return sum.load();
    };
    const long expected = static_cast<long>(count) * (count - 1) / 2;
    std::atomic<long> wrong{0};
    if (size != kNothing) {
      const int here = variables[1].get();
      arena.execute(
          [&] { run_ours(count, [&](int) { wrong += variables[1].get(-1000) != here ? 1 : 0; }); });
    }
    if (check(state, sum_of(run_ours), expected) && check(state, sum_of(run_raw), expected) &&
        check(state, wrong, 0)) {
      const auto seconds = [&](auto run) {
        return [&arena, count, threads, run] {
          double time = 0;
          arena.execute([&] {
            gather(threads);
            time = seconds_of([&] { run(count, [](int i) { keep(i); }); });
          });
          return time;
        };
      };
      measure_pairs(state, static_cast<std::size_t>(count), seconds(run_ours), seconds(run_raw));
    }
  });
}

}  // namespace

void add_loops() {
  for (const int threads : kThreads) {
    add_pairs("G8", "leaf", threads, [](benchmark::State& state, std::size_t size, int on) {
      loop(
          state, size, on, 200'000, [](auto... args) { leaves<Ours>(args...); },
          [](auto... args) { leaves<Raw>(args...); });
    });
    add_pairs("G8", "range", threads, [](benchmark::State& state, std::size_t size, int on) {
      loop(
          state, size, on, 20'000'000, [](auto... args) { ranges<Ours>(args...); },
          [](auto... args) { ranges<Raw>(args...); });
    });
    add_pairs("G8", "index", threads, [](benchmark::State& state, std::size_t size, int on) {
      loop(
          state, size, on, 5'000'000, [](auto... args) { indices<Ours>(args...); },
          [](auto... args) { indices<Raw>(args...); });
    });
    add_pairs("G9", "task", threads, [](benchmark::State& state, std::size_t size, int on) {
      loop(
          state, size, on, 100'000, [](auto... args) { tasks<taskctx::tbb::task_group>(args...); },
          [](auto... args) { tasks<oneapi::tbb::task_group>(args...); });
    });
    add_pairs("G8", "short_loop", threads, [](benchmark::State& state, std::size_t size, int on) {
      loop(
          state, size, on, 100'000, [](auto... args) { short_loops<Ours>(args...); },
          [](auto... args) { short_loops<Raw>(args...); });
    });
  }
}

}  // namespace bench
