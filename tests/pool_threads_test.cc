// SPDX-License-Identifier: Apache-2.0
//
// The threads of a pool: how many it has, whose they are, and which pool gets one that is free.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J7
TEST(PoolOptions, ANegativeConcurrencyIsRefusedByName) {
  EXPECT_THAT([] { JobPool pool{{.concurrency = -3}}; },
              testing::ThrowsMessage<std::invalid_argument>(
                  testing::StrEq("cannot create pool: concurrency is -3")));
}

// J7
TEST(PoolOptions, TheDefaultIsAllCores) {
  const JobPool pool;
  EXPECT_GE(pool.concurrency(), 1);
}

// J7: two pools get the threads of both; a small one does not slow down a large one.
TEST(PoolOptions, ASmallPoolDoesNotTakeALargeOnesThreads) {
  const Watchdog watchdog("a gate for all threads of the large pool");
  JobPool large{{.concurrency = 6}};
  const JobPool small{{.concurrency = 1}};
  taskctx_test::Gate gate(6);
  std::vector<Job<void>> jobs;
  jobs.reserve(6);
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(large.submit([&] { gate.arrive_and_wait(); }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
}

// J7: the limit is back when the pools are gone: other users of oneTBB have what they had.
TEST(PoolOptions, TheLimitOfThreadsIsRaisedForThePoolsLifetimeOnly) {
  using Control = oneapi::tbb::global_control;
  const std::size_t before = Control::active_value(Control::max_allowed_parallelism);
  {
    const JobPool pool{{.concurrency = static_cast<int>(before) + 10}};
    EXPECT_EQ(Control::active_value(Control::max_allowed_parallelism), before + 11);
  }
  EXPECT_EQ(Control::active_value(Control::max_allowed_parallelism), before);
}

// J7: in the user's arena, with its threads.
TEST(UsersArena, RunsTheJobs) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 5);
  oneapi::tbb::task_arena arena(4, 0);
  const auto before = oneapi::tbb::global_control::active_value(
      oneapi::tbb::global_control::max_allowed_parallelism);
  for (int i = 0; i < 20; ++i) {
    JobPool pool{arena};
    EXPECT_EQ(pool.concurrency(), 4);
    EXPECT_EQ(oneapi::tbb::global_control::active_value(
                  oneapi::tbb::global_control::max_allowed_parallelism),
              before);
    const Scope scope{request_id, "r-1"};
    EXPECT_EQ(pool.submit([] {
                    return std::pair(request_id.get(),
                                     oneapi::tbb::this_task_arena::max_concurrency());
                  })
                  .get(),
              std::pair(std::string("r-1"), 4));
    for (int k = 0; k < 50; ++k) {
      pool.post([] {});
    }
  }
  EXPECT_THROW(JobPool(arena, JobPoolOptions{.concurrency = 2}), std::invalid_argument);
  EXPECT_THROW(JobPool(arena, JobPoolOptions{.priority = JobPriority::high}),
               std::invalid_argument);
}

// J7: where one thread is left for two pools, the urgent one gets it between two jobs.
TEST(Priority, DecidesWhichPoolGetsTheThread) {
  const Watchdog watchdog("priorities");
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 2);
  JobPool low{{.concurrency = 1, .priority = JobPriority::low}};
  JobPool high{{.concurrency = 1, .priority = JobPriority::high}};
  std::string order;  // Written by the only thread.
  Latch begun;
  Latch go;
  low.post([&] {
    begun.open();
    go.wait();
    // A long job: short ones are run in batches.
    const absl::Time end = absl::Now() + absl::Milliseconds(20);
    while (absl::Now() < end) {
    }
  });
  begun.wait();
  for (int i = 0; i < 20; ++i) {
    low.post([&] { order += 'l'; });
    high.post([&] { order += 'h'; });
  }
  go.open();
  high.drain();
  low.drain();
  EXPECT_EQ(order, std::string(20, 'h') + std::string(20, 'l'));
}

}  // namespace
