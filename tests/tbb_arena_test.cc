// SPDX-License-Identifier: Apache-2.0
//
// task_arena: a function that another thread runs is in its caller's context.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <atomic>
#include <memory>
#include <thread>

#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/token.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
namespace onetbb = oneapi::tbb;

// T4: an arena whose slots are taken has one of its own threads run the function.
TEST(Arena, AFullArenaRunsTheFunctionOnAnotherThreadInTheCallersContext) {
  const Watchdog watchdog("a full arena");
  const onetbb::global_control limit(onetbb::global_control::max_allowed_parallelism, 3);
  ctbb::task_arena arena(2, 0);  // No slot for callers from outside.
  const Scope scope{request, 7};
  thread_request = 7;
  const std::thread::id here = std::this_thread::get_id();
  int elsewhere = 0;
  int wrong = 0;
  int local_wrong = 0;
  for (int round = 0; round < 100; ++round) {  // The caller may find a slot that is free just now.
    const auto occupied = std::make_shared<Gate>(3);
    const auto leave = std::make_shared<Latch>();
    for (int slot = 0; slot < 2; ++slot) {
      arena.enqueue([occupied, leave] {
        occupied->arrive_and_wait();
        leave->wait();
      });
    }
    occupied->arrive_and_wait();
    std::thread opener([leave] { leave->open(); });
    const std::thread::id there = arena.execute([&] {
      wrong += static_cast<int>(request.get(0) != 7);
      local_wrong += static_cast<int>(thread_request != 7);
      request.set(8);
      return std::this_thread::get_id();
    });
    opener.join();
    elsewhere += static_cast<int>(here != there);
    wrong += static_cast<int>(request.get(0) != 7);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(elsewhere, 0) << "the arena always had a slot: the test proves nothing";
  EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  thread_request = 0;
}

// F-F1
TEST(Arena, HasTheConstructorsAndMembersOfOneTbbs) {
  ctbb::task_arena plain;
  ctbb::task_arena sized(2, 1, ctbb::task_arena::priority::high);
  ctbb::task_arena constrained(ctbb::task_arena::constraints{}.set_max_concurrency(2));
  const ctbb::task_arena copy(sized);
  EXPECT_EQ(copy.max_concurrency(), 2);
  EXPECT_EQ(constrained.max_concurrency(), 2);
  EXPECT_FALSE(plain.is_active());
  plain.initialize(3);
  EXPECT_TRUE(plain.is_active());
  EXPECT_EQ(plain.max_concurrency(), 3);
  EXPECT_EQ(&plain.native(), &static_cast<onetbb::task_arena&>(plain));
  plain.terminate();
  EXPECT_FALSE(plain.is_active());
  static_assert(ctbb::task_arena::automatic == onetbb::task_arena::automatic);
  sized.execute([&] {
    ctbb::task_arena attached{ctbb::task_arena::attach()};
    EXPECT_TRUE(attached.is_active());
    EXPECT_EQ(ctbb::this_task_arena::max_concurrency(), 2);
    EXPECT_GE(ctbb::this_task_arena::current_thread_index(), 0);
  });
  struct Observer : ctbb::task_scheduler_observer {
    explicit Observer(ctbb::task_arena& arena) : task_scheduler_observer(arena) { observe(true); }
    ~Observer() override { observe(false); }
    void on_scheduler_entry(bool /*is_worker*/) override { ++entries; }
    std::atomic<int> entries{0};
  } observer(sized);
  sized.execute([] {});
  EXPECT_GT(observer.entries, 0);
}

}  // namespace
