// SPDX-License-Identifier: Apache-2.0
//
// A job that a waiting thread runs, and the errors and cancellations around it.

#include <gtest/gtest.h>
#include <oneapi/tbb/collaborative_call_once.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>

#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/helping.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
namespace otbb = oneapi::tbb;

// T20: nor is the handler that gets a job's exception where its handle was dropped.
TEST(HelpingTest, AnExceptionHandlerIsNoPartOfTheLoopThatDropsTheHandle) {
  int done = -1;
  JobPool pool({.concurrency = 1, .exception_handler = [&](std::exception_ptr) { done = work(); }});
  Job<void> job = pool.submit([] { throw std::runtime_error("thrown"); });
  job.wait();
  otbb::parallel_for(0, 1, [&](int) {
    cancel_here();
    job = Job<void>();
  });
  EXPECT_EQ(done, kAll);
}

// T21: what a job does to its own groups, or to the one that it finds itself in, stays with it.
TEST(HelpingTest, AJobThatCancelsItsGroupOrThrowsDoesNotReachItsHelpersLoop) {
  const Watchdog watchdog("a job that cancels");
  JobPool pool({.concurrency = 1});
  std::atomic<int> bodies{0};
  std::atomic<int> cancelled{0};
  pool.submit([&] {
        otbb::parallel_for(0, 1000, [&](int i) {
          if (i % 100 == 0) {
            Job<void> job = pool.submit([i] {
              otbb::parallel_for(0, 10, [](int) { cancel_here(); });
              cancel_here();
              if (i % 200 == 0) {
                ctbb::parallel_for(0, 10, [](int) { throw std::runtime_error("from a leaf"); });
              }
            });
            try {
              job.get();
            } catch (const std::runtime_error&) {
            }
          }
          cancelled += ctbb::is_current_task_group_canceling() ? 1 : 0;
          ++bodies;
        });
      })
      .get();
  EXPECT_EQ(bodies, 1000);
  EXPECT_EQ(cancelled, 0);
}

// T20: the case that was met first. A waiting leaf helps while another leaf of its loop throws.
TEST(HelpingTest, AJobIsWholeWhenALeafBesideItsHelperThrows) {
  const Watchdog watchdog("a leaf that throws beside a helper");
  JobPool pool({.concurrency = 2});
  Latch ready;
  Latch started;
  taskctx_test::Gate both(3);
  std::atomic<otbb::task_group_context*> loop{nullptr};
  Job<int> other;
  Job<void> mine = pool.submit([&] {
    ctbb::parallel_for(
        0, 2,
        [&](int i) {
          loop = otbb::task::current_context();
          both.arrive_and_wait();
          if (i == 0) {
            ready.wait();
            other.wait();
          } else {
            started.wait();
            throw std::runtime_error("from the other leaf");
          }
        },
        ctbb::simple_partitioner());
  });
  both.arrive_and_wait();
  other = pool.submit([&] {
    started.open();
    while (!loop.load()->is_group_execution_cancelled()) {
      std::this_thread::yield();
    }
    return work();
  });
  ready.open();
  EXPECT_THROW(mine.get(), std::runtime_error);
  EXPECT_EQ(other.get(), kAll);
}

}  // namespace
