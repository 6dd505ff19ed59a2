// SPDX-License-Identifier: Apache-2.0
//
// Paired measurements, for work on several threads, where one run differs from the next by a third:
// ours and the baseline take turns, A B B A, and what counts is the median of the pairs' ratios.
//
//   measure_pairs(state, 1000, [] { return seconds_of(ours); }, [] { return seconds_of(theirs); });
//
// The time that is reported is ours, for all operations of one turn. The counters say the rest:
//
//   ours_ns, baseline_ns                  medians per operation
//   ratio, ratio_low, ratio_high          median of ours / baseline, and its 95 % interval
//   extra_ns, extra_ns_low, extra_ns_high the same of ours - baseline, per operation

#ifndef TASKCTX_BENCHMARKS_PAIRED_H_
#define TASKCTX_BENCHMARKS_PAIRED_H_

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// How many pairs one repetition has.
inline constexpr int kPairs = 31;

struct Pair {
  double ours;  // In seconds, as is the other one.
  double baseline;
};

template <typename Function>
double seconds_of(Function&& function) {
  const auto start = std::chrono::steady_clock::now();
  std::forward<Function>(function)();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Sets the counters `name`, to the median of the values, and `name`_low and `name`_high, between
// which the true one lies in 95 % of cases.
void report_median(benchmark::State& state, const std::string& name, std::vector<double> values);

// Sets the counters.
void report_pairs(benchmark::State& state, const std::vector<Pair>& pairs, std::size_t operations);

// Lets `ours` and `baseline` take turns. Each does `operations` operations and returns the seconds
// that they took.
template <typename Ours, typename Baseline>
void measure_pairs(benchmark::State& state, std::size_t operations, Ours ours, Baseline baseline) {
  ours();  // Threads are there, and memory is warm, when it begins.
  baseline();
  std::vector<Pair> pairs;
  while (state.KeepRunning()) {
    Pair pair;
    if (pairs.size() % 2 == 0) {
      pair.ours = ours();
      pair.baseline = baseline();
    } else {
      pair.baseline = baseline();
      pair.ours = ours();
    }
    pairs.push_back(pair);
    state.SetIterationTime(pair.ours);
  }
  report_pairs(state, pairs, operations);
}

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_PAIRED_H_
