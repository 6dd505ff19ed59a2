// SPDX-License-Identifier: Apache-2.0
//
// Benchmarks of the core, without oneTBB's tasks: goals G1 to G7 and the first part of G12.

#include "benchmarks/bench.h"

int main(int argc, char** argv) {
  bench::add_calibrations();
  bench::add_gets();
  bench::add_sets();
  bench::add_switches();
  bench::add_threads();
  return bench::run(argc, argv);
}
