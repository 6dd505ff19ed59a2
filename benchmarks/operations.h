// SPDX-License-Identifier: Apache-2.0
//
// Operations that are measured in the same way for all contenders, in more than one program. A
// contender is one of baselines.h's, or one like them.
//
//   add("G5/capture_release/taskctx", 8, &capture_release<Taskctx>);

#ifndef TASKCTX_BENCHMARKS_OPERATIONS_H_
#define TASKCTX_BENCHMARKS_OPERATIONS_H_

#include <benchmark/benchmark.h>

#include <cstddef>

#include "benchmarks/bench.h"

namespace bench {

// Sets a variable for a block, and restores it. Nobody holds a snapshot: what is set may be changed
// in place.
template <typename Contender>
void scope(benchmark::State& state, std::size_t size) {
  Contender contender(size);
  const std::size_t middle = opaque(size / 2);
  int seen = 0;
  contender.set_scoped(middle, 5, [&] { seen = contender.read(middle); });
  if (check(state, seen, 5) && check(state, contender.read(middle), 0)) {
    int value = 0;
    measure(state, [&] { contender.set_scoped(middle, ++value, [] { clobber(); }); });
    check(state, contender.read(middle), 0);
  }
}

template <typename Contender>
void capture_release(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  measure(state, [&] {
    const auto captured = contender.capture();
    keep(&captured);
  });
  check(state, contender.read(), 0);
}

// All that a task costs: captures, installs, reads, restores, releases.
template <typename Contender>
void hop(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  int seen = 1;
  contender.bind([&] { seen = contender.read(); })();
  if (check(state, seen, 0)) {
    measure(state, [&] { contender.bind([&] { keep(contender.read()); })(); });
    check(state, contender.read(), 0);
  }
}

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_OPERATIONS_H_
