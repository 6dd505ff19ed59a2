// SPDX-License-Identifier: Apache-2.0
//
// Pools that can't be, and calls that run out of memory or whose callables can't be moved: they
// throw, and have changed nothing.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/version.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/job_pool.h"
#include "taskctx/when_all.h"
#include "tests/fuse.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

std::string refusal(const std::function<void()>& make) {
  try {
    make();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

// J63
TEST(PoolLimits, AConcurrencyThatOneTbbHasNotIsRefusedWithTheLimit) {
  const Watchdog watchdog("a pool of as many threads as oneTBB has");
  const int most = TBB_runtime_interface_version() > 12'080 ? 32'767 : 65'535;
  for (const int threads : {most + 1, 65'536, 1'000'000, INT_MAX}) {
    EXPECT_EQ(refusal([&] { const JobPool pool{{.concurrency = threads}}; }),
              "cannot create pool: concurrency is " + std::to_string(threads) +
                  ", and oneTBB has at most " + std::to_string(most));
  }
  EXPECT_EQ(refusal([] { const JobPool pool{{.concurrency = INT_MIN}}; }),
            "cannot create pool: concurrency is -2147483648");
  if (most < 65'535) {
    oneapi::tbb::task_arena arena(most + 1, 0);
    EXPECT_EQ(refusal([&] { const JobPool pool(arena); }),
              "cannot create pool: the arena is for " + std::to_string(most + 1) +
                  " threads, and oneTBB has at most " + std::to_string(most));
  }
  JobPool pool{{.concurrency = most}};
  EXPECT_EQ(pool.submit([] { return 7; }).get(), 7);
  EXPECT_EQ(refusal([] { const JobPool odd{{.priority = static_cast<taskctx::JobPriority>(7)}}; }),
            "cannot create pool: priority is 7");
  EXPECT_EQ(refusal([] { const JobPool odd{{.when_full = static_cast<taskctx::WhenFull>(7)}}; }),
            "cannot create pool: when_full is 7");
}

// J63
TEST(PoolLimits, AnArenaWithoutThreadsOfItsOwnIsRefusedAndReservedSlotsDontCount) {
  const Watchdog watchdog("arenas");
  for (const int slots : {2, 3, 8}) {
    oneapi::tbb::task_arena arena(slots, static_cast<unsigned>(slots));
    EXPECT_EQ(refusal([&] { const JobPool pool(arena); }),
              "cannot create pool: all " + std::to_string(slots) +
                  " slots of the arena are reserved for threads that enter it");
  }
  const auto runs = [](oneapi::tbb::task_arena& arena) {
    JobPool pool(arena);
    EXPECT_EQ(pool.submit([] { return 7; }).get(), 7);
    return pool.concurrency();
  };
  oneapi::tbb::task_arena one(1);
  EXPECT_EQ(runs(one), 1);
  oneapi::tbb::task_arena half(4, 2);
  EXPECT_EQ(runs(half), 2);
  oneapi::tbb::task_arena used(3, 1);
  used.execute([] {});
  EXPECT_EQ(runs(used), 2);
  oneapi::tbb::task_arena attached{oneapi::tbb::attach()};
  EXPECT_GE(runs(attached), 1);
}

// Lets the n-th allocation of `call` fail, for all n until it succeeds. `check` is told of each
// failure.
template <typename Call, typename Check>
void fail_each(const Call& call, const Check& check) {
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 100);
    allocations.arm(n);
    bool has_thrown = false;
    try {
      call();
    } catch (const std::bad_alloc&) {
      has_thrown = true;
    }
    allocations.disarm();
    if (!has_thrown) {
      return;
    }
    check();
  }
}

// J64
TEST(NoMemory, APoolThatCouldNotBeMadeIsForgotten) {
  const JobPool other{{.concurrency = 30}};
  fail_each([] { JobPool({.concurrency = 30, .name = "a name that needs memory"}).post([] {}); },
            [] {});
  JobPool pool{{.concurrency = 2}};
  EXPECT_EQ(pool.submit([] { return 7; }).get(), 7);
}

// J64: when oneTBB finds no memory for a thread, it has queued the pool's task already. That runs
// all the same, after the pool's end here.
TEST(NoMemoryDeathTest, ATaskForWhichThereIsNoThreadYetMayRunLater) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    const JobPool idle{{.concurrency = 8}};  // So that oneTBB may have more threads.
    JobPool other{{.concurrency = 1}};
    Latch has_begun;
    Latch goes_on;
    other.post([&] {  // Keeps the only thread that there is.
      has_begun.open();
      goes_on.wait();
    });
    has_begun.wait();
    oneapi::tbb::task_arena arena(4);
    arena.initialize();
    taskctx_test::threads_may_fail = true;
    fail_each([&arena] { JobPool(arena).post([] {}); }, [] {});
    goes_on.open();
    // Once in a while oneTBB serves nobody any more: then there is nothing to see.
    (void)std::signal(SIGALRM, [](int) { _exit(0); });
    alarm(5);
    for (int i = 0; i < 30; ++i) {  // More than the arena's queue has parts: all have been served.
      Latch has_run;
      arena.enqueue([&has_run] { has_run.open(); });
      has_run.wait();
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// J64
TEST(NoMemory, WhatCouldNotBeSubmittedLeavesHandlesAndArgumentsAlone) {
  const Watchdog watchdog("no memory");
  {
    JobPool pool{{.concurrency = 1}};
    std::vector<int> range(10, 1);
    fail_each([&] { pool.submit_bulk(std::move(range), [](int i) { return i; }).wait(); },
              [&] { ASSERT_EQ(range.size(), 10U); });
    fail_each([&] { pool.submit_after(absl::Microseconds(1), [t = Tracked(1)] {}).wait(); }, [] {});
    fail_each(
        [&] { pool.submit({.name = "a name that needs memory"}, [t = Tracked(1)] {}).wait(); },
        [] {});

    Job<Tracked> job = pool.submit([] { return Tracked(3); });
    Job<int> next;
    fail_each([&] { next = job.then([t = Tracked(1)](Tracked r) { return r.value(); }); },
              [&] { ASSERT_TRUE(job.valid()); });
    EXPECT_EQ(next.get(), 3);

    const SharedJob<int> shared = pool.submit([] { return 4; }).shared();
    fail_each([&] { next = shared.then([](int i) { return i; }); },
              [&] { ASSERT_TRUE(shared.valid()); });
    EXPECT_EQ(next.get(), 4);

    Job<int> a = pool.submit([] { return 1; });
    Job<std::string> b = pool.submit([] { return std::string("b"); });
    Job<std::tuple<int, std::string>> both;
    fail_each([&] { both = taskctx::when_all(std::move(a), std::move(b)); },
              [&] { ASSERT_TRUE(a.valid() && b.valid()); });
    EXPECT_EQ(both.get(), std::tuple(1, std::string("b")));

    std::vector<Job<int>> jobs;
    for (int i = 0; i < 3; ++i) {
      jobs.push_back(pool.submit([i] { return i; }));
    }
    Job<std::vector<int>> all;
    fail_each([&] { all = taskctx::when_all(std::move(jobs)); },
              [&] {
                for (const Job<int>& each : jobs) {
                  ASSERT_TRUE(each.valid());
                }
              });
    EXPECT_EQ(all.get(), (std::vector<int>{0, 1, 2}));
    pool.drain();
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

struct Unmovable {
  Unmovable() = default;
  Unmovable(const Unmovable& other) : throws(other.throws) {
    if (*throws) {
      throw std::runtime_error("can't be copied");
    }
  }
  Unmovable& operator=(const Unmovable&) = delete;
  ~Unmovable() = default;
  int operator()(int i) const { return i; }
  std::shared_ptr<bool> throws = std::make_shared<bool>(true);
};

// J64
TEST(NoMemory, AContinuationThatCannotBeMovedLeavesTheHandleAlone) {
  JobPool pool{{.concurrency = 1}};
  Job<int> job = pool.submit([] { return 3; });
  const Unmovable function;
  EXPECT_THROW((void)job.then(function), std::runtime_error);
  ASSERT_TRUE(job.valid());
  *function.throws = false;
  EXPECT_EQ(job.then(function).get(), 3);
}

// J64: a job that waits needs memory to help; without it, it waits all the same.
TEST(NoMemory, WaitingThrowsNothing) {
  const Watchdog watchdog("waiting without memory");
  JobPool pool{{.concurrency = 1}};
  for (int n = 0; n < 20; ++n) {
    EXPECT_EQ(pool.submit([&pool, n] {
                    Job<int> job = pool.submit([] { return 1; }).then([](int i) { return i + 1; });
                    Job<int> last = job.then([](int i) { return i + 1; });
                    allocations.arm(n);
                    last.wait();
                    allocations.disarm();
                    return last.get();
                  })
                  .get(),
              3);
  }
}

}  // namespace
