// SPDX-License-Identifier: Apache-2.0
//
// Counts what jobs and coroutines cost: see shared_writes.h. Two threads submit, two others run,
// and then the first two get the results.

#include <coroutine>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/counting.h"
#include "benchmarks/resumable.h"
#include "benchmarks/shared_writes.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"

namespace bench {
namespace {

using counting::Gate;
using counting::Turns;

constexpr int kAll = counting::kWarmUp + kLaps;  // By each thread.

// Two threads submit, each from inside of `context`, two others run, and then the first two get.
struct JobNames {
  const char* start;
  const char* run;
  const char* get;
};

template <int kBodies = 1, typename Start, typename Get>
void count_jobs(const JobNames& names, const taskctx::Context& context, Start start, Get get) {
  Gate before;
  Gate between;
  Gate submitted;
  Gate after;
  Turns starting(names.start, kLaps);
  // A lap is from one body to the next.
  Turns running(names.run, kBodies * kAll - counting::kWarmUp - 1);
  Turns getting(names.get, kLaps);
  taskctx::JobPool pool({.concurrency = 2});
  const auto block = [&](Gate& gate) {
    for (int i = 0; i < 2; ++i) {
      pool.post([&gate] { gate.pass(); });
    }
    gate.wait_for(2);
  };
  const auto body = [&] {
    if (!running.next()) {
      between.pass();
    }
  };
  block(before);
  auto work = taskctx::bind(context, [&] {
    std::vector<decltype(start(pool, body))> jobs;
    jobs.reserve(kAll);
    while (starting.next()) {
      jobs.push_back(start(pool, body));
    }
    submitted.pass();
    for (auto& job : jobs) {
      if (getting.next()) {
        get(job);
      }
    }
    (void)getting.next();
  });
  std::thread conductor([&] {
    submitted.wait_for(2);
    before.open();
    between.wait_for(2);  // All have begun.
    for (int i = 0; i < 2; ++i) {
      pool.post([&after] { after.pass(); });
    }
    between.open();
    after.wait_for(2);  // All have ended.
    submitted.open();
  });
  on_two_threads([&] { work(); });
  conductor.join();
  after.open();
  counting::report();
}

// Two jobs of a pool with two threads, which go on from one lap to the next by themselves.
template <typename Start>
void count_on_workers(const char* name, const taskctx::Context& context, Start start) {
  Turns turns(name, kLaps);
  taskctx::bind(context, [&] {
    auto first = start(turns);
    auto second = start(turns);
    first.get();
    second.get();
  })();
  counting::report();
}

template <typename Body>
taskctx::Task<int> once(const Body& body) {
  body();
  co_return 1;
}

taskctx::Task<void> yields(Turns& turns) {
  while (turns.next()) {
    co_await taskctx::yield();
  }
}

taskctx::Task<void> awaits_jobs(taskctx::JobPool& pool, Turns& turns) {
  while (turns.next()) {
    taskctx::Job<int> job = pool.submit([] { return 1; });
    keep(co_await std::move(job));
  }
}

Resumable<WithContext> suspends() {
  while (true) {
    co_await std::suspend_always{};
  }
}

}  // namespace

void count_pool(const taskctx::Context& context) {
  const auto submit = [](taskctx::JobPool& pool, const auto& body) {
    return pool.submit([&body] {
      body();
      return 1;
    });
  };
  const auto get = [](auto& job) {
    auto ours = std::move(job);
    keep(ours.get());
  };
  count_jobs({"submit", "run", "job_get"}, context, submit, get);
  count_jobs({"submit_nothing_set", "run_nothing_set", "job_get_nothing_set"}, taskctx::Context(),
             submit, get);
  count_jobs(
      {"post", "run_posted", nullptr}, context,
      [](taskctx::JobPool& pool, const auto& body) {
        pool.post([&body] { body(); });
        return 0;
      },
      [](int /*job*/) {});
  count_jobs(
      {"spawn", "run_spawned", "spawned_get"}, context,
      [](taskctx::JobPool& pool, const auto& body) { return pool.spawn(once(body)); }, get);
  count_jobs<2>(
      {"submit_then", "run_with_then", "then_get"}, context,
      [&](taskctx::JobPool& pool, const auto& body) {
        return submit(pool, body).then([&body](int result) {
          body();
          return result;
        });
      },
      get);

  Turns resuming("resume", kLaps);
  auto resume = taskctx::bind(context, [&] {
    Resumable<WithContext> coroutine = suspends();
    while (resuming.next()) {
      coroutine.resume();
    }
  });
  on_two_threads([&] { resume(); });
  counting::report();

  taskctx::JobPool pool({.concurrency = 2});
  const auto in_jobs = [&](const char* name, auto operation) {
    count_on_workers(name, context, [&](Turns& turns) {
      return pool.submit([&] {
        while (turns.next()) {
          operation();
        }
      });
    });
  };
  in_jobs("submit_get_in_job", [&] { keep(pool.submit([] { return 1; }).get()); });
  in_jobs("cancelled_in_job", [] { keep(taskctx::cancelled()); });
  in_jobs("cancel_scope_in_job", [] {
    const taskctx::CancelScope scope;
    clobber();
  });
  count_on_workers("yield", context, [&](Turns& turns) { return pool.spawn(yields(turns)); });
  count_on_workers("submit_await", context,
                   [&](Turns& turns) { return pool.spawn(awaits_jobs(pool, turns)); });
}

}  // namespace bench
