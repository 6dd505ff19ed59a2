// SPDX-License-Identifier: Apache-2.0
//
// A job that waits for itself hears so, however it waits.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using taskctx::Job;
using taskctx::JobPool;
using taskctx::SharedJob;
using taskctx::Task;
using taskctx_test::Latch;
using taskctx_test::Watchdog;

std::string error_of(const std::function<void()>& wait) {
  try {
    wait();
  } catch (const taskctx::JobError& error) {
    return error.what();
  }
  return "";
}

class Circle : public testing::TestWithParam<int> {
 protected:
  // Has a job wait for itself by `wait`, and returns the message that comes of it.
  std::string message(const std::function<void(const SharedJob<int>&)>& wait) {
    const Watchdog watchdog("circle");
    JobPool pool{{.concurrency = GetParam()}};
    SharedJob<int> self;
    Latch go;
    std::string said;
    self = pool.submit({.name = "it"},
                       [&] {
                         go.wait();
                         said = error_of([&] { wait(self); });
                         return 1;
                       })
               .shared();
    go.open();
    EXPECT_EQ(self.get(), 1);
    return said;
  }
};

constexpr char kItself[] = "cannot wait for job 'it': it would wait for itself";
constexpr char kThat[] = "cannot wait for job: it would wait for itself";

// J65
TEST_P(Circle, AJobThatWaitsForItselfHearsSo) {
  EXPECT_EQ(message([](const SharedJob<int>& self) { self.get(); }), kItself);
  EXPECT_EQ(message([](const SharedJob<int>& self) { self.wait(); }), kItself);
  EXPECT_EQ(message([](const SharedJob<int>& self) { (void)self.wait_for(absl::Hours(1)); }),
            kItself);
  EXPECT_EQ(message([](const SharedJob<int>& self) {
              taskctx::tbb::parallel_for(0, 10, [&](int) { self.get(); });
            }),
            kItself);
}

// J65
TEST_P(Circle, LikewiseForWhatWaitsForIt) {
  EXPECT_EQ(message([](const SharedJob<int>& self) { self.then([](int) {}).wait(); }), kThat);
  EXPECT_EQ(message([](const SharedJob<int>& self) {
              std::vector<Job<void>> jobs;
              jobs.push_back(self.then([](int) {}));
              jobs.push_back(self.then([](int) {}));
              taskctx::when_all(std::move(jobs)).wait();
            }),
            kThat);
}

// J65: if another one's end would do as well, it is no circle.
TEST_P(Circle, WaitingForTheFirstOfSeveralIsNone) {
  EXPECT_EQ(message([](const SharedJob<int>& self) {
              std::vector<Job<void>> jobs;
              jobs.push_back(self.then([](int) {}));
              jobs.push_back(taskctx::default_pool().submit([] {}));
              taskctx::when_any(std::move(jobs)).wait();
            }),
            "");
}

// J65
TEST_P(Circle, ACoroutineThatAwaitsItselfHearsSo) {
  const Watchdog watchdog("coroutine");
  JobPool pool{{.concurrency = GetParam()}};
  SharedJob<int> self;
  Latch go;
  const auto coroutine = [&]() -> Task<int> {
    go.wait();
    std::string said;
    try {
      co_await self;
    } catch (const taskctx::JobError& error) {
      said = error.what();
    }
    EXPECT_EQ(said, kThat);
    EXPECT_EQ(error_of([&] { self.get(); }), kThat);
    co_return 1;
  };
  self = pool.spawn(coroutine()).shared();
  go.open();
  EXPECT_EQ(self.get(), 1);
}

// J65: an element of a bulk.
TEST_P(Circle, ABulkThatWaitsForItselfHearsSo) {
  const Watchdog watchdog("bulk");
  JobPool pool{{.concurrency = GetParam()}};
  SharedJob<void> self;
  Latch go;
  self = pool.submit_bulk(std::vector<int>(4),
                          [&](int) {
                            go.wait();
                            EXPECT_EQ(error_of([&] { self.get(); }), kThat);
                          })
             .shared();
  go.open();
  self.get();
}

INSTANTIATE_TEST_SUITE_P(Threads, Circle, testing::Values(1, 2, 3));

}  // namespace
