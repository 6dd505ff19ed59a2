// SPDX-License-Identifier: Apache-2.0
//
// Tasks that are suspended and resumed on another thread, and loops that come back on one.

#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/token.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

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
