// SPDX-License-Identifier: Apache-2.0
//
// What a job has left behind and what runs when the job's pool is gone: tasks of groups and arenas,
// deferred ones, filters. It may use whatever it could use elsewhere.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "taskctx/this_job.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using namespace taskctx;

namespace ctbb = taskctx::tbb;

using Code = std::function<void()>;

ContextVar<std::string> who{"who", "nobody"};

// Where a task may come from. Each has a job of `pool` begin `code`, which waits for the pool's end
// before it goes on, and returns what is to be kept until the code has ended.
struct Door {
  const char* name;
  std::shared_ptr<void> (*leave_behind)(JobPool& pool, Code code);
};
void PrintTo(const Door& door, std::ostream* out) { *out << door.name; }

// A group that somebody else than the job waits for.
std::shared_ptr<ctbb::task_group> shared_group() {
  return {new ctbb::task_group, [](ctbb::task_group* group) {
            group->wait();
            delete group;
          }};
}

constexpr Door kDoors[] = {
    {"EnqueuedHere",
     [](JobPool& pool, Code code) {
       pool.submit([&] { ctbb::this_task_arena::enqueue(std::move(code)); }).get();
       return std::shared_ptr<void>();
     }},
    {"GroupsTask",
     [](JobPool& pool, Code code) {
       const auto group = shared_group();
       pool.submit([&] { group->run(std::move(code)); }).get();
       return std::shared_ptr<void>(group);
     }},
    {"DeferredTask",
     [](JobPool& pool, Code code) {
       const auto group = shared_group();
       ctbb::task_handle task = pool.submit([&] { return group->defer(std::move(code)); }).get();
       group->run(std::move(task));
       return std::shared_ptr<void>(group);
     }},
    {"DeferredTaskInAnotherArena",
     [](JobPool& pool, Code code) {
       const auto group = shared_group();
       ctbb::task_handle task = pool.submit([&] { return group->defer(std::move(code)); }).get();
       ctbb::task_arena arena(1, 0);
       arena.enqueue(std::move(task));
       return std::shared_ptr<void>(group);
     }},
    {"TaskOfATask",
     [](JobPool& pool, Code code) {
       const auto group = shared_group();
       pool.submit(
               [&] { group->run([&group = *group, code = std::move(code)] { group.run(code); }); })
           .get();
       return std::shared_ptr<void>(group);
     }},
};

class WhatOutlivesItsPool : public testing::TestWithParam<Door> {
 protected:
  // Runs `code` in a task of a job whose pool is gone.
  static void run(const Code& code) {
    const Watchdog watchdog(GetParam().name);
    auto pool = std::make_unique<JobPool>(taskctx::JobPoolOptions{.concurrency = 2});
    auto is_gone = std::make_shared<std::atomic<bool>>(false);
    auto is_over = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<void> kept;
    {
      const Scope scope{who, "the job"};
      kept = GetParam().leave_behind(*pool, [&code, is_gone, is_over] {
        is_gone->wait(false);
        EXPECT_EQ(who.get(), "the job");
        code();
        *is_over = true;
        is_over->notify_all();
      });
    }
    pool.reset();
    const std::vector<char> reused(sizeof(taskctx::internal::PoolCore), 'x');
    *is_gone = true;
    is_gone->notify_all();
    is_over->wait(false);
  }
};

Task<int> sleeps_and_yields() {
  co_await taskctx::yield();
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_return 1;
}
AsyncGenerator<int> numbers() {
  co_await taskctx::yield();
  co_yield 1;
}
Task<int> sum() {
  int sum = co_await sleeps_and_yields();
  AsyncGenerator<int> more = numbers();
  while (const int* number = co_await more.next()) {
    sum += *number;
  }
  co_return sum;
}

// M21
TEST_P(WhatOutlivesItsPool, MayWaitForTasks) {
  int result = 0;
  run([&] { result = taskctx::sync_wait(sum()); });
  EXPECT_EQ(result, 2);
}

// M21
TEST_P(WhatOutlivesItsPool, MaySpawnTasks) {
  int result = 0;
  run([&] {
    auto [first, second] = taskctx::when_all(sum(), sum()).get();
    std::vector<Task<int>> tasks;
    tasks.push_back(sum());
    const std::vector<int> third = taskctx::when_all(std::move(tasks)).get();
    result = first + second + third.at(0);
  });
  EXPECT_EQ(result, 6);
}

// A coroutine of somebody else's, that is not waited for.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};
Detached yields_once(std::shared_ptr<std::atomic<int>> steps) {
  co_await taskctx::yield();
  ++*steps;
  co_await taskctx::sleep_for(absl::Microseconds(1));
  ++*steps;
  steps->notify_all();
}

// M21: a coroutine that has no job, and goes on on the pool that runs it.
TEST_P(WhatOutlivesItsPool, MayRunCoroutines) {
  const auto steps = std::make_shared<std::atomic<int>>(0);
  run([&] {
    yields_once(steps);
    for (int seen = *steps; seen != 2; seen = *steps) {
      steps->wait(seen);
    }
  });
  EXPECT_EQ(*steps, 2);
}

// M21
TEST_P(WhatOutlivesItsPool, StillBelongsToItsJobAndMayUseOtherPools) {
  int result = 0;
  run([&] {
    EXPECT_NE(taskctx::this_job::id(), 0U);
    JobPool other{{.concurrency = 1}};
    std::atomic<int> sum{0};
    ctbb::parallel_for(0, 4, [&](int i) { sum += other.submit([i] { return i; }).get(); });
    other.drain();
    ctbb::task_group group;
    group.run([&] { sum += taskctx::sync_wait(sleeps_and_yields()); });
    group.wait();
    result = sum;
  });
  EXPECT_EQ(result, 7);
}

// M21: its last task, not the pool, is the end of what was given to the pool.
TEST_P(WhatOutlivesItsPool, HoldsNoMoreThanItsEnd) {
  const Watchdog watchdog(GetParam().name);
  auto mark = std::make_shared<int>(0);
  const std::weak_ptr<int> there = mark;
  {
    JobPool pool{{.concurrency = 1, .exception_handler = [mark](const std::exception_ptr&) {}}};
    mark.reset();
    (void)GetParam().leave_behind(pool, [] {});
  }
  while (!there.expired()) {
    std::this_thread::yield();
  }
}

// M21: a pool that ends at the very moment when such a task uses it.
TEST_P(WhatOutlivesItsPool, MayRaceWithItsEnd) {
  const Watchdog watchdog(GetParam().name);
  for (int i = 0; i < 200; ++i) {
    auto pool = std::make_unique<JobPool>(taskctx::JobPoolOptions{.concurrency = 2});
    auto is_over = std::make_shared<std::atomic<bool>>(false);
    const std::shared_ptr<void> kept = GetParam().leave_behind(*pool, [is_over] {
      try {
        EXPECT_EQ(taskctx::sync_wait(sleeps_and_yields()), 1);
      } catch (const taskctx::JobError&) {  // It was shut down in between.
      }
      *is_over = true;
      is_over->notify_all();
    });
    pool.reset();
    is_over->wait(false);
  }
}

INSTANTIATE_TEST_SUITE_P(All, WhatOutlivesItsPool, testing::ValuesIn(kDoors),
                         [](const auto& its) { return std::string(its.param.name); });

}  // namespace
}  // namespace taskctx_test
