// SPDX-License-Identifier: Apache-2.0
//
// The error of a circle of waits: it names each job of the circle, and where it was submitted.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"
#include "taskctx/when_all.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using Shared = SharedJob<int>;

constexpr int kMany = kAddressSanitizer || kThreadSanitizer ? 1'000 : 10'000;

std::string described(const Shared& job) {
  return "job " + std::to_string(job.id()) + " '" + std::string(job.name()) + "' (submitted at " +
         job.place().file + ":" + std::to_string(job.place().line) + ")";
}

// The jobs j0, j1, ... Each waits for the next one, the last one for the first; job i is in pool i
// modulo 2.
class Ring {
 public:
  Ring(int size, int threads)
      : pools_{JobPool{{.concurrency = threads}}, JobPool{{.concurrency = threads}}},
        jobs_(static_cast<std::size_t>(size)),
        order_(jobs_.size()) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  // Makes the jobs begin in another order.
  void shuffle(unsigned seed) {
    SCOPED_TRACE(seed);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(seed));
  }

  // Makes job i one that waits for the next one by `wait`, on its thread.
  void add_blocking(int i, const std::function<void(const Shared&)>& wait) {
    const JobOptions options{.name = name(i)};
    add_line(i, __LINE__ - 1);
    at(i) = pools_[i % 2]
                .submit(options,
                        [this, i, wait] {
                          (void)start_.get();
                          hear(i, [&] { wait(at(i + 1)); });
                          return i;
                        })
                .shared();
  }
  // Makes it a coroutine that awaits the next one.
  void add_coroutine(int i) {
    const JobOptions options{.name = name(i)};
    add_line(i, __LINE__ - 1);
    at(i) = pools_[i % 2]
                .spawn(options,
                       [this, i]() -> Task<int> {
                         co_await start_;
                         std::string error;
                         try {
                           co_await at(i + 1);
                         } catch (const JobError& thrown) {
                           error = thrown.what();
                         }
                         hear(i, error);
                         co_return i;
                       })
                .shared();
  }
  template <typename Add>
  void add_all(Add add) {
    for (const int i : order_) {
      add(i);
    }
  }

  // Lets all begin, and waits for them. Tests that one of them has heard of the circle. Returns its
  // message; with `exactly`, tests that it names all others in their order, and nothing else.
  std::string run(bool exactly = true) {
    const Watchdog watchdog("ring");
    go_.open();
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      EXPECT_EQ(jobs_[i].get(), static_cast<int>(i));
      EXPECT_EQ(jobs_[i].place().line, lines_.at(i));
      EXPECT_STREQ(jobs_[i].place().file, __FILE__);
    }
    EXPECT_EQ(errors_, 1);
    if (exactly) {
      EXPECT_EQ(message_, expected());
    } else {
      for (const Shared& job : jobs_) {
        EXPECT_NE(message_.find(described(job)), std::string::npos) << message_;
      }
    }
    return message_;
  }

 private:
  static std::string name(int i) { return "j" + std::to_string(i); }
  Shared& at(int i) { return jobs_[static_cast<std::size_t>(i) % jobs_.size()]; }
  void add_line(int i, unsigned line) {
    lines_.resize(jobs_.size());
    lines_[static_cast<std::size_t>(i)] = line;
  }

  template <typename F>
  void hear(int i, F wait)
    requires std::invocable<F>
  {
    std::string error;
    try {
      wait();
    } catch (const JobError& thrown) {
      error = thrown.what();
    }
    hear(i, error);
  }
  void hear(int i, const std::string& error) {
    if (!error.empty()) {
      ++errors_;
      closer_ = i;
      message_ = error;
    }
  }

  std::string expected() {
    const int size = static_cast<int>(jobs_.size());
    std::string text = "cannot wait for job '" + std::string(at(closer_ + 1).name()) +
                       "': it would wait for itself: " + described(at(closer_ + 1));
    for (int i = 2; i <= size; ++i) {
      text += (i == 2 ? " waits for " : ", which waits for ") + described(at(closer_ + i));
    }
    return text + ", which waits for it";
  }

  Latch go_;
  JobPool first_{{.concurrency = 1}};
  SharedJob<int> start_ = first_
                              .submit([this] {
                                go_.wait();
                                return 0;
                              })
                              .shared();
  JobPool pools_[2];
  std::vector<Shared> jobs_;
  std::vector<int> order_;
  std::vector<unsigned> lines_;
  std::atomic<int> errors_ = 0;
  int closer_ = 0;
  std::string message_;
};

class CircleNames : public testing::TestWithParam<int> {};

void get(const Shared& next) { (void)next.get(); }

// J77: each on a thread of its own, or on the stack of one that waits for it.
TEST_P(CircleNames, OfJobsThatBlock) {
  for (const int size : {2, 3, 4}) {
    Ring ring(size, GetParam() + 2);
    ring.add_all([&](int i) { ring.add_blocking(i, get); });
    ring.run();
  }
}

// J77
TEST_P(CircleNames, OfCoroutines) {
  for (const int size : {2, 3, 100, kMany}) {
    Ring ring(size, GetParam());
    ring.add_all([&](int i) { ring.add_coroutine(i); });
    ring.run();
  }
}

// J77: whatever the order in which they come to wait.
TEST_P(CircleNames, OfCoroutinesInAnyOrder) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  for (const int size : {5, 100, kMany}) {
    Ring ring(size, GetParam());
    ring.shuffle(seed);
    ring.add_all([&](int i) { ring.add_coroutine(i); });
    ring.run();
  }
}

// J77
TEST_P(CircleNames, OfOneThatBlocksAndManyCoroutines) {
  for (const int size : {2, 3, 100, 500}) {
    Ring ring(size, GetParam());
    ring.add_all([&](int i) { i == 0 ? ring.add_blocking(i, get) : ring.add_coroutine(i); });
    ring.run();
  }
}

// J77: other jobs are between the named ones.
TEST_P(CircleNames, ByWayOfContinuationsLeavesAndTasks) {
  const std::vector<std::function<void(const Shared&)>> links{
      get,
      [](const Shared& next) { next.then([](int i) { return i; }).get(); },
      [](const Shared& next) {
        std::vector<Job<int>> jobs;
        jobs.push_back(default_pool().submit([] { return 1; }));
        jobs.push_back(next.then([](int i) { return i; }));
        jobs.push_back(next.then([](int i) { return i; }));
        (void)when_all(std::move(jobs)).get();
      },
      [](const Shared& next) { (void)gather(next.then([](int i) { return i; })); },
      [](const Shared& next) { taskctx::tbb::parallel_for(0, 1, [&](int) { next.wait(); }); },
      [](const Shared& next) {
        (void)sync_wait([](Shared job) -> Task<int> { co_return co_await job; }(next));
      },
  };
  for (const auto& link : links) {
    for (const int size : {2, 3}) {
      Ring ring(size, GetParam() + 2);
      ring.add_all([&](int i) { i == 0 ? ring.add_blocking(i, link) : ring.add_blocking(i, get); });
      ring.run(/*exactly=*/false);
    }
    Ring ring(100, GetParam());
    ring.add_all([&](int i) { i == 0 ? ring.add_blocking(i, link) : ring.add_coroutine(i); });
    ring.run(/*exactly=*/false);
  }
}

// J77: a job below others on the stack of a thread that waits.
TEST(CircleNamesOfOneThread, OfJobsThatAreRunByTheirWaiters) {
  const Watchdog watchdog("nested");
  JobPool pool{{.concurrency = 1}};
  constexpr int kDepth = 30;
  std::vector<Shared> jobs(kDepth);
  Latch go;
  std::string message;
  std::function<int(std::size_t)> wait_for_next = [&](std::size_t i) {
    if (i + 1 == jobs.size()) {
      try {
        jobs[0].wait();
      } catch (const JobError& error) {
        message = error.what();
      }
      return 1;
    }
    jobs[i + 1] = pool.submit({.name = "j"}, wait_for_next, i + 1).shared();
    return jobs[i + 1].get();
  };
  jobs[0] = pool.submit({.name = "j"}, [&] { return go.wait(), wait_for_next(0); }).shared();
  go.open();
  EXPECT_EQ(jobs[0].get(), 1);
  std::string expected = "cannot wait for job 'j': it would wait for itself: " + described(jobs[0]);
  for (std::size_t i = 1; i < jobs.size(); ++i) {
    expected += (i == 1 ? " waits for " : ", which waits for ") + described(jobs[i]);
  }
  EXPECT_EQ(message, expected + ", which waits for it");
}

// J77: a coroutine that has heard of a circle goes on, and may wait for others.
TEST_P(CircleNames, ACoroutineThatHasHeardOfItGoesOn) {
  const Watchdog watchdog("goes on");
  JobPool pool{{.concurrency = GetParam()}};
  Shared jobs[2];
  Latch go;
  std::atomic<int> errors = 0;
  Shared start = default_pool().submit([&] { return go.wait(), 1; }).shared();
  const auto coroutine = [&](int i) -> Task<int> {
    co_await start;
    bool has_heard = false;
    try {
      co_await jobs[1 - i];
    } catch (const JobError&) {
      has_heard = true;
      ++errors;
    }
    for (int turn = 0; has_heard && turn < 3; ++turn) {
      co_await yield();
      co_await start;
      co_await default_pool().submit([] {});
    }
    co_return i;
  };
  jobs[0] = pool.spawn(coroutine(0)).shared();
  jobs[1] = pool.spawn(coroutine(1)).shared();
  go.open();
  EXPECT_EQ(jobs[0].get(), 0);
  EXPECT_EQ(jobs[1].get(), 1);
  EXPECT_EQ(errors, 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, CircleNames, testing::Values(1, 2, 4, 8));

// J77: without a name, and of one job.
TEST(CircleNamesOfOne, SaysWhatIsKnown) {
  const Watchdog watchdog("one");
  JobPool pool{{.concurrency = 1}};
  Latch go;
  Shared self;
  std::string message;
  const auto wait_for_itself = [&](int i) {
    go.wait();
    try {
      (void)self.get();
    } catch (const JobError& error) {
      message = error.what();
    }
    return i;
  };
  self = pool.submit(wait_for_itself, 1).shared();
  go.open();
  EXPECT_EQ(self.get(), 1);
  EXPECT_EQ(message, "cannot wait for job: it would wait for itself: job " +
                         std::to_string(self.id()) + " without a name waits for it");
}

}  // namespace
