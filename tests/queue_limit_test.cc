// SPDX-License-Identifier: Apache-2.0
//
// A pool whose queue is full: it blocks, rejects, or has the caller run the job.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// J16: with an error, and nothing lost: the arguments are as they were.
TEST(QueueLimit, RejectLeavesEverythingAsItWas) {
  BusyPool pool(
      {.concurrency = 1, .name = "p", .queue_capacity = 2, .when_full = WhenFull::reject});
  std::atomic<int> ran{0};
  const auto count = [&] { ++ran; };
  pool->post(count);
  Job<void> second = pool->submit(count);
  auto argument = std::make_unique<int>(1);
  EXPECT_THAT(
      [&] {
        (void)pool->submit(
            JobOptions{.name = "third"}, [&ran](const std::unique_ptr<int>& p) { ran += *p; },
            std::move(argument));
      },
      testing::ThrowsMessage<JobRejected>(
          testing::StrEq("cannot submit job 'third': 2 jobs are queued in pool 'p' already")));
  EXPECT_NE(argument, nullptr);
  EXPECT_THROW((void)pool->submit_bulk(std::views::iota(0, 3), [](int) {}), JobRejected);
  EXPECT_THROW(pool->executor().execute(count), JobRejected);
  const JobPoolStats full = pool->stats();
  EXPECT_EQ(full.queued, 2U);
  EXPECT_EQ(full.running, 1U);
  EXPECT_EQ(full.rejected, 3U);
  EXPECT_TRUE(second.cancel()) << "which makes room";
  pool->post(count);
  pool.go();
  EXPECT_EQ(ran, 2);
  pool->post(count);
  pool->post(count);
  pool->drain();
  EXPECT_EQ(ran, 4) << "there is room again";
}

// J16: with a factory or options that throw, the room is given back.
TEST(QueueLimit, WhatFailsTakesNoRoom) {
  BusyPool pool({.concurrency = 1, .queue_capacity = 1, .when_full = WhenFull::reject});
  for (int i = 0; i < 5; ++i) {
    EXPECT_THROW(pool->post(JobOptions{.context = taskctx::Context(), .detached = true}, [] {}),
                 std::invalid_argument);
  }
  EXPECT_NO_THROW(pool->post([] {}));
  pool.go();
}

// J16: a full queue blocks those outside until there is room.
TEST(QueueLimit, BlockWaitsForRoom) {
  const Watchdog watchdog("a blocked submitter");
  BusyPool pool({.concurrency = 1, .queue_capacity = 1, .when_full = WhenFull::block});
  pool->post([] {});
  std::atomic<bool> is_through{false};
  std::string seen;
  std::thread submitter([&] {
    const Scope scope{request_id, "r-1"};
    pool->post([&] { seen = request_id.get("none"); });
    is_through = true;
  });
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(is_through);
  pool.go();
  submitter.join();
  pool->drain();
  EXPECT_EQ(seen, "r-1");
}

// J16: a job of the pool is never blocked, it goes over the limit: the thread may be the only one.
TEST(QueueLimit, BlockNeverBlocksAThreadOfThePool) {
  const Watchdog watchdog("a job that submits into its own full pool");
  JobPool pool{{.concurrency = 1, .queue_capacity = 2, .when_full = WhenFull::block}};
  std::atomic<int> ran{0};
  pool.submit([&] {
        for (int i = 0; i < 100; ++i) {
          pool.post([&] { ++ran; });
        }
      })
      .get();
  pool.drain();
  EXPECT_EQ(ran, 100);
}

// J16: shutdown wakes who waits for room.
TEST(QueueLimit, ABlockedSubmitterGetsAnErrorAtShutdown) {
  const Watchdog watchdog("a blocked submitter at shutdown");
  BusyPool pool({.concurrency = 1, .queue_capacity = 1, .when_full = WhenFull::block});
  pool->post([] {});
  Latch begun;
  std::thread submitter([&] {
    begun.open();
    EXPECT_THROW(pool->post([] {}), JobError);
  });
  begun.wait();
  EXPECT_EQ(pool->shutdown(absl::InfinitePast()).size(), 2U);
  submitter.join();
}

// J16: in the job's own context, on the caller's thread; jobs of it can be waited for there.
TEST(QueueLimit, RunInCallerRunsTheJobBeforeSubmitReturns) {
  const Watchdog watchdog("run in caller");
  BusyPool pool({.concurrency = 1, .queue_capacity = 1, .when_full = WhenFull::run_in_caller});
  pool->post([] {});
  const Scope scope{request_id, "r-1"};
  Job<std::pair<std::thread::id, std::string>> job = pool->submit([&] {
    const std::string seen = request_id.get();
    request_id.set("changed");
    return std::pair(std::this_thread::get_id(), seen);
  });
  EXPECT_TRUE(job.ready());
  EXPECT_EQ(job.get(), std::pair(std::this_thread::get_id(), std::string("r-1")));
  EXPECT_EQ(request_id.get(), "r-1");
  EXPECT_EQ(pool->submit_bulk(std::views::iota(0, 50), [](int i) { return i; }).get().size(), 50U);
  EXPECT_EQ(pool->submit([&] { return pool->submit([] { return 1; }).get(); }).get(), 1);
  pool.go();
}

}  // namespace
