// SPDX-License-Identifier: Apache-2.0
//
// A program and a plugin that each have a copy of the library with pools (see copies_test.cc): what
// one has made, the other may use, wait for and destroy.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "tests/forking.h"
#include "tests/plugins/load.h"
#include "tests/plugins/own_pools.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

// Asked for by AddressSanitizer: here the library is meant to be there twice.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_odr_violation=0"; }  // NOLINT

namespace {

using namespace taskctx;
using namespace taskctx_test;

const OwnPools& plugin() {
  static const OwnPools* const own_pools = [] {
    const MisuseRecorder recorder;
    static const Plugin plugin("libplugin_own_pools.so");
    return plugin.call<const OwnPools*()>("plugin_own_pools")();
  }();
  return *own_pools;
}

std::unique_ptr<JobPool> make_pool(int concurrency) {
  return std::make_unique<JobPool>(JobPoolOptions{.concurrency = concurrency});
}

// Calls `wait`, which shall block, on a thread of its own, and `end_it` when it does.
void block_and_end(const std::function<void()>& wait, const std::function<void()>& end_it) {
  std::atomic<pid_t> waiter{0};
  std::thread thread([&] {
    waiter = gettid();
    wait();
  });
  const auto is_asleep = [&] {
    std::ifstream file("/proc/self/task/" + std::to_string(waiter.load()) + "/stat");
    std::string text;
    std::getline(file, text);
    return text.find(") S ") != std::string::npos;
  };
  while (waiter == 0 || !is_asleep()) {
    std::this_thread::yield();
  }
  end_it();
  thread.join();
}

class PoolsOfTwoCopiesDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (taskctx_test::kThreadSanitizer) {
      GTEST_SKIP() << "oneTBB is a static library there, so that the plugin has one of its own";
    }
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

class PoolsOfTwoCopies : public PoolsOfTwoCopiesDeathTest {
 protected:
  // The program's, which comes first, and the plugin's.
  const std::unique_ptr<JobPool> ours = make_pool(1);
  const std::unique_ptr<JobPool> theirs = plugin().make(1);
  const Watchdog watchdog{"a pool of two copies"};
};

// V14
TEST_F(PoolsOfTwoCopies, AreDestroyedByEither) {
  std::atomic<int> runs = 0;
  const auto job = [&runs] { return ++runs; };
  auto our_pool = make_pool(2);
  auto their_pool = plugin().make(2);
  our_pool->post([&] { plugin().submit(*their_pool, job).get(); });
  (void)plugin().submit(*our_pool, job);
  (void)plugin().submit(*their_pool, job);
  plugin().destroy(std::move(our_pool));
  their_pool.reset();
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(make_pool(1)->submit(job).get(), 4);  // The list of pools is in order.
  EXPECT_EQ(plugin().make(1)->submit(job).get(), 5);
}

// V14
TEST_F(PoolsOfTwoCopies, HaveJobsForWhichTheOtherWaits) {
  for (JobPool* const pool : {ours.get(), theirs.get()}) {
    for (const bool is_timed : {false, true}) {
      std::latch go(2);
      const auto job = [&go] {
        go.wait();
        return 7;
      };
      // The one that runs, and the one that is queued behind it, each waited for by the other copy.
      auto our_job = pool->submit(job);
      auto their_job = plugin().submit(*pool, job);
      const auto end = [&go] { go.count_down(); };
      block_and_end(
          [&] {
            block_and_end(
                [&] {
                  EXPECT_TRUE(!is_timed || their_job.wait_for(absl::Seconds(600)));
                  EXPECT_EQ(their_job.get(), 7);
                },
                end);
          },
          [&] {
            block_and_end(
                [&] {
                  EXPECT_TRUE(!is_timed || plugin().wait_for(our_job, absl::Seconds(600)));
                  EXPECT_EQ(plugin().get(std::move(our_job)), 7);
                },
                end);
          });
    }
  }
}

// V14
TEST_F(PoolsOfTwoCopies, CancelEachOthersJobs) {
  for (JobPool* const pool : {ours.get(), theirs.get()}) {
    std::latch go(1);
    auto first = pool->submit([&go] { go.wait(); });
    auto our_job = pool->submit([] { return 1; });
    auto their_job = plugin().submit(*pool, [] { return 2; });
    block_and_end([&] { their_job.wait(); }, [&] { EXPECT_TRUE(their_job.cancel()); });
    block_and_end([&] { our_job.wait(); }, [&] { EXPECT_TRUE(plugin().cancel(our_job)); });
    EXPECT_THROW(their_job.get(), taskctx::JobCancelled);
    EXPECT_THROW((void)plugin().get(std::move(our_job)), taskctx::JobCancelled);
    go.count_down();
    first.get();
  }
}

// V14: the only thread runs what it waits for, whichever copy that is of.
TEST_F(PoolsOfTwoCopies, HelpEachOther) {
  for (JobPool* const pool : {ours.get(), theirs.get()}) {
    const auto seven = [] { return 7; };
    EXPECT_EQ(pool->submit([&] { return plugin().submit(*pool, seven).get(); }).get(), 7);
    EXPECT_EQ(pool->submit([&] {
                    return plugin().submit_after(*pool, absl::Milliseconds(1), seven).get();
                  })
                  .get(),
              7);
    EXPECT_EQ(pool->submit([&] {
                    auto later = pool->submit_after(absl::Milliseconds(1), seven);
                    return plugin().spawn(*pool, std::move(later)).get();
                  })
                  .get(),
              7);
    EXPECT_EQ(plugin().submit(*pool, [&] { return plugin().get(pool->submit(seven)); }).get(), 7);
  }
}

// V14: oneTBB has one limit, and takes the smallest that anybody sets.
TEST_F(PoolsOfTwoCopies, HaveAllTheirThreads) {
  static constexpr int kThreads = 9;
  const auto meet = [](JobPool& pool) {
    std::latch all(kThreads);
    pool.submit_bulk(std::views::iota(0, kThreads), [&all](int) { all.arrive_and_wait(); }).wait();
  };
  std::latch all(2 * kThreads);  // Outlives the pools, which wait for their jobs.
  const auto our_pool = make_pool(kThreads);
  const auto their_pool = plugin().make(kThreads);
  meet(*our_pool);
  meet(*their_pool);
  for (int i = 0; i < kThreads; ++i) {
    our_pool->post([&all] { all.arrive_and_wait(); });
    (void)plugin().submit(*their_pool, [&all] {
      all.arrive_and_wait();
      return 0;
    });
  }
  all.wait();
}

// V14
TEST_F(PoolsOfTwoCopies, KnowInAChildThatItWasForked) {
  const auto job = theirs->submit([] { return 1; });
  const pid_t child = fork();
  if (child == 0) {
    const auto is_refused = [](auto call) {
      try {
        call();
      } catch (const taskctx::JobError&) {
        return true;
      }
      return false;
    };
    const bool are_refused =
        is_refused([] { (void)make_pool(1); }) && is_refused([] { (void)plugin().make(1); }) &&
        is_refused([this] { ours->post([] {}); }) && is_refused([this] { theirs->post([] {}); });
    _exit(are_refused ? 0 : 1);
  }
  EXPECT_EQ(taskctx_test::status_of(child), 0);
}

// V14: also if only the other copy has had pools.
TEST_F(PoolsOfTwoCopiesDeathTest, KnowEachOthersInAChild) {
  const auto run = [] {
    plugin().make(1)->submit([] { return 1; }).get();
    const pid_t child = fork();
    if (child == 0) {
      try {
        (void)make_pool(1);
      } catch (const taskctx::JobError&) {
        _exit(7);
      }
      _exit(1);
    }
    _exit(taskctx_test::status_of(child));
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(7), "");
}

// V14
TEST_F(PoolsOfTwoCopiesDeathTest, EndWithTheProgramAndLoseNothing) {
  const auto run = [](bool is_ours_first) {
    static std::latch exiting(1);
    const auto post_ours = [] {
      taskctx::default_pool().post([] {
        exiting.wait();
        (void)std::fputs("ours\n", stderr);
      });
    };
    const auto post_theirs = [] {
      plugin().post([] {
        exiting.wait();
        (void)std::fputs("theirs\n", stderr);
      });
    };
    is_ours_first ? post_ours() : post_theirs();
    is_ours_first ? post_theirs() : post_ours();
    std::atexit([] { exiting.count_down(); });
    std::exit(0);
  };
  const char* const both = "^(ours\ntheirs\n|theirs\nours\n)$";
  (void)plugin();
  EXPECT_EXIT(run(true), testing::ExitedWithCode(0), both);
  EXPECT_EXIT(run(false), testing::ExitedWithCode(0), both);
}

}  // namespace
