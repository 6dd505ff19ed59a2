// SPDX-License-Identifier: Apache-2.0
//
// Destructors of what a job has left, on threads that are not the pool's.

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/coro.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_pipeline.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "tests/guards.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using namespace taskctx;

// M20: the pool waits for the ends of what nobody took, too.
TEST(EndsElsewhere, APoolWaitsForTheDestructorsOfItsJobs) {
  for (int i = 0; i < 200; ++i) {
    std::atomic<int> destroyed{0};
    {
      JobPool pool{{.concurrency = 2}};
      const Signal go;
      for (int k = 0; k < 2; ++k) {
        (void)pool.submit([&, go] {
          go.wait();
          return at_end([&] {
            std::this_thread::yield();
            ++destroyed;
          });
        });
      }
      go.give();
    }
    ASSERT_EQ(destroyed, 2);
  }
}

// M20: on whatever thread a job is cancelled, or run because the queue is full.
TEST(EndsElsewhere, CodeIsRefusedToWaitForThePool) {
  const Watchdog watchdog("the end of a job on a plain thread");
  int refused = 0;
  const auto drain = [&](JobPool& pool) {
    return at_end([&] {
      try {
        pool.drain();
      } catch (const JobError&) {
        ++refused;
      }
    });
  };
  const Signal go;
  JobPool pool{
      {.concurrency = 1, .queue_capacity = 1, .when_full = taskctx::WhenFull::run_in_caller}};
  const Signal begun;
  pool.post([go, begun] {
    begun.give();
    go.wait();
  });
  begun.wait();
  std::optional<Context> context = with_guard([guard = drain(pool)] {});
  pool.post(JobOptions{.context = *context}, [] {});
  context.reset();
  pool.post([&] { guarded.set(drain(pool)); });
  EXPECT_EQ(refused, 1) << "run here";
  EXPECT_EQ(pool.shutdown(absl::Now()).size(), 2U);
  EXPECT_EQ(refused, 2) << "cancelled here";
  go.give();
}

// M20: the thread that waits for times to come destroys nothing of the user's.
TEST(EndsElsewhere, TheTimersThreadRunsNoDestructor) {
  const Watchdog watchdog("delayed jobs");
  JobPool pool{{.concurrency = 2}};
  std::atomic<int> elsewhere{0};
  const auto here = std::this_thread::get_id();  // It may end a job that ends before its handle.
  for (int i = 0; i < 2000; ++i) {
    (void)pool.submit_after(absl::Microseconds(i % 50), [&] {
      return at_end([&] {
        try {
          pool.drain();
          elsewhere += static_cast<int>(std::this_thread::get_id() != here);
        } catch (const JobError&) {
        }
      });
    });
  }
  pool.drain();
  EXPECT_EQ(elsewhere, 0);
}

}  // namespace
}  // namespace taskctx_test
