// SPDX-License-Identifier: Apache-2.0
//
// How long a job waits in the queue, at a given load: from the moment when it was to be submitted
// to the moment when it begins. Jobs come at random, as requests do, whether or not the pool keeps
// up, so a job that is submitted late counts from when it was due.
//
// One thread submits, and the pool has one for each other core. Jobs take 20 microseconds. In a
// context with 8 variables; the others carry none.

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/packaged_queue.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kJobs = 20'000;
constexpr double kServiceSeconds = 20e-6;

int workers() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1); }

// Works for a fixed number of steps.
void work(std::uint64_t steps) {
  std::uint64_t sum = 1;
  for (std::uint64_t i = 0; i < steps; ++i) {
    sum = sum * 6364136223846793005U + i;
    benchmark::DoNotOptimize(sum);
  }
}

// Returns how many steps a job has: measured once, on a machine that does nothing else.
std::uint64_t steps_per_job() {
  static const std::uint64_t steps = [] {
    constexpr std::uint64_t kMany = 1'000'000;
    double least = 1;
    for (int i = 0; i < 20; ++i) {
      least = std::min(least, seconds_of([] { work(kMany); }));
    }
    return static_cast<std::uint64_t>(kServiceSeconds / least * kMany);
  }();
  return steps;
}

// When each job is due after the first: exponential distances, the same for all contenders.
std::vector<Clock::duration> arrivals(int percent) {
  std::mt19937_64 random(42);
  std::exponential_distribution<double> distance(percent / 100.0 * workers() / kServiceSeconds);
  std::vector<Clock::duration> due(kJobs);
  double seconds = 0;
  for (Clock::duration& each : due) {
    each = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    seconds += distance(random);
  }
  return due;
}

// Submits all jobs when they are due, with `submit(job)`, and calls `finish` when all have run.
template <typename Submit, typename Finish>
void run_load(benchmark::State& state, int percent, Submit submit, Finish finish) {
  const std::vector<Clock::duration> due = arrivals(percent);
  const std::uint64_t steps = steps_per_job();
  std::vector<double> waited(kJobs);
  while (state.KeepRunning()) {
    const Clock::time_point start = Clock::now() + std::chrono::milliseconds(1);
    for (std::size_t i = 0; i < kJobs; ++i) {
      const Clock::time_point then = start + due[i];
      while (Clock::now() < then) {
      }
      submit([&waited, i, then, steps] {
        waited[i] = std::chrono::duration<double, std::nano>(Clock::now() - then).count();
        work(steps);
      });
    }
    finish();
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::ranges::sort(waited);
  for (const auto& [name, part] : {std::pair("p50", 0.5), {"p99", 0.99}, {"p999", 0.999}}) {
    state.counters[name] = waited[static_cast<std::size_t>(part * static_cast<double>(kJobs - 1))];
  }
}

void with_taskctx(benchmark::State& state, int percent) {
  taskctx::JobPool pool{{.concurrency = workers()}};
  with_variables(kSome, [&](const Variables<int>& /*variables*/) {
    run_load(
        state, percent, [&](auto job) { (void)pool.submit(std::move(job)); },
        [&] { pool.drain(); });
  });
}

void with_onetbb(benchmark::State& state, int percent) {
  const taskctx::JobPool threads{{.concurrency = workers()}};  // Lets oneTBB have them.
  oneapi::tbb::task_arena arena(workers(), /*reserved_for_masters=*/0);
  std::atomic<std::size_t> ended{0};
  run_load(
      state, percent,
      [&](auto job) {
        arena.enqueue([job = std::move(job), &ended] {
          job();
          ++ended;
          ended.notify_one();
        });
      },
      [&] {
        for (std::size_t now = ended; now < kJobs; now = ended) {
          ended.wait(now);
        }
        ended = 0;
      });
}

void with_packaged_task(benchmark::State& state, int percent) {
  QueueOfPackagedTasks queue(workers());
  std::vector<std::future<void>> futures;
  futures.reserve(kJobs);
  run_load(
      state, percent, [&](auto job) { futures.push_back(queue.submit(std::move(job))); },
      [&] {
        for (std::future<void>& future : futures) {
          future.get();
        }
        futures.clear();
      });
}

void with_async(benchmark::State& state, int percent) {
  std::vector<std::future<void>> futures;
  futures.reserve(kJobs);
  run_load(
      state, percent,
      [&](auto job) { futures.push_back(std::async(std::launch::async, std::move(job))); },
      [&] {
        for (std::future<void>& future : futures) {
          future.get();
        }
        futures.clear();
      });
}

}  // namespace

void add_latencies() {
  for (const int percent : {50, 80, 95}) {
    const auto add_one = [&](const char* contender, void (*function)(benchmark::State&, int)) {
      add(std::string("queue_wait/") + std::to_string(percent) + "/" + contender,
          [=](benchmark::State& state) { function(state, percent); })
          ->UseManualTime()
          ->Iterations(1);
    };
    add_one("taskctx", &with_taskctx);
    add_one("onetbb", &with_onetbb);
    add_one("packaged_task", &with_packaged_task);
    add_one("async", &with_async);
  }
}

}  // namespace bench
