// SPDX-License-Identifier: Apache-2.0

#include "taskctx/job_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using taskctx::copy_context;
using taskctx::Job;
using taskctx::JobError;
using taskctx::JobOptions;
using taskctx::JobPool;
using taskctx::JobPoolOptions;
using taskctx::Scope;
using taskctx_test::Latch;
using taskctx_test::MisuseRecorder;
using taskctx_test::Tracked;
using taskctx_test::Watchdog;

const ContextVar<int> number("number");
const ContextVar<std::string> request_id("request_id");

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  }
}

class JobPoolTest : public testing::TestWithParam<int> {
 protected:
  JobPool pool{JobPoolOptions{.concurrency = GetParam()}};
};

// F-E1
TEST_P(JobPoolTest, ResultsOfAllKindsComeOutOfGet) {
  EXPECT_EQ(pool.submit([] { return 42; }).get(), 42);
  EXPECT_NO_THROW(pool.submit([] {}).get());
  EXPECT_EQ(*pool.submit([] { return std::make_unique<int>(1); }).get(), 1);
  int target = 0;
  Job<int&> reference = pool.submit([&]() -> int& { return target; });
  EXPECT_EQ(&reference.get(), &target);
  const std::string text = "text";
  Job<const std::string&> const_reference =
      pool.submit([&]() -> const std::string& { return text; });
  EXPECT_EQ(&const_reference.get(), &text);
  EXPECT_EQ(pool.submit([p = std::make_unique<int>(2)] { return *p; }).get(), 2);
  EXPECT_EQ(pool.submit(+[] { return 3; }).get(), 3);
}

// F-E1
TEST_P(JobPoolTest, AnExceptionComesOutOfGet) {
  Job<int> job = pool.submit([]() -> int { throw std::runtime_error("from the job"); });
  EXPECT_THAT([&] { job.get(); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("from the job")));
  EXPECT_FALSE(job.valid());
}

// J1
TEST_P(JobPoolTest, AHandleIsGoodForOneGet) {
  Job<int> job = pool.submit([] { return 1; });
  EXPECT_TRUE(job.valid());
  job.wait();
  EXPECT_TRUE(job.ready());
  EXPECT_TRUE(job.valid()) << "waiting takes nothing";
  EXPECT_EQ(job.get(), 1);
  EXPECT_FALSE(job.valid());
  EXPECT_THAT([&] { job.get(); },
              testing::ThrowsMessage<JobError>(testing::StrEq(
                  "cannot get result of job: the handle is empty, or its result was taken "
                  "already")));
  EXPECT_THROW(job.wait(), JobError);
  EXPECT_THROW((void)job.ready(), JobError);
  const Job<int> empty;
  EXPECT_FALSE(empty.valid());
  EXPECT_THROW(empty.wait(), JobError);
}

// J1
TEST_P(JobPoolTest, AHandleMoves) {
  Job<int> a = pool.submit([] { return 1; });
  Job<int> b = std::move(a);
  EXPECT_FALSE(a.valid());
  b = pool.submit([] { return 2; });
  EXPECT_EQ(b.get(), 2);
}

// J2
TEST_P(JobPoolTest, ReadyTellsWhetherTheJobHasEnded) {
  Latch go;
  Job<void> job = pool.submit([&] { go.wait(); });
  EXPECT_FALSE(job.ready());
  go.open();
  job.wait();
  EXPECT_TRUE(job.ready());
}

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

// P22: at the end of the job, or with the last handle if the context is to be kept.
TEST_P(JobPoolTest, AJobsValuesAreGoneWhenItIsDoneAndNobodyHasAHandle) {
  const ContextVar<Tracked> tracked("tracked");
  const auto submit = [&](const JobOptions& options = {}) {
    const Scope scope{tracked, Tracked(1)};
    return pool.submit(options, [&] { tracked.set(Tracked(2)); });
  };
  submit().get();
  EXPECT_EQ(Tracked::alive(), 0);
  {
    const Job<void> job = submit({.keep_context = true});
    job.wait();
    EXPECT_EQ(Tracked::alive(), 1) << "as the job left it";
  }
  EXPECT_EQ(Tracked::alive(), 0);
  (void)submit();
  pool.drain();
  EXPECT_EQ(Tracked::alive(), 0);
}

// S5, T9: also by an exception, and after the pool's end.
TEST_P(JobPoolTest, TheContextIsReadableAfterTheEndAsTheJobLeftIt) {
  Job<void> job;
  {
    Latch go;
    JobPool short_lived{{.concurrency = GetParam()}};
    const Scope scope{request_id, "r-1"};
    job = short_lived.submit([&] {
      go.wait();
      number.set(3);
      throw std::runtime_error("thrown");
    });
    EXPECT_EQ(*job.context().find(request_id), "r-1");
    EXPECT_EQ(job.context().find(number), nullptr) << "what it starts with";
    go.open();
  }
  EXPECT_EQ(*job.context().find(request_id), "r-1");
  EXPECT_EQ(*job.context().find(number), 3);
  EXPECT_THROW(job.get(), std::runtime_error);
}

// F-E1: a destructor of what the callable captured may use the context, too.
TEST_P(JobPoolTest, TheCallableIsDestroyedInTheJobsContext) {
  struct ReadsOnDestruction {
    std::string* seen;
    explicit ReadsOnDestruction(std::string* to) : seen(to) {}
    ReadsOnDestruction(const ReadsOnDestruction&) = delete;
    ReadsOnDestruction& operator=(const ReadsOnDestruction&) = delete;
    ~ReadsOnDestruction() { *seen = request_id.get("none"); }
  };
  std::string after_submit;
  std::string after_post;
  Latch posted_ran;
  {
    const Scope scope{request_id, "r-1"};
    pool.submit([p = std::make_unique<ReadsOnDestruction>(&after_submit)] {}).get();
    // Destroyed after the one that reads.
    std::shared_ptr<void> opener(nullptr, [&](void*) { posted_ran.open(); });
    pool.post(
        [opener = std::move(opener), p = std::make_unique<ReadsOnDestruction>(&after_post)] {});
    posted_ran.wait();
  }
  EXPECT_EQ(after_submit, "r-1");
  EXPECT_EQ(after_post, "r-1");
}

// F-E1
TEST_P(JobPoolTest, PostRunsInASnapshotToo) {
  std::atomic<int> seen{0};
  Latch ran;
  {
    const Scope scope{number, 7};
    pool.post([&, p = std::make_unique<int>(0)] {
      seen = number.get();
      ran.open();
    });
  }
  ran.wait();
  EXPECT_EQ(seen, 7);
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

// P23: a job's later steps don't see what its submitter does afterwards, nor the other way round.
TEST_P(JobPoolTest, AJobTakesItsSnapshotAtSubmit) {
  const Scope scope{number, 1};
  Latch changed;
  Job<int> job = pool.submit([&] {
    changed.wait();
    const int seen = number.get();
    number.set(5);
    return seen;
  });
  number.set(2);
  changed.open();
  EXPECT_EQ(job.get(), 1);
  EXPECT_EQ(number.get(), 2);
}

// F-D1
TEST_P(JobPoolTest, JobsOfJobsInherit) {
  const Scope scope{request_id, "r"};
  const std::string seen =
      pool.submit([&] {
            request_id.set(request_id.get() + "-child");
            return pool.submit([] { return request_id.get() + "-grandchild"; }).get();
          })
          .get();
  EXPECT_EQ(seen, "r-child-grandchild");
}

// After a job its thread has nothing of it: P20 on the pool's own threads.
TEST_P(JobPoolTest, NothingIsLeftInAPoolsThread) {
  for (int i = 0; i < 50; ++i) {
    const Scope scope{request_id, "leaves a trace?"};
    pool.submit([] { number.set(1); }).get();
    Job<bool> clean = pool.submit(JobOptions{.context = Context{}}, [] {
      return copy_context().empty() && number.find() == nullptr;
    });
    EXPECT_TRUE(clean.get());
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, JobPoolTest, testing::Values(1, 2, 4, 8));

// What the exception handler of a pool was given.
class Caught {
 public:
  taskctx::ExceptionHandler handler() {
    return [this](const std::exception_ptr& error) {
      const std::lock_guard lock(mutex_);
      messages_.push_back(message_of(error) + " in " + request_id.get("no context"));
      caught_.open();
    };
  }
  std::vector<std::string> wait() {
    caught_.wait();
    return messages();
  }
  std::vector<std::string> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
  Latch caught_;
};

// J3, T9: the handler runs in the context of the job that threw.
TEST(ExceptionHandler, GetsWhatAPostedJobThrows) {
  Caught caught;
  JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
  {
    const Scope scope{request_id, "r-1"};
    pool.post([] { throw std::runtime_error("posted"); });
  }
  EXPECT_THAT(caught.wait(), testing::ElementsAre("posted in r-1"));
}

// J3, T9
TEST(ExceptionHandler, GetsWhatADroppedJobThrowsWhetherDroppedBeforeOrAfter) {
  for (const bool dropped_first : {true, false}) {
    Caught caught;
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    Latch dropped;
    {
      const Scope scope{request_id, "r-1"};
      Job<void> job = pool.submit([&] {
        if (dropped_first) {
          dropped.wait();
        }
        throw std::runtime_error("dropped");
      });
      if (!dropped_first) {
        job.wait();
        EXPECT_TRUE(caught.messages().empty()) << "somebody may still want it";
      }
    }
    dropped.open();
    EXPECT_THAT(caught.wait(), testing::ElementsAre("dropped in r-1"));
  }
}

// J3
TEST(ExceptionHandler, DoesNotGetWhatCameOutOfGet) {
  Caught caught;
  {
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    Job<void> job = pool.submit([] { throw std::runtime_error("taken"); });
    EXPECT_THROW(job.get(), std::runtime_error);
  }
  EXPECT_TRUE(caught.messages().empty());
}

// J3
TEST(ExceptionHandler, IsStillThereForAHandleThatOutlivesThePool) {
  Caught caught;
  Job<void> job;
  {
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    job = pool.submit([] { throw std::runtime_error("late"); });
  }
  job = Job<void>();
  EXPECT_THAT(caught.messages(), testing::ElementsAre("late in no context"));
}

// J3
TEST(ExceptionHandlerDeathTest, ByDefaultTheMessageIsWrittenAndTheProgramEnds) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        JobPool pool{{.concurrency = 1}};
        pool.post([] { throw std::runtime_error("nobody waits"); });
      },
      "taskctx: a job that nobody waits for threw: nobody waits");
}

// J4
TEST(PoolLifetime, DestructionWaitsForEveryJobAndForTheirJobs) {
  for (const int threads : {1, 2, 8}) {
    const Watchdog watchdog("pool destruction");
    std::atomic<int> ran{0};
    {
      JobPool pool{{.concurrency = threads}};
      for (int i = 0; i < 100; ++i) {
        pool.post([&] {
          ++ran;
          pool.post([&] {
            ++ran;
            (void)pool.submit([&] { ++ran; });
          });
        });
      }
    }
    EXPECT_EQ(ran, 300);
  }
}

// J1
TEST(PoolLifetime, AHandleMayOutliveItsPool) {
  Job<int> job;
  {
    JobPool pool{{.concurrency = 2}};
    job = pool.submit([] { return 5; });
  }
  EXPECT_TRUE(job.ready());
  EXPECT_EQ(job.get(), 5);
}

// J5
TEST(PoolLifetime, DestructionFromOneOfItsOwnJobsIsReportedAndAllJobsStillRun) {
  const Watchdog watchdog("pool destruction from a job");
  const MisuseRecorder recorder;
  Latch destroyed;
  Latch other_ran;
  auto pool = std::make_unique<JobPool>(JobPoolOptions{.concurrency = 1});
  Latch queued;
  pool->post([&] {  // In whichever order the two begin.
    queued.wait();
    pool.reset();
    destroyed.open();
  });
  pool->post([&] { other_ran.open(); });
  queued.open();
  destroyed.wait();
  other_ran.wait();
  EXPECT_THAT(recorder.messages(), testing::ElementsAre("cannot destroy pool: one of its own jobs "
                                                        "would wait for itself"));
}

// J5: in a leaf, too, which may run on a thread that has no job below it.
TEST(PoolLifetime, DestructionFromALeafIsReported) {
  const Watchdog watchdog("pool destruction from a leaf");
  const MisuseRecorder recorder;
  Latch done;
  auto pool = std::make_unique<JobPool>(JobPoolOptions{.concurrency = 4});
  pool->post([&] {
    taskctx::tbb::parallel_for(0, 1, [&](int) { pool.reset(); });
    done.open();
  });
  done.wait();
  EXPECT_EQ(recorder.messages().size(), 1U);
}

// J7
TEST(PoolOptions, ANegativeConcurrencyIsRefusedByName) {
  EXPECT_THAT([] { JobPool pool{{.concurrency = -3}}; },
              testing::ThrowsMessage<std::invalid_argument>(
                  testing::StrEq("cannot create pool: concurrency is -3")));
}

// J7
TEST(PoolOptions, TheDefaultIsAllCores) {
  const JobPool pool;
  EXPECT_GE(pool.concurrency(), 1);
}

// J7: two pools get the threads of both; a small one does not slow down a large one.
TEST(PoolOptions, ASmallPoolDoesNotTakeALargeOnesThreads) {
  const Watchdog watchdog("a gate for all threads of the large pool");
  JobPool large{{.concurrency = 6}};
  const JobPool small{{.concurrency = 1}};
  taskctx_test::Gate gate(6);
  std::vector<Job<void>> jobs;
  jobs.reserve(6);
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(large.submit([&] { gate.arrive_and_wait(); }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
}

// J7: the limit is back when the pools are gone: other users of oneTBB have what they had.
TEST(PoolOptions, TheLimitOfThreadsIsRaisedForThePoolsLifetimeOnly) {
  using Control = oneapi::tbb::global_control;
  const std::size_t before = Control::active_value(Control::max_allowed_parallelism);
  {
    const JobPool pool{{.concurrency = static_cast<int>(before) + 10}};
    EXPECT_EQ(Control::active_value(Control::max_allowed_parallelism), before + 11);
  }
  EXPECT_EQ(Control::active_value(Control::max_allowed_parallelism), before);
}

}  // namespace
