// SPDX-License-Identifier: Apache-2.0
//
// The context that a job is given: by its options, by the pool's, or none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// F-E1, F-D7
TEST_P(JobPoolTest, AJobMayBeGivenAContext) {
  Context context;
  context.run([] { number.set(1); });
  const Scope scope{number, 2};
  EXPECT_EQ(pool.submit(JobOptions{.context = context}, [] { return number.get(); }).get(), 1);
  EXPECT_EQ(pool.submit(JobOptions{}, [] { return number.get(); }).get(), 2);
  EXPECT_FALSE(pool.submit(JobOptions{.context = Context{}}, [] { return number.find(); }).get());
  context.run([&] {
    EXPECT_EQ(pool.submit(JobOptions{.context = context}, [] { return number.get(); }).get(), 1)
        << "an entered context is copied as it is";
  });
}

// F-B7
TEST_P(JobPoolTest, ManyJobsMayStartFromOneContextAndTheirWritesDieWithThem) {
  Context context;
  context.run([] { number.set(1); });
  std::vector<Job<int>> jobs;
  jobs.reserve(50);
  for (int i = 0; i < 50; ++i) {
    jobs.push_back(pool.submit(JobOptions{.context = context}, [i] {
      const int seen = number.get();
      number.set(i + 2);
      return seen;
    }));
  }
  for (Job<int>& job : jobs) {
    EXPECT_EQ(job.get(), 1);
  }
  EXPECT_EQ(*context.find(number), 1);
}

// F-D7, F-E1
TEST_P(JobPoolTest, AJobMayBeDetached) {
  const Scope scope{number, 2};
  EXPECT_TRUE(
      pool.submit(JobOptions{.detached = true}, [] { return copy_context().empty(); }).get());
  EXPECT_EQ(number.get(), 2);
}

// F-E1
TEST_P(JobPoolTest, ContradictingOptionsAreRefusedByName) {
  EXPECT_THAT(
      [&] { pool.post(JobOptions{.context = Context{}, .name = "both", .detached = true}, [] {}); },
      testing::ThrowsMessage<std::invalid_argument>(testing::StrEq(
          "cannot submit job 'both': more than one of context, detached and context_factory is "
          "given")));
}

// F-D10, D12: a factory is called once per job, on the submitting thread, with its context or none.
TEST_P(JobPoolTest, AContextFactoryIsCalledOncePerJobWithTheSubmittersContext) {
  std::vector<std::string> parents;
  std::thread::id caller;
  const JobOptions options{.context_factory = [&](const Context* parent) {
    caller = std::this_thread::get_id();
    parents.push_back(parent == nullptr ? "none" : *parent->find(request_id));
    EXPECT_EQ(request_id.find() != nullptr, parent != nullptr)
        << "it runs in the submitter's context";
    Context fresh;
    fresh.run([&] { number.set(static_cast<int>(parents.size())); });
    return fresh;
  }};
  std::thread([&] {  // Where nothing was ever set.
    EXPECT_EQ(pool.submit(options, [] { return number.get(); }).get(), 1);
  })
      .join();
  const Scope scope{request_id, "r-1"};
  const auto job = [] {
    EXPECT_EQ(request_id.find(), nullptr) << "only what the factory set";
    return number.get();
  };
  EXPECT_EQ(pool.submit(options, job).get(), 2);
  EXPECT_EQ(caller, std::this_thread::get_id());
  Latch ran;
  pool.post(options, [&] {
    EXPECT_EQ(number.get(), 3);
    ran.open();
  });
  ran.wait();
  EXPECT_THAT(parents, testing::ElementsAre("none", "r-1", "r-1"));
}

// F-D10, D12: the pool's factory, for every job without one of its own.
TEST_P(JobPoolTest, APoolsContextFactoryMakesTheContextsOfItsJobs) {
  std::atomic<int> calls{0};
  JobPool made{{.concurrency = GetParam(), .context_factory = [&](const Context* parent) {
                  ++calls;
                  return parent == nullptr ? Context() : *parent;
                }}};
  const Scope scope{number, 4};
  EXPECT_EQ(made.submit([] { return number.get(); }).get(), 4);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(made.submit(JobOptions{.name = "n"}, [] { return number.get(); }).get(), 4);
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(made.submit(JobOptions{.detached = true}, [] { return !number.find(); }).get());
  EXPECT_EQ(calls, 2) << "the job's own options win";
  EXPECT_EQ(made.submit([&] { return made.submit([] { return number.get(); }).get(); }).get(), 4);
  EXPECT_EQ(calls, 4) << "jobs of jobs, too";
}

// F-D10, D12: what a factory throws comes out of submit, and there is no job.
TEST_P(JobPoolTest, WhatAContextFactoryThrowsComesOutOfSubmitAndThereIsNoJob) {
  const JobOptions options{.context_factory = [](const Context* /*parent*/) -> Context {
    throw std::runtime_error("refused");
  }};
  std::atomic<int> ran{0};
  EXPECT_THAT([&] { (void)pool.submit(options, [&] { ++ran; }); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("refused")));
  EXPECT_THROW(pool.post(options, [&] { ++ran; }), std::runtime_error);
  pool.submit([] {}).get();
  EXPECT_EQ(ran, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, JobPoolTest, testing::Values(1, 2, 4, 8));

}  // namespace
