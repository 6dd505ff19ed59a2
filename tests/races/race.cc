// SPDX-License-Identifier: Apache-2.0
//
// Three programs with a real race each, chosen by the argument. ThreadSanitizer must report them:
// else it is blind to what runs in oneTBB's tasks, and its silence about the tests means nothing.

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "taskctx/tbb.h"

namespace {

namespace ctbb = taskctx::tbb;

// Waits until both threads are at work, by what orders nothing between them afterwards.
void meet(std::atomic<int>& missing) {
  missing.fetch_sub(1, std::memory_order_relaxed);
  for (int i = 0; i < 1'000'000 && missing.load(std::memory_order_relaxed) > 0; ++i) {
    std::this_thread::yield();
  }
}

// Two indices count in one variable.
long in_parallel_for() {
  long count = 0;
  std::atomic<int> missing{2};
  ctbb::parallel_for(
      0, 2,
      [&](int) {
        meet(missing);
        ++count;
      },
      ctbb::static_partitioner());
  return count;
}

// Two tasks of a group do.
long in_task_group() {
  long count = 0;
  std::atomic<int> missing{2};
  const auto task = [&] {
    meet(missing);
    ++count;
  };
  ctbb::task_group group;
  group.run(task);
  group.run(task);
  group.wait();
  return count;
}

// The result of a task is read before it is waited for.
long before_wait() {
  long result = 0;
  std::atomic<int> missing{2};
  ctbb::task_group group;
  group.run([&] {
    result = 1;
    meet(missing);
  });
  meet(missing);
  const long early = result;
  group.wait();
  return early + result;
}

}  // namespace

int main(int argc, char** argv) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 4);
  oneapi::tbb::task_arena arena(4);
  const std::string_view which = argc == 2 ? argv[1] : "";
  long result = 0;
  for (int i = 0; i < 100; ++i) {
    arena.execute([&] {
      if (which == "parallel_for") {
        result += in_parallel_for();
      } else if (which == "task_group") {
        result += in_task_group();
      } else if (which == "before_wait") {
        result += before_wait();
      } else {
        std::fprintf(stderr, "usage: race parallel_for|task_group|before_wait\n");
        std::exit(2);
      }
    });
  }
  std::printf("%ld\n", result);
}
