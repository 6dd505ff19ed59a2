// SPDX-License-Identifier: Apache-2.0
//
// Benchmarks on several threads: goals G8 to G11, G15 to G18 and G22. Each takes turns with its
// baseline.

#include "benchmarks/bench.h"

int main(int argc, char** argv) {
  bench::add_loops();
  bench::add_flows();
  bench::add_jobs();
  bench::add_latencies();
  bench::add_deadlines();
  bench::add_coroutines();
  bench::add_cancels();
  bench::add_scale();
  bench::add_shared();
  return bench::run(argc, argv);
}
