// SPDX-License-Identifier: Apache-2.0
//
// Every public call that blocks or waits, from every place where user code can run: it returns, or
// throws what its header says; it never hangs. And again with each of its allocations failing.

#include "tests/everywhere.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/core/node_memory.h"
#include "taskctx/attribution.h"
#include "taskctx/bind.h"
#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_executor.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/executor.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

ContextVar<int> number{"number", 0};
ContextVar<std::string> text{"text"};

// What a call does where it is in one of the pool's own jobs; elsewhere it returns.
enum class InPool { returns, refuses };

struct Scenario {
  std::string name;
  void (*run)(JobPool& pool);
  InPool in_pool = InPool::returns;
  void (*prepare)(JobPoolOptions& options) = nullptr;
};

void with_small_queue(JobPoolOptions& options) { options.queue_capacity = 1; }

Task<int> one() { co_return 1; }
Task<int> one_later() {
  co_await taskctx::yield();
  co_return 1;
}
Task<int> one_from(JobPool& pool) {
  auto job = pool.submit([] { return 1; });
  co_return co_await job;
}
Task<int> sum_of_three() {
  auto all = taskctx::when_all(one(), one_later(), one());
  const auto [a, b, c] = co_await all;
  co_return a + b + c;
}
Task<int> after_sleep() {
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_return 1;
}
Task<int> moved_to(JobPool& pool) {
  co_await pool.schedule();
  co_return 1;
}
taskctx::Generator<int> two() {
  co_yield 1;
  co_yield 2;
}

const Scenario kScenarios[] = {
    {"Get", [](JobPool& pool) { (void)pool.submit([] { return 1; }).get(); }},
    {"GetOfMany",
     [](JobPool& pool) {
       std::vector<Job<int>> jobs;
       for (int i = 0; i < 8; ++i) {
         jobs.push_back(pool.submit([i] { return i; }));
       }
       for (Job<int>& job : jobs) {
         (void)job.get();
       }
     }},
    {"Wait", [](JobPool& pool) { pool.submit([] {}).wait(); }},
    {"WaitFor",
     [](JobPool& pool) {
       const auto job = pool.submit([] {});
       while (!job.wait_for(absl::Seconds(1))) {
       }
     }},
    {"WaitUntil",
     [](JobPool& pool) {
       const auto job = pool.submit([] {});
       while (!job.wait_until(absl::Now() + absl::Seconds(1))) {
       }
     }},
    {"SharedGet",
     [](JobPool& pool) {
       const auto job = pool.submit([] { return std::string("a"); }).shared();
       (void)job.get();
     }},
    {"GetOfContinuation",
     [](JobPool& pool) {
       (void)pool.submit([] { return 1; }).then([](int i) { return i; }).get();
     }},
    {"GetOfDelayedJob",
     [](JobPool& pool) { pool.submit_after(absl::Microseconds(1), [] {}).get(); }},
    {"GetOfBulk",
     [](JobPool& pool) {
       (void)pool.submit_bulk(std::vector<int>{1, 2, 3}, [](int i) { return i; }).get();
     }},
    {"GetOfNestedJobs",
     [](JobPool& pool) {
       (void)pool
           .submit([&pool] {
             return pool.submit([&pool] { return pool.submit([] { return 1; }).get(); }).get();
           })
           .get();
     }},
    {"GetOfJobWithLoop",
     [](JobPool& pool) { pool.submit([] { ctbb::parallel_for(0, 8, [](int) {}); }).get(); }},
    {"WhenAll",
     [](JobPool& pool) {
       std::vector<Job<int>> jobs;
       jobs.push_back(pool.submit([] { return 1; }));
       jobs.push_back(pool.submit([] { return 2; }));
       (void)taskctx::when_all(std::move(jobs)).get();
     }},
    {"Gather",
     [](JobPool& pool) {
       (void)taskctx::gather(pool.submit([] { return 1; }), pool.submit([] { return 2; }));
     }},
    {"WhenAny",
     [](JobPool& pool) {
       std::vector<Job<int>> jobs;
       jobs.push_back(pool.submit([] { return 1; }));
       jobs.push_back(pool.submit([] { return 2; }));
       (void)taskctx::when_any(std::move(jobs)).get();
     }},
    {"SubmitToAFullQueue",
     [](JobPool& pool) {
       for (int i = 0; i < 8; ++i) {
         pool.post([] {});
       }
       pool.submit([] {}).get();
     },
     InPool::returns, &with_small_queue},
    {"Drain", [](JobPool& pool) { pool.drain(); }, InPool::refuses},
    {"Spawn", [](JobPool& pool) { (void)pool.spawn(one_later()).get(); }},
    {"SpawnOfWhatAwaitsAJob", [](JobPool& pool) { (void)pool.spawn(one_from(pool)).get(); }},
    {"SpawnOfWhatAwaitsAll", [](JobPool& pool) { (void)pool.spawn(sum_of_three()).get(); }},
    {"SpawnOfWhatSleeps", [](JobPool& pool) { (void)pool.spawn(after_sleep()).get(); }},
    {"SyncWait", [](JobPool& /*pool*/) { (void)taskctx::sync_wait(one()); }},
    {"SyncWaitOfWhatYields", [](JobPool& /*pool*/) { (void)taskctx::sync_wait(one_later()); }},
    {"SyncWaitOfWhatSleeps", [](JobPool& /*pool*/) { (void)taskctx::sync_wait(after_sleep()); }},
    {"SyncWaitOfWhatAwaitsAJob", [](JobPool& pool) { (void)taskctx::sync_wait(one_from(pool)); }},
    {"SyncWaitOfWhatAwaitsAll",
     [](JobPool& /*pool*/) { (void)taskctx::sync_wait(sum_of_three()); }},
    {"SyncWaitOfWhatMoves", [](JobPool& pool) { (void)taskctx::sync_wait(moved_to(pool)); }},
    {"DefaultPool",
     [](JobPool& /*pool*/) { (void)taskctx::default_pool().submit([] { return 1; }).get(); }},
    {"AnotherPool",
     [](JobPool& /*pool*/) {
       JobPool other{{.concurrency = 1}};
       (void)other.submit([] { return 1; }).get();
     }},
    {"ShutdownOfAnotherPool",
     [](JobPool& /*pool*/) {
       JobPool other{{.concurrency = 1}};
       other.post([] {});
       (void)other.shutdown();
     }},
    {"ParallelFor", [](JobPool& /*pool*/) { ctbb::parallel_for(0, 8, [](int) {}); }},
    {"ParallelReduce",
     [](JobPool& /*pool*/) {
       (void)ctbb::parallel_reduce(
           ctbb::blocked_range<int>(0, 8), 0,
           [](const auto& range, int sum) { return sum + static_cast<int>(range.size()); },
           std::plus<>());
     }},
    {"ParallelInvoke", [](JobPool& /*pool*/) { ctbb::parallel_invoke([] {}, [] {}); }},
    {"TaskGroup",
     [](JobPool& /*pool*/) {
       ctbb::task_group group;
       group.run([] {});
       group.wait();
     }},
    {"ArenaExecute", [](JobPool& /*pool*/) { ctbb::task_arena(2).execute([] {}); }},
    {"Isolate", [](JobPool& /*pool*/) { ctbb::this_task_arena::isolate([] {}); }},
    {"Stats",
     [](JobPool& pool) {
       (void)pool.stats();
       (void)pool.submit([] {}).cancel();
     }},
    {"ContextOperations",
     [](JobPool& /*pool*/) {
       const Scope scope{number, 1, text, "a text that is long enough to lie on the heap"};
       taskctx::Context copy = taskctx::copy_context();
       copy.run([] { number.set(2); });
       taskctx::bind([] { text.set("b"); })();
       std::queue<taskctx::Carried<std::string>> queue;
       const taskctx::ContextExecutor executor{[](auto f) { f(); }};
       executor([&queue] { queue.push("a text that is long enough to lie on the heap"); });
       std::move(queue.front()).run([](std::string moved) { text.set(moved); });
       (void)(copy == taskctx::copy_context());
       for ([[maybe_unused]] const int value : two()) {
         number.set(value);
       }
     }},
};

class Everywhere : public testing::TestWithParam<std::tuple<Scenario, Place>> {};

std::string result_wanted(const Scenario& scenario, const Place& place) {
  return scenario.in_pool == InPool::refuses && place.is_in_pool ? "JobError" : "returns";
}

JobPoolOptions options_of(const Scenario& scenario) {
  JobPoolOptions options;
  if (scenario.prepare != nullptr) {
    scenario.prepare(options);
  }
  return options;
}

// What can wait, waits to its end; what would wait for itself, is refused. J24.
TEST_P(Everywhere, ACallReturnsOrIsRefused) {
  const auto& [scenario, place] = GetParam();
  for (const int threads : {1, 2}) {
    Visit visit(scenario.run);
    EXPECT_EQ(visit.at(place, threads, options_of(scenario)), result_wanted(scenario, place))
        << threads << " threads";
  }
}

// Whichever allocation fails, the call still returns, or throws bad_alloc, and the pool works on.
// J26.
TEST_P(Everywhere, ACallThatFindsNoMemoryThrowsOrReturns) {
  const auto& [scenario, place] = GetParam();
  bool has_failed = true;
  for (int n = 0; has_failed; ++n) {
    Visit visit(scenario.run);
    visit.let_fail(n);
    const std::string result = visit.at(place, 1, options_of(scenario));
    EXPECT_TRUE(result == "bad_alloc" || result == result_wanted(scenario, place))
        << "with allocation " << n << " failing: " << result;
    has_failed = visit.has_failed();
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Everywhere, testing::Combine(testing::ValuesIn(kScenarios), testing::ValuesIn(places())),
    [](const auto& test) {
      return std::get<0>(test.param).name + "In" + std::get<1>(test.param).name;
    });

}  // namespace
