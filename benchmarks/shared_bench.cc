// SPDX-License-Identifier: Apache-2.0
//
// G16 to G18: what threads do to each other that have one context, beside threads that have one of
// their own each: what would grow with every core.
//
// Two threads, each on a core of its own. The time is that of the slower one.

#include <algorithm>
#include <array>
#include <barrier>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"

namespace bench {
namespace {

constexpr std::size_t kThreadsHere = 2;
constexpr int kTimes = 100'000;

// Calls `work(thread)` kTimes in each thread, all beginning at once. Returns the seconds of the
// slowest.
template <typename Work>
double seconds_of_threads(Work work) {
  std::barrier start(kThreadsHere);
  std::array<double, kThreadsHere> seconds{};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreadsHere; ++i) {
    threads.emplace_back([&, i] {
      keep_apart(static_cast<int>(i));
      start.arrive_and_wait();
      seconds[i] = seconds_of([&] {
        for (int n = 0; n < kTimes; ++n) {
          work(i);
        }
      });
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return *std::max_element(seconds.begin(), seconds.end());
}

// The everyday case: an application's settings, which each of its requests inherits. At namespace
// scope, as programs have them: the values of a variable on the heap count that, each of them.
constexpr std::size_t kSettings = 8;
constinit taskctx::ContextVar<int> number{"number"};
using Text = taskctx::ContextVar<std::string>;
const std::array<Text, kSettings + 1> strings{Text("s0"), Text("s1"), Text("s2"),
                                              Text("s3"), Text("s4"), Text("s5"),
                                              Text("s6"), Text("s7"), Text("s8")};

// Returns a context in which all but the last string are set, to values of its own.
taskctx::Context make_settings() {
  taskctx::Context context;
  context.run([] {
    for (std::size_t i = 0; i < kSettings; ++i) {
      strings[i].set("a setting that is longer than a short string " + std::to_string(i));
    }
    number.set(1);
  });
  return context;
}

// `make(context)` makes what both threads call.
template <typename Make>
void shared_and_own(benchmark::State& state, Make make) {
  const auto shared = make(make_settings());
  const std::array own{make(make_settings()), make(make_settings())};
  measure_pairs(
      state, kTimes, [&] { return seconds_of_threads([&](std::size_t /*thread*/) { shared(); }); },
      [&] { return seconds_of_threads([&](std::size_t thread) { own[thread](); }); });
}

void copy_of_context(benchmark::State& state, std::size_t /*size*/, int /*threads*/) {
  shared_and_own(state, [](const taskctx::Context& context) {
    return [context] {
      const taskctx::Context copy(context);
      keep(&copy);
    };
  });
}

// Tasks that start from one context.
template <typename Task>
void in_tasks(benchmark::State& state, Task task) {
  shared_and_own(state,
                 [task](const taskctx::Context& context) { return taskctx::bind(context, task); });
}

void write_int(benchmark::State& state, std::size_t /*size*/, int /*threads*/) {
  in_tasks(state, [] { number.set(2); });
}
void write_another_string(benchmark::State& state, std::size_t /*size*/, int /*threads*/) {
  in_tasks(state, [] { strings[kSettings].set("request"); });
}
void write_inherited_string(benchmark::State& state, std::size_t /*size*/, int /*threads*/) {
  in_tasks(state, [] { strings[3].set("request"); });
}
// A request that has tasks of its own.
void write_and_capture(benchmark::State& state, std::size_t /*size*/, int /*threads*/) {
  in_tasks(state, [] {
    strings[3].set("request");
    const taskctx::Context captured = taskctx::copy_context();
    keep(&captured);
  });
}

// 1,000 jobs from one context, beside as many where nothing is set.
void fan_out(benchmark::State& state, std::size_t /*size*/, int threads) {
  constexpr int kJobs = 1000;
  Workers workers(threads);
  const auto jobs = [&] {
    return workers.pool
        .submit([&] {
          return seconds_of([&] {
            for (int i = 0; i < kJobs; ++i) {
              workers.pool.post([] { clobber(); });
            }
            workers.pool.submit([] {}).get();
          });
        })
        .get();
  };
  taskctx::Context settings = make_settings();
  measure_pairs(
      state, kJobs,
      [&] {
        return settings.run([&] {
          const double seconds = jobs();
          workers.pool.drain();
          return seconds;
        });
      },
      [&] {
        const double seconds = jobs();
        workers.pool.drain();
        return seconds;
      });
}

}  // namespace

void add_shared() {
  const auto add_one = [](const char* goal, const char* operation, int threads,
                          void (*function)(benchmark::State&, std::size_t, int)) {
    add(std::string(goal) + "/" + operation + "/taskctx/8/threads:" + std::to_string(threads),
        [=](benchmark::State& state) { function(state, 8, threads); })
        ->UseManualTime()
        ->Iterations(kPairs);
  };
  add_one("G16", "copy", 2, &copy_of_context);
  add_one("G17", "write_int", 2, &write_int);
  add_one("G17", "write_another_string", 2, &write_another_string);
  add_one("G17", "write_inherited_string", 2, &write_inherited_string);
  add_one("G17", "write_and_capture", 2, &write_and_capture);
  for (const int threads : kThreads) {
    add_one("G18", "fan_out", threads, &fan_out);
  }
}

}  // namespace bench
