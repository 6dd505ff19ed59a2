// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a job's context when the job has ended: it is gone, or kept for who asked for it,
// or for who handles the job's error. For each kind of job.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using taskctx::ContextVar;
using taskctx::Job;
using taskctx::JobError;
using taskctx::JobOptions;
using taskctx::JobPool;
using taskctx::JobPoolOptions;
using taskctx::Scope;
using taskctx::SharedJob;
using taskctx::Task;
using taskctx_test::Latch;
using taskctx_test::Tracked;
using taskctx_test::Watchdog;

const ContextVar<std::string> request_id{"request_id"};
const ContextVar<int> number{"number"};
const ContextVar<std::shared_ptr<Tracked>> inherited{"inherited"};
const ContextVar<std::shared_ptr<Tracked>> written{"written"};

Task<> coroutine(std::function<void()> body) {
  co_await taskctx::yield();
  body();
}

// The kinds of jobs that have options, by name: each runs `body`, bulks for one element.
struct Kind {
  const char* name;
  Job<void> (*start)(JobPool& pool, const JobOptions& options, std::function<void()> body);
};
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"submit",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.submit(options, std::move(body));
       }},
      {"submit_bulk",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.submit_bulk(options, std::views::iota(0, 1), [body](int) { body(); });
       }},
      {"submit_after",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.submit_after(options, absl::Microseconds(1), std::move(body));
       }},
      {"then",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.submit([] {}).then(options, std::move(body));
       }},
      {"then of a shared job",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.submit([] {}).shared().then(options,
                                                 [body](const SharedJob<void>&) { body(); });
       }},
      {"spawn",
       [](JobPool& pool, const JobOptions& options, std::function<void()> body) -> Job<void> {
         return pool.spawn(options, coroutine(std::move(body)));
       }}};
  return all;
}

// J73
TEST(AnEndedJob, HasLetGoOfItsContextThoughItsHandleIsKept) {
  for (const int threads : {1, 2}) {
    JobPool pool{{.concurrency = threads}};
    for (const Kind& kind : kinds()) {
      SCOPED_TRACE(kind.name);
      const auto body = [] { written.set(std::make_shared<Tracked>(2)); };
      Job<void> job;
      Job<std::tuple<std::monostate>> all;
      {
        const Scope scope{inherited, std::make_shared<Tracked>(1)};
        job = kind.start(pool, {}, body);
        all = taskctx::when_all(kind.start(pool, {}, body));
      }
      job.wait();
      all.wait();
      EXPECT_EQ(Tracked::alive(), 0);
      EXPECT_TRUE(job.valid());
    }
  }
}

// J73
TEST(AnEndedJob, LetsGoAlsoIfItWasCancelled) {
  JobPool pool{{.concurrency = 1}};
  Latch end;
  Job<void> running = pool.submit([&] { end.wait(); });
  std::vector<Job<void>> jobs;
  {
    const Scope scope{inherited, std::make_shared<Tracked>(1)};
    for (const Kind& kind : kinds()) {
      jobs.push_back(kind.start(pool, {}, [] { throw taskctx::JobCancelled("by itself"); }));
      jobs.push_back(kind.start(pool, {}, [] {}));
      jobs.back().cancel();
    }
  }
  end.open();
  for (const Job<void>& job : jobs) {
    job.wait();
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// J73: so the two don't keep each other.
TEST(AnEndedJob, IsNotKeptByAHandleInWhatItsContextHolds) {
  struct Process : Tracked {
    Process() : Tracked(1) {}
    Job<void> part;
  };
  const ContextVar<std::shared_ptr<Process>> current{"current"};
  {
    JobPool pool{{.concurrency = 2}};
    for (const Kind& kind : kinds()) {
      for (const bool is_awaited : {true, false}) {
        auto process = std::make_shared<Process>();
        const Scope scope{current, process};
        process->part = kind.start(pool, {}, [] {});
        if (is_awaited) {
          process->part.wait();
        }
      }
    }
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// J73
TEST(AnEndedJob, ThatIsSharedDoesNotKeepTheFirstRequestsValues) {
  JobPool pool{{.concurrency = 2}};
  SharedJob<std::string> config;
  SharedJob<std::string> failing;
  {
    const Scope scope{inherited, std::make_shared<Tracked>(1)};
    config = pool.submit([] { return std::string("config"); }).shared();
    failing = pool.submit([]() -> std::string { throw std::runtime_error("none"); }).shared();
  }
  EXPECT_EQ(config.get(), "config");
  EXPECT_THROW((void)failing.get(), std::runtime_error);
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_THROW((void)failing.get(), std::runtime_error) << "as often as it is called";
  EXPECT_THROW((void)failing.context(), JobError);
}

// J73: what a destructor does there is done by a job: it may wait, on the only thread.
TEST(AnEndedJob, IsStillAtWorkWhileTheLastOfItsValuesEnd) {
  const Watchdog watchdog("a job that a destructor of a value waits for");
  struct Waits {
    JobPool& pool;
    std::atomic<int>& result;
    ~Waits() {
      try {
        pool.drain();
      } catch (const JobError&) {
        result = pool.submit([] { return 1; }).get();
      }
    }
  };
  const ContextVar<std::shared_ptr<Waits>> waits{"waits"};
  JobPool pool{{.concurrency = 1}};
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    std::atomic<int> result{0};
    Latch go;
    Job<void> job;
    {
      const Scope scope{waits, std::shared_ptr<Waits>(new Waits{pool, result})};
      job = kind.start(pool, {}, [&] { go.wait(); });
    }
    go.open();
    job.wait();
    EXPECT_EQ(result, 1);
  }
}

// J73
TEST(AnEndedJob, HasTheContextThatItLeftIfThatWasAskedFor) {
  JobPool pool{{.concurrency = 2}};
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Scope scope{request_id, "r-1"};
    Job<void> job = kind.start(pool, {.keep_context = true}, [] { number.set(3); });
    job.wait();
    EXPECT_EQ(*job.context().find(request_id), "r-1");
    if (std::string(kind.name) != "submit_bulk") {  // There each element has a copy.
      EXPECT_EQ(*job.context().find(number), 3);
    }
    job.get();
  }
  Job<void> failed = pool.submit({.keep_context = true}, [] {
    number.set(3);
    throw std::runtime_error("thrown");
  });
  const SharedJob<void> shared = failed.shared();
  EXPECT_THROW(shared.get(), std::runtime_error);
  EXPECT_EQ(*shared.context().find(number), 3);
}

// J73
TEST(AnEndedJob, SaysThatItHasLetGoOfItsContext) {
  JobPool pool{{.concurrency = 2}};
  const Job<void> job = pool.submit({.name = "load"}, [] {});
  job.wait();
  try {
    (void)job.context();
    FAIL();
  } catch (const JobError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot get context of job 'load': it has ended, and JobOptions::keep_context was "
                 "not given");
  }
}

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
