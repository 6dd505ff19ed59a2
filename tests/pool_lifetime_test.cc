// SPDX-License-Identifier: Apache-2.0
//
// The end of a pool: its destruction, drain() and shutdown(), and the program's end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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

}  // namespace
