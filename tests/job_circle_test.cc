// SPDX-License-Identifier: Apache-2.0
//
// A job that waits for itself hears so, however it waits, and by way of whatever jobs.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
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

using namespace taskctx;
using namespace taskctx_test;

// Returns the message without the list of the jobs, which job_circle_names_test is about.
std::string error_of(const std::function<void()>& wait) {
  try {
    wait();
  } catch (const taskctx::JobError& error) {
    const std::string message = error.what();
    return message.substr(0, message.find(": job "));
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
    EXPECT_TRUE(said.starts_with(kThat)) << said;
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

// Has each of several jobs wait for the next one, and the last for the first: by `wait` in the job
// of that number. Job i is in pool i modulo 2. Returns how many have heard that it is a circle.
int count_errors(int jobs, int threads,
                 const std::function<void(int, const SharedJob<int>&)>& wait) {
  const Watchdog watchdog("circle of several");
  JobPool pools[]{JobPool{{.concurrency = threads}}, JobPool{{.concurrency = threads}}};
  std::vector<SharedJob<int>> all(static_cast<std::size_t>(jobs));
  std::atomic<int> errors = 0;
  Latch go;
  for (int i = 0; i < jobs; ++i) {
    all[static_cast<std::size_t>(i)] =
        pools[i % 2]
            .submit([&, i] {
              go.wait();
              const auto& next = all[static_cast<std::size_t>((i + 1) % jobs)];
              errors += error_of([&] { wait(i, next); }).empty() ? 0 : 1;
              return i;
            })
            .shared();
  }
  go.open();
  for (int i = 0; i < jobs; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
  }
  return errors;
}

void get(int /*job*/, const SharedJob<int>& next) { (void)next.get(); }

// J69: whoever closes it, hears so; the others go on when that one has ended.
TEST(CircleOfSeveral, WhoeverClosesItHearsSo) {
  for (const int threads : {1, 2, 3}) {
    EXPECT_EQ(count_errors(2, threads, get), 1);
  }
  for (const int jobs : {3, 4}) {  // All of them run at once.
    EXPECT_EQ(count_errors(jobs, 2, get), 1);
  }
  EXPECT_EQ(count_errors(64, 32, get), 1);
}

// J69
TEST(CircleOfSeveral, AlsoThroughContinuationsLeavesAndCoroutines) {
  const auto by_continuation = [](const SharedJob<int>& next) {
    next.then([](int i) { return i; }).then([](int i) { return i; }).get();
  };
  const auto by_leaf = [](const SharedJob<int>& next) {
    taskctx::tbb::parallel_for(0, 2, [&](int) { next.wait(); });
  };
  const auto by_coroutine = [](const SharedJob<int>& next) {
    taskctx::sync_wait([](SharedJob<int> job) -> Task<int> { co_return co_await job; }(next));
  };
  for (const int threads : {2, 3}) {
    for (const int special : {0, 1}) {
      EXPECT_EQ(count_errors(2, threads,
                             [&](int job, const SharedJob<int>& next) {
                               job == special ? by_continuation(next) : (void)next.get();
                             }),
                1);
      EXPECT_GE(count_errors(2, threads,
                             [&](int job, const SharedJob<int>& next) {
                               job == special ? by_leaf(next) : (void)next.get();
                             }),
                1);
      EXPECT_EQ(count_errors(2, threads,
                             [&](int job, const SharedJob<int>& next) {
                               job == special ? by_coroutine(next) : (void)next.get();
                             }),
                1);
    }
  }
}

// J69: of a job that is run right where another waits for it.
TEST(CircleOfSeveral, WhatIsRunByItsWaiterHearsSo) {
  const Watchdog watchdog("run by its waiter");
  for (const int threads : {1, 2}) {
    JobPool pool{{.concurrency = threads}};
    SharedJob<int> first;
    Latch go;
    Latch is_over;
    for (int busy = 1; busy < threads; ++busy) {  // No other thread is to run the second one.
      Latch is_busy;
      pool.post([is_busy, is_over]() mutable {
        is_busy.open();
        is_over.wait();
      });
      is_busy.wait();
    }
    first = pool.submit([&] {
                  go.wait();
                  auto second = pool.submit([&] { return error_of([&] { first.get(); }); });
                  EXPECT_EQ(second.get(), kThat);
                  return 1;
                })
                .shared();
    go.open();
    EXPECT_EQ(first.get(), 1);
    is_over.open();
  }
}

// J69: either the thread that waits, or the coroutine, whichever comes last.
TEST(CircleOfSeveral, ACoroutineAndItsWaiterDontBothWait) {
  const Watchdog watchdog("coroutine in a circle");
  for (const int threads : {1, 2}) {
    JobPool pool{{.concurrency = threads}};
    JobPool other{{.concurrency = 1}};
    SharedJob<int> waiter;
    Latch go;
    std::atomic<int> errors = 0;
    SharedJob<int> coroutine = other
                                   .spawn([&]() -> Task<int> {
                                     go.wait();
                                     try {
                                       co_return co_await waiter;
                                     } catch (const taskctx::JobError&) {
                                       ++errors;
                                     }
                                     co_return 1;
                                   })
                                   .shared();
    waiter = pool.submit([&] {
                   go.wait();
                   const std::string error = error_of([&] { coroutine.get(); });
                   errors += error == kThat ? 1 : 0;
                   return 1;
                 })
                 .shared();
    go.open();
    EXPECT_EQ(coroutine.get(), 1);
    EXPECT_EQ(waiter.get(), 1);
    EXPECT_EQ(errors, 1);
  }
}

// J69: what ends at a time is none.
TEST(CircleOfSeveral, WhoeverWaitsForATimeIsNotPartOfIt) {
  for (const int special : {0, 1}) {
    EXPECT_EQ(count_errors(2, 1,
                           [&](int job, const SharedJob<int>& next) {
                             job == special ? (void)next.wait_for(absl::Milliseconds(1))
                                            : (void)next.get();
                           }),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Circle, testing::Values(1, 2, 3));

}  // namespace
