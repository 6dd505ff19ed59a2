// SPDX-License-Identifier: Apache-2.0
//
// A job that is due while loops keep all threads busy.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/busy_loop.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

class DueJobs : public testing::TestWithParam<std::tuple<int, Loop>> {
 protected:
  [[nodiscard]] static auto loop() { return std::get<1>(GetParam()).run; }
  [[nodiscard]] static bool has_ranges() {
    return std::string_view(std::get<1>(GetParam()).name).starts_with("Ranges");
  }

  taskctx::JobPool pool_{{.concurrency = std::get<0>(GetParam())}};
  const Watchdog watchdog_{"a test of due jobs"};
};

INSTANTIATE_TEST_SUITE_P(Loops, DueJobs,
                         testing::Combine(testing::Values(2, 4, 8), testing::ValuesIn(kLoops)),
                         [](const auto& test) {
                           return std::get<1>(test.param).name +
                                  std::to_string(std::get<0>(test.param));
                         });

// J66
TEST_P(DueJobs, BeginAtTheEndOfTheFirstLeafThatEnds) {
  BusyPool busy(pool_, loop());
  EXPECT_EQ(busy.leaves_before([] {}), 0);
  busy.end();
  EXPECT_TRUE(has_ranges() || busy.indices().were_all_there_once());
}

// J66
TEST_P(DueJobs, MayWaitForTheJobWhoseLoopTheyInterrupt) {
  BusyPool busy(pool_, loop());
  EXPECT_EQ(busy.leaves_before([&] {
    busy.leaves().open();
    busy.job().get();
  }),
            0);
  busy.end();
  EXPECT_TRUE(has_ranges() || busy.indices().were_all_there_once());
}

// J67
TEST_P(DueJobs, LeaveEachLeafOfTheLoopItsContext) {
  const taskctx::Scope scope{request, 7};
  std::atomic<int> wrong{0};
  BusyPool busy(pool_, loop(), [&](int) {
    wrong += static_cast<int>(request.get() != 7);
    request.set(8);
  });
  {
    const taskctx::Scope other{request, 9};
    std::atomic<int> seen{0};
    EXPECT_EQ(busy.leaves_before([&] { seen = request.get(); }), 0);
    busy.end();
    EXPECT_EQ(seen, 9);
  }
  EXPECT_EQ(wrong, 0);
}

// J67
TEST_P(DueJobs, LeaveTheLoopItsErrors) {
  std::atomic<int> fatal{-1};
  BusyPool busy(pool_, loop(), [&](int i) {
    if (i == fatal || (fatal != -1 && has_ranges())) {
      throw std::runtime_error("of a leaf");
    }
  });
  EXPECT_EQ(busy.leaves_before([] {}), 0);
  for (int i = 0; i < kIndices; ++i) {  // One that nobody has begun, behind that which ended.
    if (i > busy.index() && !busy.indices().was_there(i)) {
      fatal = i;
      break;
    }
  }
  try {
    busy.end();
    FAIL() << "no error, of index " << fatal;
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "of a leaf");
  }
}

// J67
TEST(DueJob, RunsOnNoThreadThatWaitsElsewhere) {
  const Watchdog watchdog("a task that waits");
  taskctx::JobPool pool{{.concurrency = 2}};
  std::atomic<int> begun{0};
  Latch latch;
  std::atomic<std::thread::id> waiting;
  Latch has_ended;
  pool.submit([&] {
        ctbb::this_task_arena::enqueue([&] {
          const auto me = std::this_thread::get_id();
          ctbb::parallel_for(
              0, 2,
              [&](int) {
                ++begun;
                if (std::this_thread::get_id() == me) {
                  while (begun != 2) {
                    std::this_thread::yield();
                  }
                  waiting = me;
                } else {
                  latch.wait();
                }
              },
              ctbb::simple_partitioner());
          waiting = std::thread::id();
          has_ended.open();
        });
      })
      .get();
  while (waiting.load() == std::thread::id()) {
    std::this_thread::yield();
  }
  auto timed = pool.submit_after(absl::ZeroDuration(),
                                 [&] { EXPECT_NE(waiting.load(), std::this_thread::get_id()); });
  let_timer_fire();
  const auto& calls = taskctx::internal::JobPoolAccess::core(pool)->calls();
  while (calls != 0) {
    std::this_thread::yield();  // Until the thread that waits has seen it, and left it alone.
  }
  EXPECT_FALSE(timed.ready());
  latch.open();
  timed.get();
  has_ended.wait();
}

// J67
TEST(DueJob, DoesNotInterruptLoopsInOtherArenas) {
  const Watchdog watchdog("a loop in another arena");
  taskctx::JobPool pool{{.concurrency = 1}};
  const taskctx::JobPool spare{{.concurrency = 8}};  // For the threads that it brings.
  ctbb::task_arena arena(2);
  Leaves leaves;
  Indices indices;
  std::thread::id owner;
  auto job = pool.submit([&] {
    owner = std::this_thread::get_id();
    arena.execute([&] {
      ctbb::parallel_for(0, kIndices, [&](int i) {
        indices.add(i);
        leaves.step(i);
      });
    });
  });
  leaves.wait_for(2);
  std::atomic<bool> has_begun{false};
  auto timed = pool.submit_after(absl::ZeroDuration(), [&] { has_begun = true; });
  let_timer_fire();
  for (const std::thread::id thread : leaves.threads()) {
    if (thread != owner) {
      leaves.let_go(thread, [] { return false; });  // Another leaf begins.
    }
  }
  EXPECT_FALSE(has_begun);
  leaves.open();
  job.get();
  timed.get();
  EXPECT_TRUE(indices.were_all_there_once());
}

}  // namespace
