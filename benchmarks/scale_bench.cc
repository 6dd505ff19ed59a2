// SPDX-License-Identifier: Apache-2.0
//
// What scale_model.py is held against: operations on one thread and on two, where each thread does
// its own share of all, in pairs with the same without shared lines, or with oneTBB's.
//
//   scale/copy/taskctx/8/threads:2     copies of one Context, in pairs with a Context per thread
//   scale/add/cpu/1/threads:2          additions to one line
//   scale/hand_over/cpu/1/threads:2    a line that goes from one core to the other and back

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"

namespace bench {
namespace {

constexpr std::size_t kSize = 8;

std::size_t all_of(int threads, int count) {
  return static_cast<std::size_t>(threads) * static_cast<std::size_t>(count);
}

// Calls `body(thread)` on as many threads at once. Returns how long that took.
template <typename Body>
double together(int threads, Body body) {
  using Clock = std::chrono::steady_clock;
  std::atomic<int> waiting{threads};
  std::vector<Clock::time_point> begin(static_cast<std::size_t>(threads));
  std::vector<std::jthread> workers;
  workers.reserve(begin.size());
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      keep_apart(thread);
      waiting.fetch_sub(1);
      while (waiting.load() != 0) {  // Awake when it begins.
      }
      begin[static_cast<std::size_t>(thread)] = Clock::now();
      body(thread);
    });
  }
  workers.clear();
  const auto end = Clock::now();
  return std::chrono::duration<double>(end - *std::min_element(begin.begin(), begin.end())).count();
}

// Declared as users do it: threads also share the counts of variables that are made at run time.
template <std::size_t kIndex>
constinit taskctx::ContextVar<std::string> text{"text"};

template <std::size_t... kIndices>
void set_all(std::index_sequence<kIndices...> /*indices*/) {
  (text<kIndices>.set("a setting of the application"), ...);
}

// A context with values of its own: copies of one share them.
taskctx::Context with_texts() {
  taskctx::Context context;
  context.run([] { set_all(std::make_index_sequence<kSize>()); });
  return context;
}

// Measures `operation(context, count)`: all threads with one context, in pairs with a context per
// thread.
template <typename Operation>
void measure_shared(benchmark::State& state, int threads, int count, Operation operation) {
  std::vector<taskctx::Context> contexts;
  contexts.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) {
    contexts.push_back(with_texts());
  }
  const auto seconds = [&](bool is_shared) {
    return together(threads, [&](int thread) {
      operation(contexts[is_shared ? 0 : static_cast<std::size_t>(thread)], count);
    });
  };
  measure_pairs(
      state, all_of(threads, count), [&] { return seconds(true); }, [&] { return seconds(false); });
}

void copy(benchmark::State& state, int threads) {
  measure_shared(state, threads, 100'000, [](const taskctx::Context& context, int count) {
    for (int i = 0; i < count; ++i) {
      const taskctx::Context copied(context);
      keep(&copied);
    }
  });
}

void first_write(benchmark::State& state, int threads) {
  measure_shared(state, threads, 20'000, [](const taskctx::Context& context, int count) {
    auto task = taskctx::bind(context, [] { text<kSize / 2>.set("of this task"); });
    for (int i = 0; i < count; ++i) {
      task();
    }
  });
}

// Each thread runs tasks in a group of its own, some at a time, all of them in one context.
template <typename Group>
double run_tasks(const taskctx::Context& context, int threads, int count) {
  const auto work = taskctx::bind(context, [count] {
    oneapi::tbb::task_arena arena(1);
    arena.execute([count] {
      constexpr int kAtATime = 100;
      Group group;
      for (int i = 0; i < count; i += kAtATime) {
        for (int task = 0; task < kAtATime; ++task) {
          group.run([task] { keep(task); });
        }
        group.wait();
      }
    });
  });
  return together(threads, [&](int /*thread*/) { work(); });
}

// Calls `start(count)` in a task of each of the threads; it starts so many tasks, each of which
// counts `all` down.
template <typename Enqueue, typename Start>
double fan_out(int threads, int count, Enqueue enqueue, Start start) {
  std::latch all(static_cast<std::ptrdiff_t>(threads) * count);
  std::latch begun(threads);
  return seconds_of([&] {
    for (int thread = 0; thread < threads; ++thread) {
      enqueue([&] {
        begun.arrive_and_wait();  // One in each thread.
        for (int i = 0; i < count; ++i) {
          start([&all] { all.count_down(); });
        }
      });
    }
    all.wait();
  });
}

// Calls `body()` in a task of each of the threads, until all have returned.
template <typename Enqueue, typename Body>
double in_each(int threads, Enqueue enqueue, Body body) {
  std::latch begun(threads);
  std::latch ended(threads);
  return seconds_of([&] {
    for (int thread = 0; thread < threads; ++thread) {
      enqueue([&] {
        begun.arrive_and_wait();
        body();
        ended.count_down();
      });
    }
    ended.wait();
  });
}

void tasks(benchmark::State& state, int threads) {
  constexpr int kCount = 20'000;
  const taskctx::Context context = with_texts();
  measure_pairs(
      state, all_of(threads, kCount),
      [&] { return run_tasks<taskctx::tbb::task_group>(context, threads, kCount); },
      [&] { return run_tasks<oneapi::tbb::task_group>(context, threads, kCount); });
}

void posts(benchmark::State& state, int threads) {
  constexpr int kCount = 5'000;
  Workers workers(threads);
  const auto post = [&](auto task) { workers.pool.post(task); };
  const auto enqueue = [&](auto task) { workers.arena.enqueue(task); };
  with_variables(kSize, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, all_of(threads, kCount), [&] { return fan_out(threads, kCount, post, post); },
        [&] { return fan_out(threads, kCount, enqueue, enqueue); });
  });
}

void submits(benchmark::State& state, int threads) {
  constexpr int kCount = 5'000;
  Workers workers(threads);
  with_variables(kSize, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, all_of(threads, kCount),
        [&] {
          return in_each(
              threads, [&](auto task) { workers.pool.post(task); },
              [&] {
                for (int i = 0; i < kCount; ++i) {
                  keep(workers.pool.submit([] { return 1; }).get());
                }
              });
        },
        [&] {
          return in_each(
              threads, [&](auto task) { workers.arena.enqueue(task); },
              [&] {
                for (int i = 0; i < kCount; ++i) {
                  oneapi::tbb::task_group group;
                  group.run([i] { keep(i); });
                  group.wait();
                }
              });
        });
  });
}

// The time of an addition to a line that all threads add to.
void adds(benchmark::State& state, int threads) {
  constexpr int kCount = 100'000;
  while (state.KeepRunning()) {
    alignas(64) std::atomic<int> sum{0};
    const double seconds = together(threads, [&](int /*thread*/) {
      for (int i = 0; i < kCount; ++i) {
        sum.fetch_add(1, std::memory_order_relaxed);
      }
    });
    state.SetIterationTime(seconds / static_cast<double>(all_of(threads, kCount)));
  }
}

// The time of a compare-and-exchange after one of the other thread.
void hand_over(benchmark::State& state, int threads) {
  constexpr int kCount = 50'000;
  while (state.KeepRunning()) {
    alignas(64) std::atomic<int> turn{0};
    const double seconds = together(threads, [&](int thread) {
      for (int i = 0; i < kCount; ++i) {
        int expected = thread;
        while (!turn.compare_exchange_weak(expected, (thread + 1) % threads,
                                           std::memory_order_relaxed)) {
          expected = thread;
        }
      }
    });
    state.SetIterationTime(seconds / static_cast<double>(all_of(threads, kCount)));
  }
}

}  // namespace

void add_scale() {
  const struct {
    const char* name;
    void (*run)(benchmark::State& state, int threads);
  } operations[] = {{"add/cpu/1", &adds},
                    {"hand_over/cpu/1", &hand_over},
                    {"copy/taskctx/8", &copy},
                    {"first_write/taskctx/8", &first_write},
                    {"task/taskctx/8", &tasks},
                    {"post/taskctx/8", &posts},
                    {"submit_get/taskctx/8", &submits}};
  for (const auto& operation : operations) {
    for (const int threads : kThreads) {
      add(std::string("scale/") + operation.name + "/threads:" + std::to_string(threads),
          [run = operation.run, threads](benchmark::State& state) { run(state, threads); })
          ->UseManualTime()
          ->Iterations(kPairs);
    }
  }
}

}  // namespace bench
