// SPDX-License-Identifier: Apache-2.0
//
// Waiting never hangs, as long as jobs don't wait for each other in a circle: the shapes that hang
// with oneTBB's own means of waiting, 1,000 runs each, on 1, 2, 3 and 8 threads, under a watchdog.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

constexpr int kRuns = 1000;

const ContextVar<std::string> request_id("request_id");

class Waiting : public testing::TestWithParam<int> {
 protected:
  // Calls `shape` with a fresh pool, kRuns times.
  template <typename F>
  void repeat(const std::string& name, const F& shape) {
    const Watchdog watchdog(name + " on " + std::to_string(GetParam()) + " threads",
                            std::chrono::seconds(240));
    for (int run = 0; run < kRuns; ++run) {
      JobPool pool{{.concurrency = GetParam()}};
      shape(pool);
    }
  }
};

// J6: a worker enqueues a child into its own pool and waits for it: with task_group::wait that
// hangs on one thread.
TEST_P(Waiting, AJobMayWaitForItsChildren) {
  repeat("children", [](JobPool& pool) {
    std::vector<Job<int>> parents;
    for (int i = 0; i < 8; ++i) {
      parents.push_back(pool.submit([&pool, i] {
        std::vector<Job<int>> children;
        for (int k = 0; k < 4; ++k) {
          children.push_back(pool.submit([i, k] { return 10 * i + k; }));
        }
        int sum = 0;
        for (Job<int>& child : children) {
          sum += child.get();
        }
        return sum;
      }));
    }
    for (int i = 0; i < 8; ++i) {
      ASSERT_EQ(parents[static_cast<std::size_t>(i)].get(), 40 * i + 6);
    }
  });
}

int fibonacci(JobPool& pool, int n) {
  if (n < 2) {
    return n;
  }
  Job<int> left = pool.submit([&pool, n] { return fibonacci(pool, n - 1); });
  const int right = fibonacci(pool, n - 2);
  return left.get() + right;
}

// J6: deep recursion: every level waits for the one below.
TEST_P(Waiting, JobsMayRecurse) {
  repeat("recursion", [](JobPool& pool) {
    ASSERT_EQ(pool.submit([&pool] { return fibonacci(pool, 10); }).get(), 55);
  });
}

// J6: z waits for X, X for Y, in both orders of submission of X and of what runs beside them.
// Helping with any task would run Z on top of X, which Z waits for.
TEST_P(Waiting, AChainOfJobsMayWaitForOneAnother) {
  repeat("chain", [](JobPool& pool) {
    constexpr int kLength = 12;
    Job<int> last = pool.submit([] { return 1; });
    for (int i = 0; i < kLength; ++i) {
      last = pool.submit([previous = std::move(last)]() mutable { return previous.get() + 1; });
      pool.post([] {});
    }
    ASSERT_EQ(last.get(), kLength + 1);
  });
}

// J6: the awaited job is younger than the waiting one, and queued behind many that wait, too.
TEST_P(Waiting, JobsMayWaitForYoungerOnesThatAreQueuedBehindThem) {
  repeat("younger", [](JobPool& pool) {
    struct Box {
      Job<int> job;
      Latch filled;
    };
    std::vector<std::unique_ptr<Box>> boxes;
    std::vector<Job<int>> waiting;
    for (int i = 0; i < 6; ++i) {
      boxes.push_back(std::make_unique<Box>());
    }
    for (int i = 0; i < 6; ++i) {
      waiting.push_back(pool.submit([box = boxes[static_cast<std::size_t>(i)].get()] {
        box->filled.wait();
        return box->job.get();
      }));
    }
    for (int i = 0; i < 6; ++i) {
      boxes[static_cast<std::size_t>(i)]->job = pool.submit([i] { return i; });
      boxes[static_cast<std::size_t>(i)]->filled.open();
    }
    for (int i = 0; i < 6; ++i) {
      ASSERT_EQ(waiting[static_cast<std::size_t>(i)].get(), i);
    }
  });
}

// J6: an outside thread waits while all of the pool's threads are busy: a wait that is delegated to
// the arena would run on the stack of the job that it waits for.
TEST_P(Waiting, OutsideThreadsMayWaitWhileThePoolIsFull) {
  repeat("outside", [](JobPool& pool) {
    std::vector<Job<int>> jobs;
    jobs.reserve(16);
    for (int i = 0; i < 16; ++i) {
      jobs.push_back(pool.submit([&pool, i] { return pool.submit([i] { return i; }).get(); }));
    }
    std::vector<std::thread> outside;
    outside.reserve(2);
    for (int part = 0; part < 2; ++part) {
      outside.emplace_back([&jobs, part] {
        for (auto i = static_cast<std::size_t>(part); i < jobs.size(); i += 2) {
          ASSERT_EQ(jobs[i].get(), static_cast<int>(i));
        }
      });
    }
    for (std::thread& thread : outside) {
      thread.join();
    }
  });
}

// J6: leaves of a loop wait for jobs that nobody has begun: they must be able to run them.
TEST_P(Waiting, LeavesMayWaitForJobs) {
  repeat("leaves", [](JobPool& pool) {
    const int sum = pool.submit([&pool] {
                          std::atomic<int> total{0};
                          ctbb::parallel_for(
                              0, 16, [&](int i) { total += pool.submit([i] { return i; }).get(); },
                              ctbb::simple_partitioner{});
                          return total.load();
                        })
                        .get();
    ASSERT_EQ(sum, 120);
  });
}

// J6: a bound callable that a job calls is at work in the pool as well.
TEST_P(Waiting, BoundCallablesInJobsMayWait) {
  repeat("bound", [](JobPool& pool) {
    const auto bound = taskctx::bind([&pool] { return pool.submit([] { return 7; }).get(); });
    ASSERT_EQ(pool.submit([&] { return bound(); }).get(), 7);
    taskctx::Context context;
    ASSERT_EQ(pool.submit([&] { return context.run(bound); }).get(), 7);
  });
}

// J6: the buried leaf: Y's leaves wait for X while X waits for its own loop. If X's wait ran one of
// them, on top of X, it would wait for itself.
TEST_P(Waiting, ALeafIsNeverBuriedUnderTheJobThatItWaitsFor) {
  repeat("buried leaf", [](JobPool& pool) {
    std::atomic<int> leaves{0};
    std::atomic<bool> has_thief{false};
    Latch x_is_stolen;
    Latch y_has_leaves;
    const bool is_parallel = GetParam() >= 3;
    Job<int> x = pool.submit([&] {
      const std::thread::id home = std::this_thread::get_id();
      ctbb::parallel_for(
          0, 8,
          [&](int) {
            if (!is_parallel) {
              return;
            }
            // One thief keeps X waiting until Y's leaves are there to be stolen, and a while
            // longer: X's thread, idle by then, looks for work all the time.
            if (std::this_thread::get_id() == home) {
              x_is_stolen.wait();
            } else if (!has_thief.exchange(true)) {
              x_is_stolen.open();
              y_has_leaves.wait();
              for (int i = 0; i < 500; ++i) {
                std::this_thread::yield();
              }
            }
          },
          ctbb::simple_partitioner{});
      return 1;
    });
    if (is_parallel) {
      x_is_stolen.wait();
    }
    Job<void> y = pool.submit([&] {
      ctbb::parallel_for(
          0, 8,
          [&](int) {
            y_has_leaves.open();
            x.wait();
            ++leaves;
          },
          ctbb::simple_partitioner{});
    });
    y.get();
    ASSERT_EQ(x.get(), 1);
    ASSERT_EQ(leaves, 8);
  });
}

// J6, F-D11: a job that is run by a waiting one has its own context, and the waiting one has its
// own afterwards.
TEST_P(Waiting, AJobThatIsRunInsideAnotherHasItsOwnContext) {
  repeat("context", [](JobPool& pool) {
    Job<std::string> inner;
    {
      const Scope scope{request_id, "inner"};
      inner = pool.submit([] {
        const std::string seen = request_id.get();
        request_id.set("changed");
        return seen;
      });
    }
    const Scope scope{request_id, "outer"};
    const std::string seen = pool.submit([&] {
                                   const std::string before = inner.get();
                                   return before + " " + request_id.get();
                                 })
                                 .get();
    ASSERT_EQ(seen, "inner outer");
  });
}

// J6: a continuation, and what it waits for, and so on: the waiting job runs them all if nobody
// else does.
TEST_P(Waiting, JobsMayWaitForContinuations) {
  repeat("continuations", [](JobPool& pool) {
    const int result =
        pool.submit([&pool] {
              return pool.submit([] { return 1; })
                  .then([&pool](int i) { return i + pool.submit([] { return 1; }).get(); })
                  .then([](int i) { return i + 1; })
                  .get();
            })
            .get();
    ASSERT_EQ(result, 3);
  });
}

// J6: all of several, and the first of several, in jobs of a full pool.
TEST_P(Waiting, JobsMayWaitForSeveralAtOnce) {
  repeat("several", [](JobPool& pool) {
    std::vector<Job<int>> parents;
    for (int i = 0; i < 8; ++i) {
      parents.push_back(pool.submit([&pool] {
        std::vector<Job<int>> children;
        std::vector<Job<int>> others;
        for (int k = 0; k < 3; ++k) {
          children.push_back(pool.submit([k] { return k; }).then([](int n) { return n; }));
          others.push_back(pool.submit([k] { return k; }).then([](int n) { return n; }));
        }
        int sum = 0;
        for (const int child : taskctx::when_all(std::move(children)).get()) {
          sum += child;
        }
        auto first = taskctx::when_any(std::move(others)).get();
        return sum + static_cast<int>(first.jobs.size());
      }));
    }
    for (Job<int>& parent : parents) {
      ASSERT_EQ(parent.get(), 6);
    }
  });
}

// J6: what is not yet due is nobody's to run, and the only thread waits for it.
TEST_P(Waiting, JobsMayWaitForWhatIsToRunLater) {
  repeat("later", [](JobPool& pool) {
    const int result = pool.submit([&pool] {
                             return pool.submit_after(absl::Microseconds(50), [] { return 1; })
                                 .then([](int i) { return i + 1; })
                                 .get();
                           })
                           .get();
    ASSERT_EQ(result, 2);
  });
}

// J6: bulks in bulks, each waited for by an element of the outer one.
TEST_P(Waiting, ElementsOfABulkMayWaitForBulks) {
  repeat("bulks", [](JobPool& pool) {
    std::atomic<int> sum{0};
    pool.submit_bulk(std::vector<int>(10, 1),
                     [&](int one) {
                       pool.submit_bulk(std::vector<int>(10, one), [&](int i) { sum += i; }).get();
                     })
        .get();
    ASSERT_EQ(sum, 100);
  });
}

// J6, J16: in a pool whose queue is always full.
TEST_P(Waiting, JobsOfAFullPoolMayWait) {
  const Watchdog watchdog("full pool");
  for (int run = 0; run < kRuns; ++run) {
    const auto when = static_cast<taskctx::WhenFull>(run % 2 == 0 ? 0 : 2);  // Not reject.
    JobPool pool{{.concurrency = GetParam(), .queue_capacity = 1, .when_full = when}};
    ASSERT_EQ(pool.submit([&pool] { return fibonacci(pool, 6); }).get(), 8);
  }
}

// J6, J9: waiting for a time runs what nobody has begun, too: else it would be in vain for ever.
TEST_P(Waiting, WaitingForATimeHelpsAsWell) {
  repeat("for a time", [](JobPool& pool) {
    ASSERT_TRUE(pool.submit([&pool] {
                      Job<int> child = pool.submit([] { return 1; }).then([](int i) { return i; });
                      while (!child.wait_for(absl::Microseconds(10))) {
                      }
                      return child.ready();
                    })
                    .get());
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, Waiting, testing::Values(1, 2, 3, 8));

}  // namespace
