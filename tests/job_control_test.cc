// SPDX-License-Identifier: Apache-2.0
//
// What a pool can be asked for: limits of its queue, numbers, an orderly end, accounts; and what
// happens to work at a fork, and at the program's end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/attribution.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/this_job.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using taskctx::Attribution;
using taskctx::ContextVar;
using taskctx::Job;
using taskctx::JobCancelled;
using taskctx::JobError;
using taskctx::JobOptions;
using taskctx::JobPool;
using taskctx::JobPoolOptions;
using taskctx::JobPoolStats;
using taskctx::JobPriority;
using taskctx::JobRejected;
using taskctx::Scope;
using taskctx::UnfinishedJob;
using taskctx::WhenFull;
using taskctx_test::Latch;
using taskctx_test::Watchdog;

const ContextVar<std::string> request_id("request_id");

// A pool of one thread, which is busy until the latch is opened.
class BusyPool {
 public:
  explicit BusyPool(JobPoolOptions options) : pool_(std::move(options)) {
    Latch begun;
    busy_ = pool_.submit([&] {
      begun.open();
      go_.wait();
    });
    begun.wait();
  }
  ~BusyPool() { go_.open(); }

  JobPool* operator->() { return &pool_; }
  void go() {
    go_.open();
    pool_.drain();
  }

 private:
  Latch go_;
  JobPool pool_;
  Job<void> busy_;
};

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

// J18
TEST(Stats, TellWhatThePoolIsDoing) {
  std::atomic<int> handled{0};
  BusyPool pool(
      {.concurrency = 1, .exception_handler = [&](const std::exception_ptr&) { ++handled; }});
  JobPoolStats stats = pool->stats();
  EXPECT_EQ(stats.threads, 1);
  EXPECT_EQ(stats.running, 1U);
  EXPECT_EQ(stats.queued + stats.waiting + stats.succeeded + stats.failed + stats.cancelled, 0U);
  pool->post([] { throw std::runtime_error("x"); });
  Job<int> job = pool->submit([] { return 1; });
  Job<void> next = job.then([](int) {});
  pool->submit_after(absl::Hours(1), [] {}).cancel();
  stats = pool->stats();
  EXPECT_EQ(stats.queued, 2U);
  EXPECT_EQ(stats.waiting, 1U);
  EXPECT_EQ(stats.cancelled, 1U);
  pool.go();
  stats = pool->stats();
  EXPECT_EQ(stats.queued + stats.waiting + stats.running, 0U);
  EXPECT_EQ(stats.succeeded, 3U);
  EXPECT_EQ(stats.failed, 1U);
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(pool->submit([&] { return pool->stats().running; }).get(), 1U);
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 2);
  EXPECT_EQ(JobPool(JobPoolOptions{.concurrency = 8}).stats().threads, 1) << "a smaller limit wins";
}

// J18: what get() gives is in the numbers by then.
TEST(Stats, CountAJobBeforeAnybodyCanSeeItsResult) {
  JobPool pool{{.concurrency = 4}};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(pool.stats().succeeded, i);
    pool.submit([] {}).get();
  }
}

// J19
TEST(Shutdown, DrainWaitsForEverythingAndThePoolGoesOn) {
  JobPool pool{{.concurrency = 2}};
  EXPECT_TRUE(pool.drain());
  std::atomic<int> ran{0};
  Latch go;
  pool.post([&] {
    go.wait();
    pool.post([&] { ++ran; });
    (void)pool.submit_after(absl::Milliseconds(5), [&] { ++ran; }).then([&] { ++ran; });
  });
  EXPECT_FALSE(pool.drain(absl::Now() + absl::Milliseconds(5)));
  go.open();
  EXPECT_TRUE(pool.drain());
  EXPECT_EQ(ran, 3);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
  EXPECT_THAT([&] { pool.submit([&] { pool.drain(); }).get(); },
              testing::ThrowsMessage<JobError>(testing::StrEq(
                  "cannot drain pool '': one of its own jobs would wait for itself")));
}

// J19
TEST(Shutdown, TakesNoMoreJobsAndFinishesThoseThatAreThere) {
  JobPool pool{{.concurrency = 2}};
  std::atomic<int> ran{0};
  Job<int> job = pool.submit([] { return 1; });
  for (int i = 0; i < 100; ++i) {
    pool.post([&] { ++ran; });
  }
  EXPECT_TRUE(pool.shutdown().empty());
  EXPECT_EQ(ran, 100);
  const auto is_refused = testing::ThrowsMessage<JobError>(
      testing::StrEq("cannot submit job 'late': the pool was shut down"));
  const JobOptions options{.name = "late"};
  EXPECT_THAT([&] { (void)pool.submit(options, [] {}); }, is_refused);
  EXPECT_THAT([&] { pool.post(options, [] {}); }, is_refused);
  EXPECT_THAT([&] { (void)pool.submit_after(options, absl::Seconds(1), [] {}); }, is_refused);
  EXPECT_THAT([&] { (void)job.then(options, [](int) {}); }, is_refused);
  EXPECT_EQ(job.get(), 1) << "the handle is as it was";
  EXPECT_TRUE(pool.shutdown().empty()) << "once more";
  EXPECT_THROW((void)pool.submit_bulk(std::views::iota(0, 2), [](int) {}), JobError);
}

// J19: what is left at the deadline is in the report: what never ran, and what was asked to end.
TEST(Shutdown, TellsWhatDidNotFinish) {
  const Watchdog watchdog("shutdown with a deadline");
  JobPool pool{{.concurrency = 1}};
  Latch begun;
  Job<void> running = pool.submit(JobOptions{.name = "running"}, [&] {
    begun.open();
    while (!taskctx::this_job::cancel_requested()) {
      std::this_thread::yield();
    }
  });
  begun.wait();
  std::atomic<bool> ran{false};
  Job<void> queued = pool.submit(JobOptions{.name = "queued"}, [&] { ran = true; });
  Job<void> later =
      pool.submit_after(JobOptions{.name = "later"}, absl::Hours(1), [&] { ran = true; });
  const std::uint64_t id = queued.id();
  std::vector<UnfinishedJob> unfinished = pool.shutdown(absl::Now() + absl::Milliseconds(5));
  std::ranges::sort(unfinished, {}, &UnfinishedJob::name);
  ASSERT_EQ(unfinished.size(), 3U);
  EXPECT_EQ(unfinished[0].name, "later");
  EXPECT_EQ(unfinished[1].name, "queued");
  EXPECT_EQ(unfinished[1].id, id);
  EXPECT_FALSE(unfinished[1].has_begun);
  EXPECT_EQ(unfinished[2].name, "running");
  EXPECT_TRUE(unfinished[2].has_begun);
  EXPECT_THROW(queued.get(), JobCancelled);
  EXPECT_THROW(later.get(), JobCancelled);
  EXPECT_NO_THROW(running.get());
  EXPECT_FALSE(ran);
}

// J20, F-E6, F-M5: CPU time and time in the queue, by value; a job that another waits for, too, but
// not twice.
TEST(Account, TellsWhichRequestUsedThePool) {
  const auto burn = [](absl::Duration much) {
    timespec begin{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    timespec now = begin;
    while (absl::DurationFromTimespec(now) - absl::DurationFromTimespec(begin) < much) {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    }
  };
  Attribution<std::string> account{request_id};
  {
    Latch go;
    JobPool pool{{.concurrency = 1, .attribution = account}};
    pool.post([&] { go.wait(); });
    {
      const Scope scope{request_id, "small"};
      pool.post([&] { burn(absl::Milliseconds(2)); });
    }
    {
      const Scope scope{request_id, "large"};
      pool.post([&] {
        request_id.set("changed");
        burn(absl::Milliseconds(10));
        const Scope inner{request_id, "nested"};
        pool.submit([&] { burn(absl::Milliseconds(60)); }).get();
      });
      (void)pool.submit_bulk(std::views::iota(0, 10), [&](int) { burn(absl::Milliseconds(1)); });
    }
    EXPECT_FALSE(pool.drain(absl::Now() + absl::Milliseconds(10)));
    go.open();
  }
  auto totals = account.totals();
  ASSERT_EQ(totals.size(), 4U);
  EXPECT_EQ(totals["small"].jobs, 1U);
  EXPECT_EQ(totals["large"].jobs, 2U);
  EXPECT_EQ(totals["nested"].jobs, 1U);
  EXPECT_EQ(totals[std::nullopt].jobs, 1U);
  EXPECT_GE(totals["small"].cpu_time, absl::Milliseconds(2));
  EXPECT_GE(totals["large"].cpu_time, absl::Milliseconds(20));
  EXPECT_GE(totals["nested"].cpu_time, absl::Milliseconds(60));
  EXPECT_LT(totals["large"].cpu_time, totals["nested"].cpu_time) << "without the nested job's";
  EXPECT_LT(totals["small"].cpu_time, totals["nested"].cpu_time);
  EXPECT_GE(totals["small"].queue_wait, absl::Milliseconds(10)) << "the first job made it wait";
  EXPECT_EQ(account.take().size(), 4U);
  EXPECT_TRUE(account.totals().empty());
}

// J7: in the user's arena, with its threads.
TEST(UsersArena, RunsTheJobs) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 5);
  oneapi::tbb::task_arena arena(4, 0);
  const auto before = oneapi::tbb::global_control::active_value(
      oneapi::tbb::global_control::max_allowed_parallelism);
  for (int i = 0; i < 20; ++i) {
    JobPool pool{arena};
    EXPECT_EQ(pool.concurrency(), 4);
    EXPECT_EQ(oneapi::tbb::global_control::active_value(
                  oneapi::tbb::global_control::max_allowed_parallelism),
              before);
    const Scope scope{request_id, "r-1"};
    EXPECT_EQ(pool.submit([] {
                    return std::pair(request_id.get(),
                                     oneapi::tbb::this_task_arena::max_concurrency());
                  })
                  .get(),
              std::pair(std::string("r-1"), 4));
    for (int k = 0; k < 50; ++k) {
      pool.post([] {});
    }
  }
  EXPECT_THROW(JobPool(arena, JobPoolOptions{.concurrency = 2}), std::invalid_argument);
  EXPECT_THROW(JobPool(arena, JobPoolOptions{.priority = JobPriority::high}),
               std::invalid_argument);
}

// J7: where one thread is left for two pools, the urgent one gets it between two jobs.
TEST(Priority, DecidesWhichPoolGetsTheThread) {
  const Watchdog watchdog("priorities");
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, 2);
  JobPool low{{.concurrency = 1, .priority = JobPriority::low}};
  JobPool high{{.concurrency = 1, .priority = JobPriority::high}};
  std::string order;  // Written by the only thread.
  Latch begun;
  Latch go;
  low.post([&] {
    begun.open();
    go.wait();
    // A long job: short ones are run in batches.
    const absl::Time end = absl::Now() + absl::Milliseconds(20);
    while (absl::Now() < end) {
    }
  });
  begun.wait();
  for (int i = 0; i < 20; ++i) {
    low.post([&] { order += 'l'; });
    high.post([&] { order += 'h'; });
  }
  go.open();
  high.drain();
  low.drain();
  EXPECT_EQ(order, std::string(20, 'h') + std::string(20, 'l'));
}

// J21
TEST(DefaultPool, IsOneForTheProcess) {
  JobPool& pool = taskctx::default_pool();
  EXPECT_EQ(&pool, &taskctx::default_pool());
  EXPECT_GE(pool.concurrency(), 1);
  const Scope scope{request_id, "r-1"};
  EXPECT_EQ(pool.submit([] { return request_id.get(); }).get(), "r-1");
}

// J21: it is drained at the program's end.
TEST(ProgramsEndDeathTest, TheDefaultPoolFinishesItsJobs) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        for (int i = 0; i < 100; ++i) {
          taskctx::default_pool().post([i] {
            if (i == 99) {
              std::fprintf(stderr, "the last job has run\n");
            }
          });
        }
        std::exit(0);
      },
      testing::ExitedWithCode(0), "the last job has run");
}

// J21: work that is lost with a pool that nobody destroys is not lost without a word.
TEST(ProgramsEndDeathTest, JobsOfAPoolThatNobodyDestroysAreReported) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        taskctx::set_misuse_handler([](const taskctx::Misuse& misuse) {
          std::fprintf(stderr, "%s\n", std::string(misuse.message).c_str());
        });
        static auto* const pool = new JobPool(JobPoolOptions{.concurrency = 1, .name = "leaked"});
        static Latch& never = *new Latch;  // Also at exit.
        pool->post([] { never.wait(); });
        pool->post([] {});
        std::exit(0);
      },
      testing::ExitedWithCode(0),
      "cannot finish 2 jobs of pool 'leaked': the program ends, and nobody has destroyed the pool");
}

// J22
TEST(Fork, TheChildGetsClearErrorsAndTheParentGoesOn) {
  const Watchdog watchdog("fork");
  auto pool = std::make_unique<JobPool>(JobPoolOptions{.concurrency = 2});
  Latch go;
  Job<int> pending = pool->submit([&] {
    go.wait();
    return 1;
  });
  Job<int> done = pool->submit([] { return 2; });
  done.wait();
  const pid_t child = fork();
  if (child == 0) {
    const auto throws = [](auto call, const std::string& what) {
      try {
        call();
      } catch (const JobError& error) {
        return std::string(error.what()) == what;
      }
      return false;
    };
    const std::string reason = ": this process was forked from the pool's; call exec after fork";
    bool ok = throws([&] { pool->post([] {}); }, "cannot submit job" + reason);
    ok = ok && throws([&] { (void)pool->submit_after(absl::Seconds(1), [] {}); },
                      "cannot submit job" + reason);
    ok = ok && throws([&] { pending.wait(); }, "cannot wait for job" + reason);
    ok = ok && throws([&] { pool->drain(); }, "cannot drain pool" + reason);
    ok = ok &&
         throws([] { const JobPool fresh; },
                "cannot create pool: this process was forked from one that had pools, and oneTBB "
                "has no threads here; call exec after fork");
    ok = ok && done.get() == 2;
    pool.reset();
    _exit(ok ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  go.open();
  EXPECT_EQ(pending.get(), 1);
}

}  // namespace
