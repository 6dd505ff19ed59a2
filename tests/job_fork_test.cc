// SPDX-License-Identifier: Apache-2.0
//
// A process that is forked while other threads use the pools: every call returns or throws at once
// in the child, whatever those threads were doing, and the parent goes on.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/attribution.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"
#include "tests/forking.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> request_id("request_id");

Task<int> sleeping() {
  co_await taskctx::sleep_for(absl::Milliseconds(1));
  co_await taskctx::yield();
  co_return 1;
}
Task<int> at_once() { co_return 1; }

template <typename F>
bool throws(F&& call) {
  try {
    call();
  } catch (const JobError&) {
    return true;
  }
  return false;
}

// What the parent has made, and the child tries.
struct World {
  taskctx::Attribution<std::string> account{request_id};
  std::unique_ptr<JobPool> pool = std::make_unique<JobPool>(
      taskctx::JobPoolOptions{.concurrency = 2, .name = "a", .attribution = account});
  JobPool bounded{{.concurrency = 1, .queue_capacity = 4, .when_full = taskctx::WhenFull::reject}};
  Latch never;
  Job<void> running = pool->submit([this] { never.wait(); });
  SharedJob<int> sleeper = pool->spawn(sleeping()).shared();
  Job<int> later = pool->submit_after(absl::Hours(1), [] { return 1; });
  Job<int> next = sleeper.then([](int i) { return i; });
  Job<int> done = pool->submit([] { return 2; });
};

// Calls everything. Returns 0, or the number of what was wrong.
int try_all(World& world) {
  alarm(10);
  int step = 0;
  const auto check = [&step](bool ok) {
    ++step;
    if (!ok) {
      _exit(step);
    }
  };
  JobPool& pool = *world.pool;
  (void)pool.stats();
  (void)world.bounded.stats();
  (void)world.account.totals();
  check(pool.concurrency() == 2);                                                   // 1
  check(throws([&] { pool.post([] {}); }));                                         // 2
  check(throws([&] { (void)pool.submit([] { return 1; }); }));                      // 3
  check(throws([&] { (void)world.bounded.submit([] { return 1; }); }));             // 4
  check(throws([&] { (void)pool.submit_bulk(std::vector<int>(3), [](int) {}); }));  // 5
  check(throws([&] { (void)pool.submit_after(absl::Seconds(1), [] {}); }));         // 6
  check(throws([&] { (void)pool.spawn(at_once()); }));                              // 7
  check(throws([&] { pool.executor().execute([] {}); }));                           // 8
  check(throws([&] { (void)pool.drain(); }));                                       // 9
  check(throws([&] { (void)pool.shutdown(); }));                                    // 10
  check(throws([&] { world.running.wait(); }));                                     // 11
  check(throws([&] { (void)world.running.wait_for(absl::Seconds(100)); }));         // 12
  check(throws([&] { (void)world.next.then([](int) {}); }));                        // 13
  check(throws([&] { (void)world.sleeper.then([](int) {}); }));                     // 14
  check(throws([&] { (void)taskctx::when_all(std::move(world.next), std::move(world.later)); }));
  check(world.next.valid() && world.later.valid());                     // 16
  check(throws([&] { (void)taskctx::sync_wait(sleeping()); }));         // 17
  check(throws([&] { (void)taskctx::default_pool().submit([] {}); }));  // 18
  check(throws([] { const JobPool fresh; }));                           // 19
  (void)world.running.cancel();
  (void)world.sleeper.cancel();
  (void)world.next.cancel();
  (void)world.later.cancel();
  (void)world.running.id();
  (void)world.running.name();
  (void)world.running.context();
  check(world.done.get() == 2);  // 20
  { const Job<int> dropped = std::move(world.next); }
  { const SharedJob<int> dropped = std::move(world.sleeper); }
  world.pool.reset();
  return 0;
}

// J62: each child ends by itself.
TEST(ForkUnderLoad, EveryCallReturnsOrThrowsAtOnceInTheChild) {
  const Watchdog watchdog("fork under load", std::chrono::seconds(200));
  World world;
  world.done.wait();
  std::atomic<bool> is_over{false};
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&world, &is_over, i] {
      const taskctx::Scope scope{request_id, "r-" + std::to_string(i)};
      while (!is_over) {
        (void)world.pool->stats();
        Job<int> slept = world.pool->spawn(sleeping());
        Job<void> timer = world.pool->submit_after(absl::Microseconds(50), [] {});
        Job<int> child =
            world.pool->submit([&world] { return world.pool->submit([] { return 1; }).get(); });
        Job<int> after = child.then([](int n) { return n; });
        timer.cancel();
        slept.cancel();
        (void)after.wait_for(absl::Milliseconds(1));
        JobPool brief{{.concurrency = 1}};
        brief.post([] {});
      }
    });
  }
  taskctx_test::fork_often([&world] { return try_all(world); });
  is_over = true;
  for (std::thread& thread : load) {
    thread.join();
  }
  world.later.cancel();
  world.never.open();
  EXPECT_TRUE(world.pool->drain());
}

// J62: from within a job, its leaf and a coroutine.
TEST(ForkUnderLoad, AJobMayForkAndItsChildMayCallEverything) {
  const Watchdog watchdog("fork in a job");
  World world;
  world.done.wait();
  const auto fork_here = [&world] {
    const pid_t child = fork();
    if (child == 0) {
      _exit(try_all(world));
    }
    return status_of(child);
  };
  EXPECT_EQ(world.pool->submit(fork_here).get(), 0);
  const auto coroutine = [&]() -> Task<int> {
    const pid_t child = fork();
    if (child == 0) {
      alarm(10);
      bool has_thrown = false;
      try {
        co_await taskctx::yield();
      } catch (const JobError&) {
        has_thrown = true;
      }
      bool has_thrown_again = false;
      try {
        co_await taskctx::sleep_for(absl::Seconds(1));
      } catch (const JobError&) {
        has_thrown_again = true;
      }
      _exit(has_thrown && has_thrown_again ? 0 : 99);
    }
    co_return status_of(child);
  };
  EXPECT_EQ(world.pool->spawn(coroutine()).get(), 0);
  EXPECT_EQ(taskctx::sync_wait(coroutine()), 0);
  world.later.cancel();
  world.never.open();
}

// J62: a child that returns from the job which forked it ends with a word.
TEST(ForkUnderLoad, AChildThatReturnsFromItsJobEnds) {
  const Watchdog watchdog("return in the child");
  JobPool pool{{.concurrency = 2, .name = "a"}};
  const pid_t child = pool.submit([] {
                            const pid_t forked = fork();
                            if (forked == 0) {
                              alarm(10);
                            }
                            return forked;
                          })
                          .get();
  EXPECT_EQ(status_of(child), EXIT_FAILURE);
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
