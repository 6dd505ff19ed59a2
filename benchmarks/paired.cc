// SPDX-License-Identifier: Apache-2.0

#include "benchmarks/paired.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

// (The 95 %: order statistics.)
void report_median(benchmark::State& state, const std::string& name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const double reach = 1.96 * std::sqrt(count) / 2;
  const auto at = [&](double rank) {
    return values[static_cast<std::size_t>(std::clamp(rank, 0.0, count - 1))];
  };
  state.counters[name] = median(values);
  state.counters[name + "_low"] = at(std::floor(count / 2 - reach));
  state.counters[name + "_high"] = at(std::ceil(count / 2 + reach));
}

void report_pairs(benchmark::State& state, const std::vector<Pair>& pairs, std::size_t operations) {
  if (pairs.empty()) {
    return;
  }
  const double to_ns = 1e9 / static_cast<double>(operations);
  std::vector<double> ours;
  std::vector<double> baseline;
  std::vector<double> ratio;
  std::vector<double> extra;
  for (const Pair& pair : pairs) {
    ours.push_back(pair.ours * to_ns);
    baseline.push_back(pair.baseline * to_ns);
    ratio.push_back(pair.ours / pair.baseline);
    extra.push_back(ours.back() - baseline.back());
  }
  state.counters["ours_ns"] = median(ours);
  state.counters["baseline_ns"] = median(baseline);
  report_median(state, "ratio", ratio);
  report_median(state, "extra_ns", extra);
}

}  // namespace bench
