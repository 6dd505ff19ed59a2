// SPDX-License-Identifier: Apache-2.0
//
// G22: what it costs to be told to stop, and how long that takes, beside what people pass to each
// function by hand: a std::stop_token, a flag behind a shared_ptr.
//
//   G22/cancelled/taskctx/8            asked below 8 scopes, where nothing was ever cancelled
//   G22/cancelled_later/taskctx/8      where something else was
//   G22/submit_get/taskctx/1/threads:2 below a scope, in pairs with the same without

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/cancel.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

// Makes it so that something was cancelled in this process, or that nothing ever was: benchmarks
// run in any order.
void was_cancelled(bool is_so) {
  taskctx::internal::process_wide().cancel_count = 0;
  if (is_so) {
    taskctx::CancelScope elsewhere;
    (void)elsewhere.cancel();
  }
}

// Calls `body` below `count` scopes.
template <typename Body>
void below(std::size_t count, Body body) {
  std::deque<taskctx::CancelScope> scopes;
  for (std::size_t i = 0; i < count; ++i) {
    scopes.emplace_back();
  }
  body();
  while (!scopes.empty()) {
    scopes.pop_back();
  }
}

void ask(benchmark::State& state) {
  if (check(state, taskctx::cancelled() ? 1 : 0, 0)) {
    measure<8>(state, [] { keep(taskctx::cancelled()); });
  }
}

void add_questions() {
  for (const bool is_later : {false, true}) {
    const std::string later = is_later ? "_later" : "";
    for (const std::size_t scopes : {0, 1, 8}) {
      add("G22/cancelled" + later + "/taskctx", scopes,
          [=](benchmark::State& state, std::size_t count) {
            was_cancelled(is_later);
            below(count, [&] { ask(state); });
          });
      add("G22/cancelled_in_job" + later + "/taskctx", scopes,
          [=](benchmark::State& state, std::size_t count) {
            was_cancelled(is_later);
            taskctx::JobPool pool{{.concurrency = 1}};
            below(count, [&] { pool.submit([&] { ask(state); }).get(); });
          });
      add("G22/cancelled_in_leaf" + later + "/taskctx", scopes,
          [=](benchmark::State& state, std::size_t count) {
            was_cancelled(is_later);
            below(count, [&] { taskctx::tbb::parallel_for(0, 1, [&](int) { ask(state); }); });
          });
    }
  }
  add("G22/cancelled/stop_token", 1, [](benchmark::State& state, std::size_t) {
    const std::stop_source source;
    const std::stop_token token = opaque(&source)->get_token();
    measure<8>(state, [&token] { keep(token.stop_requested()); });
  });
  add("G22/cancelled/shared_flag", 1, [](benchmark::State& state, std::size_t) {
    const auto flag = std::make_shared<std::atomic<bool>>(false);
    measure<8>(state, [&flag] { keep(flag->load(std::memory_order_acquire)); });
  });
  add("G22/cancelled/thread_local", 1, [](benchmark::State& state, std::size_t) {
    static thread_local bool is_cancelled = false;
    measure<8>(state, [] { keep(is_cancelled); });
  });
}

void add_scopes() {
  for (const std::size_t around : {0, 1, 8}) {
    add("G22/scope/taskctx", around, [](benchmark::State& state, std::size_t count) {
      was_cancelled(false);
      below(count, [&] {
        measure(state, [] {
          const taskctx::CancelScope scope;
          clobber();
        });
      });
    });
  }
  add("G22/scope_timed/taskctx", 0, [](benchmark::State& state, std::size_t) {
    was_cancelled(false);
    measure(state, [] {
      const taskctx::CancelScope scope{{.timeout = absl::Hours(1)}};
      clobber();
    });
  });
  add("G22/scope/stop_token", 0, [](benchmark::State& state, std::size_t) {
    measure(state, [] {
      const std::stop_source source;
      clobber();
    });
  });
  add("G22/scope/shared_flag", 0, [](benchmark::State& state, std::size_t) {
    measure(state, [] {
      auto flag = std::make_shared<std::atomic<bool>>(false);
      keep(flag.get());
    });
  });
}

// Registers `function(state, threads)`, which measures in pairs.
template <typename Function>
void add_threads(const std::string& name, int threads, int repetitions, Function function) {
  add(name + "/threads:" + std::to_string(threads),
      [=](benchmark::State& state) {
        was_cancelled(false);
        function(state, threads);
      })
      ->UseManualTime()
      ->Iterations(repetitions);
}

// Lets code take turns below one scope, and below none.
template <typename Seconds>
void measure_scope(benchmark::State& state, std::size_t operations, Seconds seconds) {
  measure_pairs(
      state, operations,
      [&] {
        double time = 0;
        below(1, [&] { time = seconds(); });
        return time;
      },
      seconds);
}

// One job after the other, in a job that waits for each.
void submit_get(benchmark::State& state, int threads) {
  static constexpr int kCount = 5'000;
  taskctx::JobPool pool{{.concurrency = threads}};
  pool.submit([&] {
        measure_scope(state, kCount, [&pool] {
          return seconds_of([&pool] {
            for (int i = 0; i < kCount; ++i) {
              keep(pool.submit([] { return 1; }).get());
            }
          });
        });
      })
      .get();
}

// Many jobs from outside, without handles.
void post(benchmark::State& state, int threads) {
  static constexpr int kCount = 20'000;
  taskctx::JobPool pool{{.concurrency = threads}};
  measure_scope(state, kCount, [&pool] {
    return seconds_of([&pool] {
      start_and_wait(kCount, [&pool](std::latch& all) { pool.post([&all] { all.count_down(); }); });
    });
  });
}

// A loop with a leaf for each index.
void leaf(benchmark::State& state, int threads) {
  static constexpr int kCount = 200'000;
  taskctx::tbb::task_arena arena(threads);
  arena.execute([&] {
    measure_scope(state, kCount, [] {
      return seconds_of([] {
        taskctx::tbb::parallel_for(
            oneapi::tbb::blocked_range<int>(0, kCount, 1),
            [](const oneapi::tbb::blocked_range<int>& range) { keep(range.begin()); },
            oneapi::tbb::simple_partitioner());
      });
    });
  });
}

// Reports latencies in microseconds: the median, and the 99th percentile.
void report_latencies(benchmark::State& state, std::vector<double>& seconds) {
  std::ranges::sort(seconds);
  const auto at = [&](std::size_t percent) {
    return 1e6 * seconds[(seconds.size() - 1) * percent / 100];
  };
  state.counters["p50_us"] = at(50);
  state.counters["p99_us"] = at(99);
}

constexpr int kLoops = 200;
constexpr int kIndices = 1'000'000'000;

// Measures from when `stop()` is called, once the loop is at work, until `loop(begun)` has ended.
// It runs the loop, and tells `begun` of the first index.
template <typename Loop, typename Stop>
void measure_stops(benchmark::State& state, Loop loop, Stop stop) {
  std::vector<double> latencies;
  while (state.KeepRunning()) {
    std::atomic<bool> has_begun{false};
    Clock::time_point asked;
    const std::jthread canceller([&] {
      has_begun.wait(false);
      asked = Clock::now();
      stop();
    });
    const bool was_ended = loop([&](int i) {
      if (!has_begun.load(std::memory_order_relaxed)) [[unlikely]] {
        has_begun = true;
        has_begun.notify_one();
      }
      keep(i);
    });
    const Clock::time_point ended = Clock::now();
    if (!check(state, was_ended ? 1 : 0, 1)) {
      return;
    }
    latencies.push_back(std::chrono::duration<double>(ended - asked).count());
    state.SetIterationTime(std::max(latencies.back(), 1e-9));
  }
  report_latencies(state, latencies);
}

// Runs the long loop with `body`. Returns whether it was ended.
template <typename Body>
bool is_ended(const Body& body) {
  try {
    taskctx::tbb::parallel_for(0, kIndices, body);
    return false;
  } catch (const taskctx::Cancelled&) {
    return true;
  }
}

void cancel_loop(benchmark::State& state, int threads) {
  taskctx::tbb::task_arena arena(threads);
  std::atomic<taskctx::CancelScope*> scope{nullptr};
  measure_stops(
      state,
      [&](const auto& body) {
        taskctx::CancelScope here;
        scope = &here;
        return arena.execute([&] { return is_ended(body); });
      },
      [&] { (void)scope.load()->cancel(); });
}

void cancel_raw_loop(benchmark::State& state, int threads) {
  oneapi::tbb::task_arena arena(threads);
  std::optional<oneapi::tbb::task_group_context> group;
  measure_stops(
      state,
      [&](const auto& body) {
        group.emplace();
        arena.execute([&] { oneapi::tbb::parallel_for(0, kIndices, body, *group); });
        return group->is_group_execution_cancelled();
      },
      [&] { (void)group->cancel_group_execution(); });
}

// From the deadline until the loop has ended.
void end_loop_in_time(benchmark::State& state, int threads) {
  taskctx::tbb::task_arena arena(threads);
  std::vector<double> latencies;
  while (state.KeepRunning()) {
    const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(2);
    const taskctx::CancelScope scope{{.deadline = deadline}};
    const bool was_ended = arena.execute([] { return is_ended([](int i) { keep(i); }); });
    latencies.push_back(std::chrono::duration<double>(Clock::now() - deadline).count());
    if (!check(state, was_ended ? 1 : 0, 1)) {
      return;
    }
    state.SetIterationTime(std::max(latencies.back(), 1e-9));
  }
  report_latencies(state, latencies);
}

}  // namespace

void add_cancels() {
  add_questions();
  add_scopes();
  for (const int threads : kThreads) {
    add_threads("G22/submit_get/taskctx/1", threads, kPairs, &submit_get);
    add_threads("G22/post/taskctx/1", threads, kPairs, &post);
    add_threads("G22/leaf/taskctx/1", threads, kPairs, &leaf);
    add_threads("G22/cancel_loop/taskctx/1", threads, kLoops, &cancel_loop);
    add_threads("G22/cancel_loop/onetbb/1", threads, kLoops, &cancel_raw_loop);
    add_threads("G22/deadline_loop/taskctx/1", threads, kLoops, &end_loop_in_time);
  }
}

}  // namespace bench
