// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong with a thread_local on a work-stealing scheduler, and is right with a ContextVar:
// both in the same run. Each test forces the steal with a latch, and fails if the thread_local did
// not go wrong.

#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
namespace onetbb = oneapi::tbb;

// Sets both for a block, as a careful engineer does it with a thread_local.
class BothRequests {
 public:
  explicit BothRequests(int value) : scope_(request, value), outer_(thread_request) {
    thread_request = value;
  }
  BothRequests(const BothRequests&) = delete;
  BothRequests& operator=(const BothRequests&) = delete;
  ~BothRequests() { thread_request = outer_; }

 private:
  Scope<int> scope_;
  int outer_;
};

// T1, F-D11: while A waits for its children, its thread runs B on top of A's stack. B belongs to no
// request: it must see none, and A must see its own afterwards.
TEST(Stealing, AWaitingTaskRunsAnotherThatDoesNotSeeItsValues) {
  const Watchdog watchdog("nested wait");
  std::atomic<int> local_seen_by_b{-1};
  std::atomic<int> variable_seen_by_b{-1};
  std::thread::id thread_of_a;
  std::thread::id thread_of_b;
  std::thread::id thread_of_child;
  StealingArena arena(2);
  arena->execute([&] {
    onetbb::task_group requests;
    Latch a_child_runs;
    Latch b_ran;

    // Keeps the second thread in A's child until B has run: so it is A's own thread that runs B.
    requests.run(taskctx::bind([&] {
      const BothRequests a(1);
      thread_of_a = std::this_thread::get_id();
      onetbb::task_group children;
      children.run(taskctx::bind([&] {
        thread_of_child = std::this_thread::get_id();
        a_child_runs.open();
        b_ran.wait();
      }));
      a_child_runs.wait();  // Blocks without helping: the other thread has stolen the child.
      requests.run(taskctx::bind(taskctx::Context{}, [&] {
        thread_of_b = std::this_thread::get_id();
        local_seen_by_b = thread_request;
        variable_seen_by_b = request.get(0);
        request.set(2);
        thread_request = 2;
        b_ran.open();
      }));
      children.wait();  // Runs B here, on top of A.
      EXPECT_EQ(request.get(), 1);
      EXPECT_EQ(thread_request, 2) << "the thread_local did not go wrong: the test proves nothing";
    }));
    requests.wait();
  });
  EXPECT_EQ(thread_of_a, thread_of_b);
  EXPECT_NE(thread_of_a, thread_of_child) << "two threads took part";
  EXPECT_EQ(variable_seen_by_b, 0);
  EXPECT_EQ(local_seen_by_b, 1) << "the thread_local did not go wrong: the test proves nothing";
}

class StealingPool : public testing::TestWithParam<int> {};

// T2, F-D2, F-F1: many requests at once, each with a nested loop: every leaf sees its own request.
TEST_P(StealingPool, LeavesOfNestedLoopsSeeTheirOwnRequest) {
  const int threads = GetParam();
  constexpr int kRequests = 16;
  constexpr int kLeaves = 32;
  const Watchdog watchdog("nested loops");
  std::atomic<int> wrong{0};
  std::atomic<int> local_wrong{0};
  std::atomic<int> leaves{0};
  AllThreads all(threads);
  JobPool pool{{.concurrency = threads}};
  std::vector<Job<void>> jobs;
  for (int id = 1; id <= kRequests; ++id) {
    const Scope scope{request, id};
    jobs.push_back(pool.submit([&, id] {
      thread_request = id;
      const std::thread::id home = std::this_thread::get_id();
      // The first leaf on the job's own thread waits for one elsewhere: so some are stolen.
      Latch stolen;
      ctbb::parallel_for(
          0, kLeaves,
          [&](int) {
            all.take_part();
            if (std::this_thread::get_id() != home) {
              stolen.open();
            } else if (threads > 1 && id == 1) {
              stolen.wait();
            }
            ++leaves;
            wrong += static_cast<int>(request.get(0) != id);
            local_wrong += static_cast<int>(thread_request != id);
          },
          ctbb::simple_partitioner{});
      wrong += static_cast<int>(request.get(0) != id);
      thread_request = 0;
    }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
  EXPECT_EQ(leaves, kRequests * kLeaves);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(all.count(), static_cast<std::size_t>(threads));
  if (threads > 1) {
    EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
}

// J7: the pool has the threads that it was asked for, also on a machine with fewer cores.
TEST_P(StealingPool, HasAsManyThreadsAsItWasAskedFor) {
  const int threads = GetParam();
  const Watchdog watchdog("a gate for all threads");
  JobPool pool{{.concurrency = threads}};
  EXPECT_EQ(pool.concurrency(), threads);
  Gate gate(threads);
  ThreadSet seen;
  std::vector<Job<void>> jobs;
  for (int i = 0; i < threads; ++i) {
    jobs.push_back(pool.submit([&] {
      seen.seen();
      gate.arrive_and_wait();
    }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
  EXPECT_EQ(seen.count(), static_cast<std::size_t>(threads));
}

// J7
TEST_P(StealingPool, NeverRunsMoreJobsAtOnceThanItWasAskedFor) {
  const int threads = GetParam();
  JobPool pool{{.concurrency = threads}};
  std::atomic<int> running{0};
  std::atomic<int> too_many{0};
  std::vector<Job<void>> jobs;
  for (int i = 0; i < 2000; ++i) {
    jobs.push_back(pool.submit([&] {
      too_many += static_cast<int>(++running > threads);
      std::this_thread::yield();
      --running;
    }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
  EXPECT_EQ(too_many, 0);
}

// T3, F-D3: what one index writes, the next on the same thread does not see.
TEST_P(StealingPool, AWriteInOneIndexIsNotSeenByTheNext) {
  const int threads = GetParam();
  std::atomic<int> wrong{0};
  std::atomic<int> local_wrong{0};
  AllThreads all(threads);
  StealingArena arena(threads);
  const Scope scope{request, 1};
  arena->execute([&] {
    ctbb::parallel_for(
        0, 10'000,
        [&](int i) {
          all.take_part();
          wrong += static_cast<int>(request.get(0) != 1);
          local_wrong += static_cast<int>(thread_request != 0);
          request.set(i + 2);
          thread_request = i + 2;
          wrong += static_cast<int>(request.get(0) != i + 2);
        },
        ctbb::static_partitioner{});
  });
  thread_request = 0;
  EXPECT_EQ(all.count(), static_cast<std::size_t>(threads));
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(request.get(), 1) << "nor does the caller";
  EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// T3: with ranges the unit is the range.
TEST_P(StealingPool, AWriteInOneRangeIsNotSeenByTheNext) {
  const int threads = GetParam();
  std::atomic<int> wrong{0};
  std::atomic<int> ranges{0};
  StealingArena arena(threads);
  const Scope scope{request, 1};
  arena->execute([&] {
    ctbb::parallel_for(
        ctbb::blocked_range<int>(0, 1000, 10),
        [&](const ctbb::blocked_range<int>& range) {
          ++ranges;
          wrong += static_cast<int>(request.get(0) != 1);
          for (int i = range.begin(); i < range.end(); ++i) {
            request.set(i);
            wrong += static_cast<int>(request.get(0) != i);
          }
        },
        ctbb::simple_partitioner{});
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(ranges, 50);
  EXPECT_EQ(request.get(), 1);
}

// T5, F-D1, P23: a job runs in the snapshot of its submission, whoever runs it and however late.
TEST_P(StealingPool, JobSeesSubmittersValueAfterSteal) {
  const int threads = GetParam();
  const Watchdog watchdog("jobs behind a gate");
  std::atomic<int> local_wrong{0};
  AllThreads all(threads);
  JobPool pool{{.concurrency = threads}};
  Latch begin;
  std::vector<Job<int>> jobs;
  for (int id = 1; id <= 100; ++id) {
    const BothRequests both(id);
    jobs.push_back(pool.submit([&, id] {
      begin.wait();
      all.take_part();
      local_wrong += static_cast<int>(thread_request != id);
      const int seen = request.get();
      request.set(-1);
      return seen;
    }));
  }
  begin.open();
  for (int id = 1; id <= 100; ++id) {
    EXPECT_EQ(jobs[static_cast<std::size_t>(id - 1)].get(), id);
  }
  EXPECT_EQ(all.count(), static_cast<std::size_t>(threads));
  EXPECT_EQ(request.find(), nullptr);
  EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// T5: the same through oneTBB's own doors, with bind().
TEST_P(StealingPool, BoundTasksSeeTheContextOfTheirSubmission) {
  StealingArena arena(GetParam());
  std::atomic<int> wrong{0};
  std::atomic<int> local_wrong{0};
  arena->execute([&] {
    onetbb::task_group group;
    for (int id = 1; id <= 100; ++id) {
      const BothRequests both(id);
      const auto task = taskctx::bind([&, id] {
        wrong += static_cast<int>(request.get(0) != id);
        local_wrong += static_cast<int>(thread_request != id);
      });
      group.run(task);
      group.run(group.defer(task));
    }
    group.wait();
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// P23: 16 siblings at once: none sees what another writes, nor does the parent; later writes of the
// parent are invisible.
TEST_P(StealingPool, SixteenSiblingsAreIsolatedFromEachOtherAndTheirParent) {
  JobPool pool{{.concurrency = GetParam()}};
  const Scope scope{request, 100};
  std::vector<Job<bool>> jobs;
  for (int id = 0; id < 16; ++id) {
    jobs.push_back(pool.submit([id] {
      if (request.get() != 100) {
        return false;
      }
      for (int i = 0; i < 1000; ++i) {
        request.set(id * 1000 + i);
        if (request.get() != id * 1000 + i) {
          return false;
        }
      }
      return true;
    }));
  }
  request.set(200);
  for (Job<bool>& job : jobs) {
    EXPECT_TRUE(job.get());
  }
  EXPECT_EQ(request.get(), 200);
}

// V1: nothing needs to be set up before the pool: here the variable is younger than the pool's
// threads.
TEST_P(StealingPool, APoolMadeBeforeTheFirstVariablePropagatesIt) {
  JobPool pool{{.concurrency = GetParam()}};
  pool.submit([] {}).get();
  const ContextVar<std::string> young("young");
  const Scope scope{young, "value"};
  EXPECT_EQ(pool.submit([&] { return young.get(); }).get(), "value");
}

INSTANTIATE_TEST_SUITE_P(Threads, StealingPool, testing::Values(1, 2, 4, 8));

}  // namespace
