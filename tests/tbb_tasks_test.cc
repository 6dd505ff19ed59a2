// SPDX-License-Identifier: Apache-2.0
//
// Tasks that outlive the call that made them, arenas, and tasks that are suspended: the context is
// that of the submission, or of the function that goes on.

#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/token.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

namespace ctbb = taskctx::tbb;
namespace onetbb = oneapi::tbb;

using taskctx::ContextVar;
using taskctx::Scope;
using taskctx_test::AllThreads;
using taskctx_test::Gate;
using taskctx_test::Latch;
using taskctx_test::StealingArena;
using taskctx_test::Tracked;
using taskctx_test::Watchdog;

ContextVar<int> request("request");

// What people use instead: 0 is "none".
thread_local int thread_request = 0;

// Read what belongs to the thread that runs now: a compiler may keep an address, or the thread's
// id, from before a suspension.
[[gnu::noinline]] int local_now() {
  asm volatile("");
  return thread_request;
}
[[gnu::noinline]] std::thread::id thread_now() {
  asm volatile("");
  return std::this_thread::get_id();
}

// Under ThreadSanitizer oneTBB suspends threads instead of stacks: nothing goes on on another one.
constexpr bool kStacksMove = !taskctx_test::kThreadSanitizer;

// Takes a few microseconds, so that others find something to do.
void work() {
  for (int i = 0; i < 5000; ++i) {
    asm volatile("");
  }
}

class Tasks : public testing::TestWithParam<int> {
 protected:
  [[nodiscard]] static int threads() { return GetParam(); }
  std::atomic<int> wrong_{0};
  std::atomic<int> local_wrong_{0};
};

// T5: run late, by whomever, and by no call that waits for them.
TEST_P(Tasks, RunInTheContextOfTheirSubmissionHoweverLate) {
  StealingArena arena(threads());
  AllThreads all(threads());
  ctbb::task_group group;
  std::vector<ctbb::task_handle> handles;
  arena->execute([&] {
    for (int id = 1; id <= 100; ++id) {
      const Scope scope{request, id};
      thread_request = id;
      handles.push_back(group.defer([&, id] {
        all.take_part();
        wrong_ += static_cast<int>(request.get(0) != id);
        local_wrong_ += static_cast<int>(thread_request != id);
        request.set(-id);
      }));
    }
    const Scope later{request, -5};
    for (ctbb::task_handle& handle : handles) {
      group.run(std::move(handle));
    }
    EXPECT_EQ(group.wait(), ctbb::complete);
    EXPECT_EQ(request.get(), -5);
  });
  EXPECT_EQ(wrong_, 0);
  EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// Looks at the context when it is destroyed.
struct Watchful {
  std::atomic<int>* wrong;
  int id;
  Watchful(std::atomic<int>* count, int its_id) : wrong(count), id(its_id) {}
  Watchful(const Watchful&) = delete;
  Watchful& operator=(const Watchful&) = delete;
  ~Watchful() { *wrong += static_cast<int>(request.get(0) != id); }
};

// T5, P22: also of tasks that never run.
TEST_P(Tasks, DestroyWhatTheyCaptureInTheirOwnContextAndTheirSnapshotAfterwards) {
  StealingArena arena(threads());
  const ContextVar<Tracked> tracked("tracked");
  arena->execute([&] {
    const auto task = [&](int id) {
      return [this, watchful = std::make_unique<Watchful>(&wrong_, id)] {
        wrong_ += static_cast<int>(request.get(0) != watchful->id);
      };
    };
    ctbb::task_group group;
    for (int id = 1; id <= 50; ++id) {
      const Scope scope{request, id};
      const Scope value{tracked, Tracked(id)};
      group.run(task(id));
      static_cast<void>(group.defer(task(id)));  // Dropped.
    }
    group.wait();
    EXPECT_EQ(Tracked::alive(), 0);
    for (int id = 1; id <= 50; ++id) {
      const Scope scope{request, id};
      const Scope value{tracked, Tracked(id)};
      group.run(task(id));
      group.cancel();
    }
    group.wait();
  });
  EXPECT_EQ(wrong_, 0);
  EXPECT_EQ(Tracked::alive(), 0);
}

// T5: a group that is destroyed without waiting says so, and leaves the context as it was.
TEST_P(Tasks, AGroupThatNobodyWaitedForThrowsAndTheCallersContextIsBack) {
  StealingArena arena(threads());
  arena->execute([&] {
    const Scope scope{request, 1};
    Latch go_on;
    try {
      ctbb::task_group group;
      group.run([&] { go_on.wait(); });
      const ctbb::task_handle held = group.defer([] {});
      std::thread opener([&] { go_on.open(); });
      opener.join();
    } catch (const ctbb::missing_wait&) {
      wrong_ += 100;
    }
    EXPECT_EQ(request.get(), 1);
  });
  EXPECT_TRUE(wrong_ == 100 || wrong_ == 0);
}

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

// V2: a raw task that runs while a thread waits may write: what it writes is gone afterwards.
TEST_P(Tasks, WhatAForeignTaskWritesOnAWaitingThreadIsSeenByNobody) {
  StealingArena arena(threads());
  // Of its own: what foreign tasks set on threads that don't wait stays there.
  const ContextVar<int> number("number");
  const ContextVar<Tracked> tracked("tracked");
  arena->execute([&] {
    number.set(1);  // In the thread's own context, not in a guard's.
    onetbb::task_group raw;
    for (int i = 0; i < 200; ++i) {
      raw.run([&] {
        number.set(9);
        tracked.set(Tracked(1));
      });
      ctbb::task_group group;
      for (int k = 0; k < 4; ++k) {
        group.run([&] {
          wrong_ += static_cast<int>(number.get(0) != 1);
          ctbb::parallel_for(0, 4, [&](int) {
            wrong_ += static_cast<int>(number.get(0) != 1);
            wrong_ += static_cast<int>(tracked.find() != nullptr);
          });
        });
      }
      group.wait();
      EXPECT_EQ(number.get(0), 1);
      EXPECT_EQ(tracked.find(), nullptr);
    }
    ctbb::this_task_arena::isolate([] {});
    raw.wait();  // Raw: it may run those tasks in the caller's context.
    number.set(0);
    const auto forget = number.unset();
    const auto forget_too = tracked.unset();
  });
  EXPECT_EQ(wrong_, 0);
}

// Resumes what is suspended, on a thread of its own, in no context.
class Resumer {
 public:
  Resumer() : thread_([this] { run(); }) {}
  Resumer(const Resumer&) = delete;
  Resumer& operator=(const Resumer&) = delete;
  ~Resumer() {
    add(nullptr);
    thread_.join();
  }
  void add(ctbb::task::suspend_point point) {
    const std::lock_guard lock(mutex_);
    points_.push_back(point);
    is_there_ = true;
    is_there_.notify_one();
  }

 private:
  void run() {
    while (true) {
      is_there_.wait(false);
      std::vector<ctbb::task::suspend_point> points;
      {
        const std::lock_guard lock(mutex_);
        points.swap(points_);
        is_there_ = false;
      }
      for (ctbb::task::suspend_point point : points) {
        if (point == nullptr) {
          return;
        }
        ctbb::task::resume(point);
      }
    }
  }

  std::mutex mutex_;
  std::vector<ctbb::task::suspend_point> points_;
  std::atomic<bool> is_there_{false};
  std::thread thread_;
};

// T8, F-G1, F-G4: what is suspended goes on in its own context, with its scopes and tokens, on
// whichever thread, and so does what only waits meanwhile.
TEST_P(Tasks, SuspendedTasksGoOnInTheirOwnContextOnAnotherThread) {
  const Watchdog watchdog("suspended tasks");
  std::atomic<int> moved{0};
  std::atomic<int> foreign_wrong{0};
  std::atomic<int> foreign_left{0};
  {
    StealingArena arena(threads());
    Resumer resumer;
    const auto round = [&] {
      ctbb::task_group group;
      for (int id = 1; id <= 1000; ++id) {
        const Scope scope{request, id};
        group.run([&, id] {
          thread_request = id;
          wrong_ += static_cast<int>(request.get(0) != id);
          {
            const Scope inner{request, -id};
            const std::thread::id before = thread_now();
            if (id % 2 == 0) {
              auto token = request.set(id + 1'000'000);
              ctbb::task::suspend([&](ctbb::task::suspend_point point) {
                wrong_ += static_cast<int>(request.get(0) != id + 1'000'000);
                resumer.add(point);
              });
              moved += static_cast<int>(before != thread_now());
              wrong_ += static_cast<int>(request.get(0) != id + 1'000'000);
              request.reset(std::move(token));
            } else {
              ctbb::parallel_for(
                  0, 8,
                  [&](int) {
                    wrong_ += static_cast<int>(request.get(0) != -id);
                    work();
                  },
                  ctbb::simple_partitioner());
            }
            wrong_ += static_cast<int>(request.get(0) != -id);
            local_wrong_ += static_cast<int>(local_now() != id);
          }
          wrong_ += static_cast<int>(request.get(0) != id);
        });
        if (id % 10 == 0) {
          ++foreign_left;
          arena->enqueue([&] {
            foreign_wrong += static_cast<int>(request.find() != nullptr);
            --foreign_left;
          });
        }
      }
      group.wait();
      EXPECT_EQ(request.find(), nullptr);
    };
    for (int i = 0; i < (kStacksMove ? 50 : 2) && (i < 2 || moved == 0); ++i) {
      arena->execute(round);
    }
    while (foreign_left != 0) {
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(wrong_, 0);
  EXPECT_EQ(foreign_wrong, 0) << "oneTBB's own tasks see an empty context meanwhile";
  RecordProperty("went on on another thread", moved);
  if (threads() > 2 && kStacksMove) {
    EXPECT_GT(moved, 0) << "nothing moved: the test proves nothing";
    EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
  thread_request = 0;
}

// T8b: a function that never suspends comes back from a loop on another thread. Its thread, while
// it waits, takes up another task that was suspended, and leaves its stack for that; the thread
// that ends the loop takes up the stack that was left.
TEST(WaitingWhileOthersSuspend, ComesBackOnAnotherThreadInTheCallersContext) {
  const Watchdog watchdog("a loop that ends elsewhere");
  StealingArena arena(2);
  arena->execute([&] {
    ctbb::task_group group;
    ctbb::task::suspend_point point = nullptr;
    Latch suspended;
    Latch resumed;
    Latch back;
    const auto run = [&](int id, const auto& function) {
      const Scope scope{request, id};
      group.run([id, &function] {
        thread_request = id;
        function();
        EXPECT_EQ(request.get(), id);
      });
    };
    const auto suspending = [&] {
      ctbb::task::suspend([&](ctbb::task::suspend_point here) {
        point = here;
        suspended.open();
      });
      EXPECT_EQ(request.get(), 2);
      resumed.open();
      back.wait();  // Keeps the thread on which the other task waited.
    };
    const auto waiting = [&] {
      suspended.wait();
      const std::thread::id before = thread_now();
      Latch stolen;
      ctbb::parallel_for(
          0, 2,
          [&](int) {
            EXPECT_EQ(request.get(), 1);
            if (thread_now() == before) {
              stolen.wait();
            } else {
              stolen.open();
              ctbb::task::resume(point);
              resumed.wait();
            }
          },
          ctbb::simple_partitioner());
      EXPECT_EQ(thread_now() != before, kStacksMove)
          << "it came back on its own thread: the test proves nothing";
      EXPECT_EQ(request.get(), 1);
      EXPECT_EQ(local_now() != 1, kStacksMove)
          << "the thread_local did not go wrong: the test proves nothing";
      back.open();
    };
    run(2, suspending);
    run(1, waiting);
    group.wait();
    EXPECT_EQ(request.find(), nullptr);
  });
  thread_request = 0;
}

INSTANTIATE_TEST_SUITE_P(Threads, Tasks, testing::Values(1, 2, 4, 8));

}  // namespace
