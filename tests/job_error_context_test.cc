// SPDX-License-Identifier: Apache-2.0
//
// The context in which the exception handler gets a job's error.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/when_all.h"
#include "tests/job_kinds.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// Collects what a handler gets, with what it sees of the job's context.
class Caught {
 public:
  taskctx::ExceptionHandler handler() {
    return [this](const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::runtime_error& thrown) {
        what_ = std::string(thrown.what()) + " in " + request_id.get("no request") + " with " +
                std::to_string(number.get(0));
      }
      ++count_;
    };
  }
  [[nodiscard]] const std::string& what() const { return what_; }
  [[nodiscard]] int count() const { return count_; }

 private:
  std::string what_;
  std::atomic<int> count_{0};
};

void set_and_throw() {
  number.set(3);
  throw std::runtime_error("thrown");
}

// Runs `start` in a context with a request, and returns what the handler got.
std::string handled(JobPoolOptions options, const std::function<void(JobPool&)>& start) {
  Caught caught;
  {
    options.exception_handler = caught.handler();
    JobPool pool{std::move(options)};
    const Scope scope{request_id, "r-1"};
    start(pool);
  }
  EXPECT_EQ(caught.count(), 1);
  return caught.what();
}

constexpr const char* kSeen = "thrown in r-1 with 3";

// J74, T9
TEST(AnError, IsHandledInTheContextThatItsJobLeftWheneverItsHandleWasDropped) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    EXPECT_EQ(handled({.concurrency = 2},
                      [&](JobPool& pool) {
                        Latch dropped;
                        (void)kind.start(pool, {}, [&dropped] {
                          dropped.wait();
                          set_and_throw();
                        });
                        dropped.open();
                        pool.drain();
                      }),
              kSeen)
        << "dropped before";
    EXPECT_EQ(handled({.concurrency = 2},
                      [&](JobPool& pool) { kind.start(pool, {}, &set_and_throw).wait(); }),
              kSeen)
        << "dropped after";
  }
}

// J74, T9
TEST(AnError, OfAPostedJobIsHandledInTheContextThatTheJobLeft) {
  EXPECT_EQ(handled({.concurrency = 2}, [](JobPool& pool) { pool.post(&set_and_throw); }), kSeen);
  EXPECT_EQ(
      handled({.concurrency = 2}, [](JobPool& pool) { pool.executor().execute(&set_and_throw); }),
      kSeen);
}

// J74, T9
TEST(AnError, OfAJobThatItsSubmitterRanIsHandledInTheContextThatTheJobLeft) {
  EXPECT_EQ(
      handled(
          {.concurrency = 1, .queue_capacity = 1, .when_full = taskctx::WhenFull::run_in_caller},
          [](JobPool& pool) {
            Latch begun;
            Latch end;
            pool.post([&] {
              begun.open();
              end.wait();
            });
            begun.wait();
            pool.post([] {});
            pool.post(&set_and_throw);  // Runs here.
            end.open();
            pool.drain();
          }),
      kSeen);
}

// J74, T9: of an element's, as each has a context of its own.
TEST(AnError, OfABulkIsHandledInTheContextOfTheFirstElementThatFailed) {
  for (const int threads : {1, 4}) {
    EXPECT_EQ(handled({.concurrency = threads},
                      [](JobPool& pool) {
                        (void)pool.submit_bulk(std::views::iota(0, 1000), [](int i) {
                          number.set(i);
                          if (i % 300 == 3) {
                            throw std::runtime_error("thrown");
                          }
                        });
                      }),
              kSeen);
  }
}

// J74, T9
TEST(AnError, ThatPassesByOthersIsHandledInTheContextThatItsOwnJobLeft) {
  const auto in_between = [] { number.set(7); };
  EXPECT_EQ(handled({.concurrency = 2},
                    [&](JobPool& pool) {
                      const Scope scope{number, 5};
                      (void)pool.submit(&set_and_throw).then(in_between).then(in_between);
                    }),
            kSeen);
  EXPECT_EQ(
      handled({.concurrency = 2},
              [&](JobPool& pool) { (void)pool.submit(&set_and_throw).shared().then(in_between); }),
      kSeen);
  EXPECT_EQ(handled({.concurrency = 2},
                    [&](JobPool& pool) {
                      (void)taskctx::when_all(pool.submit(in_between), pool.submit(&set_and_throw),
                                              pool.submit(&set_and_throw));
                    }),
            kSeen);
  EXPECT_EQ(handled({.concurrency = 2},
                    [&](JobPool& pool) {
                      std::vector<Job<void>> jobs;
                      jobs.push_back(pool.spawn(coroutine(in_between)));
                      jobs.push_back(pool.spawn(coroutine(&set_and_throw)));
                      (void)taskctx::when_all(std::move(jobs));
                    }),
            kSeen);
}

}  // namespace
