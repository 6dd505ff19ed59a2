// SPDX-License-Identifier: Apache-2.0
//
// A job that runs on a thread that waits for it, deep in a loop or group of somebody else, is not
// part of that loop or group: cancelling one does not touch the other.

#include <gtest/gtest.h>
#include <oneapi/tbb/collaborative_call_once.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_group.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/helping.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
namespace otbb = oneapi::tbb;

Task<int> work_in_a_task() { co_return work(); }
Task<int> work_after_a_job(JobPool& pool) {
  co_await pool.spawn(work_in_a_task());
  co_return work();
}
Task<int> work_after_a_yield() {
  co_await taskctx::yield();
  co_return work();
}

// Where code may wait, each cancelled from inside.
struct Place {
  std::string name;
  void (*run)(JobPool& pool, const std::function<void()>& f);
};
const std::vector<Place>& places() {
  using F = const std::function<void()>&;
  static const std::vector<Place> all{
      {"a leaf",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           f();
         });
       }},
      {"a plain leaf",
       [](JobPool&, F f) {
         otbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           f();
         });
       }},
      {"a leaf in a leaf, the outer loop of which is cancelled",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           auto* const outer = otbb::task::current_context();
           ctbb::parallel_for(0, 1, [&](int) {
             outer->cancel_group_execution();
             f();
           });
         });
       }},
      {"a group's task",
       [](JobPool&, F f) {
         ctbb::task_group group;
         group.run_and_wait([&] {
           group.cancel();
           f();
         });
       }},
      {"a plain group's task, spawned",
       [](JobPool&, F f) {
         otbb::task_group group;
         group.run([&] {
           group.cancel();
           f();
         });
         group.wait();
       }},
      {"a filter",
       [](JobPool&, F f) {
         ctbb::parallel_pipeline(1,
                                 ctbb::make_filter<void, void>(ctbb::filter_mode::serial_in_order,
                                                               [&](ctbb::flow_control& control) {
                                                                 cancel_here();
                                                                 control.stop();
                                                                 f();
                                                               }));
       }},
      {"a reduction's body",
       [](JobPool&, F f) {
         ctbb::parallel_reduce(
             ctbb::blocked_range<int>(0, 1), 0,
             [&](const auto&, int) {
               cancel_here();
               f();
               return 0;
             },
             std::plus<>());
       }},
      {"isolate() in a leaf",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           ctbb::this_task_arena::isolate([&] { f(); });
         });
       }},
      {"another arena's execute() in a leaf",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           ctbb::task_arena(2).execute([&] { ctbb::parallel_for(0, 1, [&](int) { f(); }); });
         });
       }},
      {"a function that is called once",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           ctbb::collaborative_once_flag flag;
           ctbb::collaborative_call_once(flag, [&] { f(); });
         });
       }},
      {"an exception handler in a leaf",
       [](JobPool&, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           try {
             cancel_here();
             throw std::runtime_error("thrown");
           } catch (const std::runtime_error&) {
             f();
           }
         });
       }},
      {"a job that was helped",
       [](JobPool& pool, F f) {
         ctbb::parallel_for(0, 1, [&](int) {
           cancel_here();
           pool.submit([&] { ctbb::parallel_for(0, 1, [&](int) { f(); }); }).get();
         });
       }},
  };
  return all;
}

// How a thread of the pool may come to run somebody else's job.
struct Way {
  const char* name;
  int (*run)(JobPool& pool);
};
const std::vector<Way>& ways() {
  static const std::vector<Way> all{
      {"get()", [](JobPool& pool) { return pool.submit(&work).get(); }},
      {"wait() and get()",
       [](JobPool& pool) {
         Job<int> job = pool.submit(&work);
         job.wait();
         return job.get();
       }},
      {"get() of a job that gets another",
       [](JobPool& pool) { return pool.submit([&] { return pool.submit(&work).get(); }).get(); }},
      {"get() of a bulk",
       [](JobPool& pool) {
         const std::vector<int> sums =
             pool.submit_bulk(std::vector<int>(3), [](int) { return work(); }).get();
         return sums == std::vector<int>(3, kAll) ? kAll : -1;
       }},
      {"get() of a continuation",
       [](JobPool& pool) { return pool.submit([] {}).then([] { return work(); }).get(); }},
      {"get() of all",
       [](JobPool& pool) {
         std::vector<Job<int>> jobs;
         jobs.push_back(pool.submit(&work));
         jobs.push_back(pool.submit(&work));
         const std::vector<int> sums = taskctx::when_all(std::move(jobs)).get();
         return sums == std::vector<int>(2, kAll) ? kAll : -1;
       }},
      {"get() of a coroutine", [](JobPool& pool) { return pool.spawn(work_in_a_task()).get(); }},
      {"get() of a coroutine that waits for a job",
       [](JobPool& pool) { return pool.spawn(work_after_a_job(pool)).get(); }},
      {"sync_wait() of a coroutine that waits for a job",
       [](JobPool& pool) { return taskctx::sync_wait(work_after_a_job(pool)); }},
      {"sync_wait() of a coroutine that yields",
       [](JobPool&) { return taskctx::sync_wait(work_after_a_yield()); }},
      {"a job's destruction",
       [](JobPool& pool) {
         // Where the only thread is at work, the job can be cancelled before it has begun.
         int done = kAll;
         const auto destroy = [&done](const int* value) {
           done = work();
           delete value;
         };
         Job<void> job = pool.submit([owned = std::shared_ptr<int>(new int, destroy)] {});
         (void)job.cancel();
         job.wait();
         return done;
       }},
  };
  return all;
}

class Helping : public testing::TestWithParam<int> {};

// T20: wherever the thread waits, and whatever it waits for.
TEST_P(Helping, AJobsLoopsEndOnTheirOwnWhateverIsCancelledAroundTheHelper) {
  const Watchdog watchdog("a job in a cancelled group");
  JobPool pool({.concurrency = GetParam()});
  for (const Place& place : places()) {
    for (const Way& way : ways()) {
      int done = -1;
      pool.submit([&] { place.run(pool, [&] { done = way.run(pool); }); }).get();
      EXPECT_EQ(done, kAll) << way.name << " in " << place.name;
    }
  }
}

// T20: a job that submit() runs in its caller's loop, for want of room, is no part of that either.
TEST_P(Helping, AJobThatRunsInItsSubmittersLoopIsNoPartOfThat) {
  const Watchdog watchdog("a job that runs in its submitter");
  JobPool pool({.concurrency = GetParam(),
                .queue_capacity = 1,
                .when_full = taskctx::WhenFull::run_in_caller});
  Latch over;
  std::vector<Job<void>> fill;
  taskctx_test::Gate running(GetParam() + 1);
  for (int i = 0; i < GetParam(); ++i) {
    Latch has_room;  // For the next one.
    fill.push_back(pool.submit([&running, &over, has_room]() mutable {
      has_room.open();
      running.arrive_and_wait();
      over.wait();
    }));
    has_room.wait();
  }
  running.arrive_and_wait();
  fill.push_back(pool.submit([] {}));  // Takes the room.
  for (const Place& place : places()) {
    if (std::string(place.name) == "a job that was helped") {
      continue;  // This thread is none of the pool's.
    }
    int done = -1;
    int done_by_bulk = -1;
    place.run(pool, [&] {
      done = pool.submit(&work).get();
      done_by_bulk = pool.submit_bulk(std::vector<int>(1), [](int) { return work(); }).get()[0];
    });
    EXPECT_EQ(done, kAll) << place.name;
    EXPECT_EQ(done_by_bulk, kAll) << place.name;
  }
  over.open();
  for (Job<void>& job : fill) {
    job.wait();
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Helping, testing::Values(1, 2, 4, 8));

}  // namespace
