// SPDX-License-Identifier: Apache-2.0
//
// Counts what loops, groups and tasks cost two threads, ours and oneTBB's: see shared_writes.h.
// What oneTBB's own library does is only counted if that was compiled for it (shared_writes.py).

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "benchmarks/bench.h"
#include "benchmarks/counting.h"
#include "benchmarks/shared_writes.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/tbb.h"

namespace bench {
namespace {

using counting::Gate;
using counting::Turns;

// Two threads of oneTBB in one loop. A lap is a leaf, and what is between it and the next one.
template <typename Loop>
void count_leaves(const char* name, const taskctx::Context& context, Loop loop) {
  oneapi::tbb::task_arena arena(2);
  Turns turns(name, kLaps);
  taskctx::bind(context, [&] { arena.execute([&] { loop(turns); }); })();
  counting::report();
}

// Each thread has a group of its own, in an arena where nobody steals from it.
template <typename Group>
void count_group(const char* run, const char* body, const taskctx::Context& context) {
  Turns running(run, kLaps);
  Turns bodies(body, kLaps);
  auto both = taskctx::bind(context, [&] {
    oneapi::tbb::task_arena arena(1);
    arena.execute([&] {
      Group group;
      while (running.next()) {
        group.run([&] { (void)bodies.next(); });
      }
      group.run([&] { (void)bodies.next(); });  // Ends the last lap.
      group.wait();
    });
  });
  on_two_threads([&] { both(); });
  counting::report();
}

// What JobPool::post() is to oneTBB. A lap of its own threads is from one body to the next.
void count_enqueued() {
  oneapi::tbb::task_arena arena(2, 0);
  Gate before;
  Gate after;
  Gate gone;
  Turns enqueuing("raw_enqueue", kLaps);
  Turns running("raw_run_enqueued", kLaps - 1);
  for (int i = 0; i < 2; ++i) {
    arena.enqueue([&] {
      before.pass();
      gone.arrive();
    });
  }
  before.wait_for(2);
  on_two_threads([&] {
    while (enqueuing.next()) {
      arena.enqueue([&] {
        if (!running.next()) {
          after.pass();
          gone.arrive();
        }
      });
    }
  });
  before.open();
  after.wait_for(2);
  after.open();
  gone.wait_for(4);
  counting::report();
}

}  // namespace

void count_onetbb(const taskctx::Context& context) {
  const auto loop = [](Turns& turns, auto parallel_for) {
    parallel_for(
        oneapi::tbb::blocked_range<int>(0, 1 << 12, 1),
        [&turns](const oneapi::tbb::blocked_range<int>& range) {
          (void)turns.next();
          keep(range.begin());
        },
        oneapi::tbb::simple_partitioner());
  };
  count_leaves("leaf", context, [&](Turns& turns) {
    loop(turns, [](auto&&... arguments) { taskctx::tbb::parallel_for(arguments...); });
  });
  count_leaves("raw_leaf", context, [&](Turns& turns) {
    loop(turns, [](auto&&... arguments) { oneapi::tbb::parallel_for(arguments...); });
  });
  count_group<taskctx::tbb::task_group>("task", "task_body", context);
  count_group<oneapi::tbb::task_group>("raw_task", "raw_task_body", context);
  count_enqueued();
}

}  // namespace bench
