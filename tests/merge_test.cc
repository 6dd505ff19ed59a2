// SPDX-License-Identifier: Apache-2.0
//
// What comes back of variables that have a merge function: a test for each line of the table in
// context_var_options.h. (Reductions: tbb_merge_test.)

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// Not commutative: shows the order.
const ContextVar<std::string> trail(
    "trail",
    {.policy = taskctx::policy::copy([](const std::string&) { return std::string(); }),
     .merge = [](const std::string& left, const std::string& right) { return left + right; }});
// Refuses a 7 on the right.
const ContextVar<int> picky("picky", {.merge = [](const int& left, const int& right) {
                              if (right == 7) {
                                throw std::runtime_error("a 7");
                              }
                              return left + right;
                            }});

int go(const std::string& step) {
  trail.set(trail.get("") + step);
  return 1;
}
Task<int> step_by_step(std::string step) {
  go(step);
  co_await taskctx::yield();
  go("'");
  co_return 1;
}

class MergeTest : public testing::TestWithParam<int> {
 protected:
  // Calls `function`, and returns what is there afterwards.
  static std::string after(const std::function<void()>& function) {
    const Scope scope{trail, std::string("0")};
    function();
    return trail.get();
  }
  static std::string numbers(int count) {
    std::string expected = "0";
    for (int i = 0; i < count; ++i) {
      expected += std::to_string(i) + " ";
    }
    return expected;
  }

  JobPool pool_{{.concurrency = GetParam()}};
};

// J76
TEST_P(MergeTest, AJobsComeBackWithItsResult) {
  EXPECT_EQ(after([&] { pool_.submit([] { go("a"); }).get(); }), "0a");
  EXPECT_EQ(after([&] { pool_.submit_after(absl::Microseconds(1), [] { go("a"); }).get(); }), "0a");
  EXPECT_EQ(after([&] { pool_.spawn(step_by_step("a")).get(); }), "0a'");
  EXPECT_EQ(after([&] {
              taskctx::sync_wait([](JobPool& pool) -> Task<> {
                Job<int> job = pool.submit([] { return go("a"); });
                co_await std::move(job);
                Job<int> coroutine = pool.spawn(step_by_step("b"));
                co_await std::move(coroutine);
              }(pool_));
            }),
            "0ab'");
}

// J76
TEST_P(MergeTest, ABulksComeBackInTheOrderOfItsElements) {
  for (const int count : {0, 1, 7, 1000}) {
    EXPECT_EQ(
        after([&] {
          pool_.submit_bulk(std::views::iota(0, count), [](int i) { go(std::to_string(i) + " "); })
              .get();
        }),
        numbers(count));
    EXPECT_EQ(after([&] {
                std::vector<int> results =
                    pool_
                        .submit_bulk(std::views::iota(0, count),
                                     [](int i) { return go(std::to_string(i) + " "); })
                        .get();
                EXPECT_EQ(results.size(), static_cast<std::size_t>(count));
              }),
              numbers(count));
  }
  EXPECT_EQ(after([&] {
              pool_
                  .submit_bulk(std::views::iota(0, 1000),
                               [](int i) {
                                 if (i % 100 == 1) {
                                   go(std::to_string(i / 100) + " ");
                                 }
                               })
                  .get();
            }),
            numbers(10))
      << "some set nothing";
}

// J76
TEST_P(MergeTest, SeveralJobsComeBackInTheOrderOfTheArguments) {
  EXPECT_EQ(after([&] {
              taskctx::gather(pool_.submit([] { go("a"); }), pool_.submit([] { go("b"); }),
                              pool_.submit([] { go("c"); }));
            }),
            "0abc");
  EXPECT_EQ(after([&] {
              std::vector<Job<void>> jobs;
              for (int i = 0; i < 50; ++i) {
                jobs.push_back(pool_.submit([i] { go(std::to_string(i) + " "); }));
              }
              taskctx::when_all(std::move(jobs)).get();
            }),
            numbers(50));
}

// J76
TEST_P(MergeTest, TheFirstOfSeveralComesBackWhenItsOwnResultIsTaken) {
  EXPECT_EQ(after([&] {
              std::vector<Job<void>> jobs;
              jobs.push_back(pool_.submit([] { go("a"); }));
              auto first = taskctx::when_any(std::move(jobs)).get();
              EXPECT_EQ(trail.get(), "0");
              first.jobs[0].get();
            }),
            "0a");
}

// J76
TEST_P(MergeTest, AJobsGoOnThroughItsContinuations) {
  EXPECT_EQ(after([&] {
              pool_.submit([] { go("a"); })
                  .then([] {
                    EXPECT_EQ(trail.get(), "a");
                    go("b");
                  })
                  .then([](Job<void> job) {
                    EXPECT_EQ(trail.get(), "");
                    job.get();
                    go("c");
                  })
                  .get();
            }),
            "0abc");
}

// J76
TEST_P(MergeTest, ASharedJobsDontComeBack) {
  EXPECT_EQ(after([&] {
              const SharedJob<int> job = pool_.submit([] { return go("a"); }).shared();
              job.get();
              job.then([](const int& result) {
                   EXPECT_EQ(trail.get(), "");
                   return result;
                 })
                  .get();
              taskctx::sync_wait([](SharedJob<int> shared) -> Task<> { co_await shared; }(job));
            }),
            "0");
}

// J76
TEST_P(MergeTest, ACallsAreThereWithoutMerging) {
  EXPECT_EQ(after([] { taskctx::sync_wait(step_by_step("a")); }), "0a'");
  EXPECT_EQ(after([] {
              taskctx::sync_wait([]() -> Task<> {
                Task<int> task = step_by_step("a");
                co_await task;
              }());
            }),
            "0a'");
}

// J76
TEST_P(MergeTest, NothingElseComesBack) {
  EXPECT_EQ(after([] { ctbb::parallel_for(0, 10, [](int /*i*/) { go("a"); }); }), "0");
  EXPECT_EQ(after([] {
              std::vector<int> items(10);
              ctbb::parallel_for_each(items, [](int& /*item*/) { go("a"); });
            }),
            "0");
  EXPECT_EQ(after([] { ctbb::parallel_invoke([] { go("a"); }, [] { go("b"); }); }), "0");
  EXPECT_EQ(after([] {
              ctbb::task_group group;
              group.run([] { go("a"); });
              group.run_and_wait([] { go("b"); });
              group.wait();
            }),
            "0");
  EXPECT_EQ(after([] { taskctx::bind([] { go("a"); })(); }), "0");
  EXPECT_EQ(after([&] {
              pool_.post([] { go("a"); });
              (void)pool_.submit([] { go("b"); });
              pool_.drain();
            }),
            "0");
}

// J76
TEST_P(MergeTest, WhatFailedOrWasCancelledBringsNothingBack) {
  EXPECT_EQ(after([&] {
              Job<void> bulk = pool_.submit_bulk(std::views::iota(0, 100), [](int i) {
                go("a");
                if (i == 50) {
                  throw std::runtime_error("failed");
                }
              });
              EXPECT_THROW(bulk.get(), std::runtime_error);
            }),
            "0");
  EXPECT_EQ(after([&] {
              Latch cancelled;
              Latch begun;
              Job<void> bulk = pool_.submit_bulk(std::views::iota(0, 1000), [&](int /*i*/) {
                go("a");
                begun.open();
                cancelled.wait();
              });
              begun.wait();
              bulk.cancel();
              cancelled.open();
              EXPECT_THROW(bulk.get(), taskctx::JobCancelled);
            }),
            "0");
}

// J76: in whichever order the elements are joined, 7 is merged once.
TEST_P(MergeTest, WhatTheFunctionThrowsIsTheError) {
  Job<void> bulk = pool_.submit_bulk(std::views::iota(0, 100), [](int i) { picky.set(i); });
  EXPECT_THROW(bulk.get(), std::runtime_error);

  const Scope scope{picky, 1};
  Job<void> job = pool_.submit([] { picky.set(7); });
  EXPECT_THROW(job.get(), std::runtime_error);
  EXPECT_EQ(picky.get(), 1);
  EXPECT_THROW(pool_.submit([] { picky.set(7); })
                   .then([] { ADD_FAILURE() << "called without the result"; })
                   .get(),
               std::runtime_error);
  EXPECT_THROW(
      taskctx::gather(pool_.submit([] { picky.set(2); }), pool_.submit([] { picky.set(7); })),
      std::runtime_error);
  EXPECT_EQ(picky.get(), 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, MergeTest, testing::Values(1, 2, 4, 8));

}  // namespace
