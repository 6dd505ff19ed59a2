// SPDX-License-Identifier: Apache-2.0
//
// How long a job waits in the queue, at a given load: from the moment when it is due to the moment
// when it begins. Jobs come at random, as requests do, whether or not the pool keeps up, so a job
// that is submitted late counts from when it was due. G19 compares the pool with oneTBB's arena:
//
//   G19/queue_wait/taskctx/80    80 % load: p50, p99 of a turn, in pairs of turns; ratios to oneTBB
//   queue_wait/async/80          others, for the chart
//
// One thread submits, and spins until the next job is due; the pool has a thread for each other
// core. A thread that slept instead would have to take a core from a job in order to wake up: with
// two workers on two cores it was late by 0.1 to 0.9 ms for one job in a hundred. The spinning one
// is late by about 2 microseconds; the counters late_... say how late it was in this run.
//
// Turns are short, and many, for a virtual machine loses a core for a millisecond or more about
// once a second: most turns are not hit, and the median of the pairs' ratios is one of those. Both
// turns of a pair have the same arrivals, each pair its own; `seed` is the first pair's, each other
// one has the next number. In a context with 8 variables; the others carry none.

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <numeric>
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

constexpr std::size_t kJobs = 500;  // In a turn.
constexpr int kTurns = 63;          // Of ours, and as many of oneTBB's.
constexpr int kTurnsOfOthers = 15;
constexpr double kServiceSeconds = 100e-6;
constexpr double kStretched = 2;  // So many times its work's time a job takes that was interrupted.

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
    for (int i = 0; i < 40; ++i) {
      least = std::min(least, seconds_of([] { work(kMany); }));
    }
    return static_cast<std::uint64_t>(kServiceSeconds / least * kMany);
  }();
  return steps;
}

using Arrivals = std::vector<Clock::duration>;

// Returns when each job is due after the first: exponential distances.
Arrivals arrivals(int percent, std::uint32_t seed) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> distance(percent / 100.0 * workers() / kServiceSeconds);
  Arrivals due(kJobs);
  double seconds = 0;
  for (Clock::duration& each : due) {
    each = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    seconds += distance(random);
  }
  return due;
}

// In nanoseconds.
using Times = std::vector<double>;

double quantile(Times times, double part) {
  const auto rank = static_cast<std::ptrdiff_t>(part * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + rank, times.end());
  return times[static_cast<std::size_t>(rank)];
}

// One turn: for each job, how long it waited, how late it was submitted, and how long it took.
struct Turn {
  Times waited = Times(kJobs);
  Times late = Times(kJobs);
  Times took = Times(kJobs);
};

// Submits all jobs when they are due, with `submit(job)`, and waits until all have run.
template <typename Submit>
Turn run_load(const Arrivals& due, Submit submit) {
  const std::uint64_t steps = steps_per_job();
  Turn turn;
  std::atomic<std::size_t> ended{0};
  const auto since = [](Clock::time_point then) {
    return std::chrono::duration<double, std::nano>(Clock::now() - then).count();
  };
  // Workers go to sleep meanwhile, and what ended last turn is over.
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  const Clock::time_point start = Clock::now() + std::chrono::milliseconds(1);
  for (std::size_t i = 0; i < kJobs; ++i) {
    const Clock::time_point then = start + due[i];
    while (Clock::now() < then) {
    }
    turn.late[i] = since(then);
    submit([&, i, then, steps] {
      turn.waited[i] = since(then);
      work(steps);
      turn.took[i] = since(then) - turn.waited[i];
      // Release: the thread below acquires what all jobs have written.
      ended.fetch_add(1, std::memory_order_release);
    });
  }
  while (ended.load(std::memory_order_acquire) != kJobs) {
    std::this_thread::yield();
  }
  return turn;
}

// All turns of one contender.
class Turns {
 public:
  void add(const Turn& turn) {
    p50_.push_back(quantile(turn.waited, 0.5));
    p99_.push_back(quantile(turn.waited, 0.99));
    mean_.push_back(std::accumulate(turn.waited.begin(), turn.waited.end(), 0.0) / kJobs);
    waited_.insert(waited_.end(), turn.waited.begin(), turn.waited.end());
    late_.insert(late_.end(), turn.late.begin(), turn.late.end());
    stretched_ += static_cast<double>(std::ranges::count_if(
        turn.took, [](double took) { return took > kStretched * kServiceSeconds * 1e9; }));
  }

  // Medians of the turns' p50 and p99. For p99.9 one turn is too short: that is of all jobs.
  void report(benchmark::State& state, const std::string& prefix) const {
    state.counters[prefix + "p50"] = quantile(p50_, 0.5);
    state.counters[prefix + "p99"] = quantile(p99_, 0.5);
    state.counters[prefix + "p999"] = quantile(waited_, 0.999);
    state.counters[prefix + "late_p50"] = quantile(late_, 0.5);
    state.counters[prefix + "late_p99"] = quantile(late_, 0.99);
    state.counters[prefix + "stretched"] = stretched_ / static_cast<double>(waited_.size());
  }

  static void report_ratios(benchmark::State& state, const Turns& ours, const Turns& baseline) {
    const auto ratios = [](Times a, const Times& b) {
      std::ranges::transform(a, b, a.begin(), std::divides<>());
      return a;
    };
    report_median(state, "p50_ratio", ratios(ours.p50_, baseline.p50_));
    report_median(state, "p99_ratio", ratios(ours.p99_, baseline.p99_));
    report_median(state, "mean_ratio", ratios(ours.mean_, baseline.mean_));
  }

 private:
  Times p50_;
  Times p99_;
  Times mean_;
  Times waited_;
  Times late_;
  double stretched_ = 0;
};

std::uint32_t first_seed(benchmark::State& state) {
  const std::uint32_t seed = std::random_device()() % 1'000'000;  // The report keeps six digits.
  state.counters["seed"] = seed;
  return seed;
}

void against_onetbb(benchmark::State& state, int percent) {
  Workers contenders(workers());
  Turns ours;
  Turns baseline;
  std::uint32_t seed = first_seed(state);
  with_variables(kSome, [&](const Variables<int>& /*variables*/) {
    const auto run_ours = [&](const Arrivals& due) {
      return run_load(due, [&](auto job) { (void)contenders.pool.submit(std::move(job)); });
    };
    const auto run_baseline = [&](const Arrivals& due) {
      return run_load(due, [&](auto job) { contenders.arena.enqueue(std::move(job)); });
    };
    const Arrivals warm = arrivals(percent, seed);
    run_ours(warm);
    run_baseline(warm);
    bool is_ours_first = false;
    while (state.KeepRunning()) {
      const Arrivals due = arrivals(percent, seed++);
      const Clock::time_point start = Clock::now();
      is_ours_first = !is_ours_first;
      if (is_ours_first) {
        ours.add(run_ours(due));
      }
      baseline.add(run_baseline(due));
      if (!is_ours_first) {
        ours.add(run_ours(due));
      }
      state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
    }
  });
  ours.report(state, "");
  baseline.report(state, "baseline_");
  Turns::report_ratios(state, ours, baseline);
}

// Lets turns pass, each with `submit(job, futures)`.
template <typename Submit>
void run_turns(benchmark::State& state, int percent, Submit submit) {
  Turns turns;
  std::uint32_t seed = first_seed(state);
  while (state.KeepRunning()) {
    std::vector<std::future<void>> futures;
    futures.reserve(kJobs);
    const Clock::time_point start = Clock::now();
    turns.add(run_load(arrivals(percent, seed++),
                       [&](auto job) { futures.push_back(submit(std::move(job))); }));
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
  }
  turns.report(state, "");
}

void with_packaged_task(benchmark::State& state, int percent) {
  QueueOfPackagedTasks queue(workers());
  run_turns(state, percent, [&](auto job) { return queue.submit(std::move(job)); });
}

void with_async(benchmark::State& state, int percent) {
  run_turns(state, percent,
            [&](auto job) { return std::async(std::launch::async, std::move(job)); });
}

}  // namespace

void add_latencies() {
  for (const int percent : {50, 80, 95}) {
    const auto add_one = [&](const char* name, int turns,
                             void (*function)(benchmark::State&, int)) {
      add(std::string(name) + "/" + std::to_string(percent),
          [=](benchmark::State& state) { function(state, percent); })
          ->UseManualTime()
          ->Iterations(turns)
          ->Repetitions(1);  // In each round: it has turns enough.
    };
    add_one("G19/queue_wait/taskctx", kTurns, &against_onetbb);
    add_one("queue_wait/packaged_task", kTurnsOfOthers, &with_packaged_task);
    add_one("queue_wait/async", kTurnsOfOthers, &with_async);
  }
}

}  // namespace bench
