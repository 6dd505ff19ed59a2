// SPDX-License-Identifier: Apache-2.0
//
// A job that has ended lets go of its context, unless it was asked to keep it.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/job_kinds.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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
  taskctx::tbb::parallel_for(0, 1, [](int) {});  // This thread forgets whose error that was.
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

}  // namespace
