// SPDX-License-Identifier: Apache-2.0
//
// G10: empty jobs, against oneTBB's own tasks and against what the standard library offers.

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <cstddef>
#include <future>
#include <latch>
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

// Many jobs from outside, without handles.
void post(benchmark::State& state, std::size_t size, int threads) {
  constexpr int kCount = 20'000;
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, kCount,
        [&] {
          return seconds_of([&] {
            start_and_wait(
                kCount, [&](std::latch& all) { workers.pool.post([&all] { all.count_down(); }); });
          });
        },
        [&] {
          return seconds_of([&] {
            start_and_wait(kCount, [&](std::latch& all) {
              workers.arena.enqueue([&all] { all.count_down(); });
            });
          });
        });
  });
}

// One job after the other, in a job that waits for each.
void submit_get(benchmark::State& state, std::size_t size, int threads) {
  constexpr int kCount = 5'000;
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    long sum = 0;
    measure_pairs(
        state, kCount,
        [&] {
          return workers.pool
              .submit([&] {
                return seconds_of([&] {
                  for (int i = 0; i < kCount; ++i) {
                    sum += workers.pool.submit([] { return 1; }).get();
                  }
                });
              })
              .get();
        },
        [&] {
          std::promise<double> seconds;
          workers.arena.enqueue([&] {
            seconds.set_value(seconds_of([&] {
              oneapi::tbb::task_group group;
              int result = 0;
              for (int i = 0; i < kCount; ++i) {
                group.run([&result] { result = 1; });
                group.wait();
                sum -= result;
              }
            }));
          });
          return seconds.get_future().get();
        });
    check(state, sum, 0);
  });
}

// 100,000 jobs from outside, then all their results.
void submit_all_get_all(benchmark::State& state, std::size_t size, int threads) {
  constexpr int kCount = 100'000;
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    long sum = 0;
    measure_pairs(
        state, kCount,
        [&] {
          return seconds_of([&] {
            std::vector<taskctx::Job<int>> jobs;
            jobs.reserve(kCount);
            for (int i = 0; i < kCount; ++i) {
              jobs.push_back(workers.pool.submit([i] { return i; }));
            }
            for (auto& job : jobs) {
              sum += job.get();
            }
          });
        },
        [&] {
          return seconds_of([&] {
            std::vector<int> results(kCount);
            start_and_wait(kCount, [&, i = 0](std::latch& all) mutable {
              workers.arena.enqueue([i, &results, &all] {
                results[static_cast<std::size_t>(i)] = i;
                all.count_down();
              });
              ++i;
            });
            for (const int result : results) {
              sum -= result;
            }
          });
        });
    check(state, sum, 0);
  });
}

// Submits `kCount` jobs with `submit`, then takes all results.
template <int kCount, typename Submit>
double seconds_of_all(long& sum, Submit submit) {
  return seconds_of([&] {
    std::vector<decltype(submit(0))> jobs;
    jobs.reserve(kCount);
    for (int i = 0; i < kCount; ++i) {
      jobs.push_back(submit(i));
    }
    for (auto& job : jobs) {
      sum += job.get();
    }
  });
}

// Jobs from outside, then all their results, beside what `theirs(i)` returns the futures of.
template <int kCount, typename Theirs>
void against(benchmark::State& state, std::size_t size, int threads, const Theirs& theirs) {
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    long our_sum = 0;
    long their_sum = 0;
    measure_pairs(
        state, kCount,
        [&] {
          return seconds_of_all<kCount>(
              our_sum, [&](int i) { return workers.pool.submit([i] { return i; }); });
        },
        [&] { return seconds_of_all<kCount>(their_sum, theirs); });
    check(state, our_sum, their_sum);
  });
}

void against_async(benchmark::State& state, std::size_t size, int threads) {
  against<500>(state, size, threads,
               [](int i) { return std::async(std::launch::async, [i] { return i; }); });
}

void against_packaged_task(benchmark::State& state, std::size_t size, int threads) {
  QueueOfPackagedTasks queue(threads);
  against<20'000>(state, size, threads, [&](int i) { return queue.submit([i] { return i; }); });
}

}  // namespace

void add_jobs() {
  for (const int threads : kThreads) {
    add_pairs("G10", "post", threads, &post);
    add_pairs("G10", "submit_get", threads, &submit_get);
    add_pairs("G10", "submit_all_get_all", threads, &submit_all_get_all);
  }
  for (const int threads : {2, 8}) {
    add_pairs("G10", "against_async", threads, &against_async);
    add_pairs("G10", "against_packaged_task", threads, &against_packaged_task);
  }
}

}  // namespace bench
