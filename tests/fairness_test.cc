// SPDX-License-Identifier: Apache-2.0
//
// Jobs and coroutines get their turn beside those that never give up: loops that keep all threads,
// jobs that post themselves for ever.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/busy_loop.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// Returns when what is queued in `pool` calls for a thread.
void wait_for_call(const taskctx::JobPool& pool) {
  const auto& calls = internal::JobPoolAccess::core(pool)->calls();
  while (calls == 0) {
    std::this_thread::yield();
  }
}

class QueuedBehindALoop : public testing::TestWithParam<std::tuple<int, Loop>> {
 protected:
  taskctx::JobPool pool_{{.concurrency = std::get<0>(GetParam())}};
  const Watchdog watchdog_{"a job that is queued while loops keep all threads"};
};

INSTANTIATE_TEST_SUITE_P(Loops, QueuedBehindALoop,
                         testing::Combine(testing::Values(2, 4, 8), testing::ValuesIn(kLoops)),
                         [](const auto& test) {
                           return std::get<1>(test.param).name +
                                  std::to_string(std::get<0>(test.param));
                         });

// J88
TEST_P(QueuedBehindALoop, AJobBeginsAtTheEndOfALeafOnceItCalls) {
  const Loop& loop = std::get<1>(GetParam());
  BusyPool busy(pool_, loop.run);
  const int before = busy.leaves().total();
  auto job = pool_.submit([&] { busy.begin(before); });
  wait_for_call(pool_);
  EXPECT_FALSE(job.ready());
  EXPECT_EQ(busy.let_one_go(), 0);
  busy.end();
  job.get();
  EXPECT_TRUE(std::string_view(loop.name).starts_with("Ranges") ||
              busy.indices().were_all_there_once());
}

struct Over {};

class Fairness : public testing::TestWithParam<int> {
 protected:
  // Keeps all threads of the pool in one loop until end_loop().
  void begin_loop() {
    loop_ = pool_.submit([this] {
      ctbb::parallel_for(std::int64_t{0}, std::int64_t{1} << 50, [this](std::int64_t) {
        if (is_over_) {
          throw Over();
        }
        if (!are_in_loop_) {
          all_.take_part();
          are_in_loop_ = true;
        }
      });
    });
    while (!are_in_loop_) {
      std::this_thread::yield();
    }
  }
  void end_loop() {
    EXPECT_FALSE(loop_.ready());
    is_over_ = true;
    EXPECT_THROW(loop_.get(), Over);
  }
  // No more of those that are submitted later begin before a job than so many.
  [[nodiscard]] static int most_overtaken() {
    const auto lists =
        static_cast<int>(std::bit_floor(static_cast<unsigned>(std::min(GetParam(), 16))));
    return GetParam() == 1 ? 0 : lists * (GetParam() + 4);
  }

  AllThreads all_{GetParam()};
  std::atomic<bool> are_in_loop_{false};
  std::atomic<bool> is_over_{false};
  taskctx::Job<void> loop_;
  taskctx::JobPool pool_{{.concurrency = GetParam()}};
  const Watchdog watchdog_{"fairness"};
};

constexpr int kCoroutines = 10'000;

// Suspended until open().
class Sleepers {
 public:
  explicit Sleepers(taskctx::JobPool& pool) {
    for (int i = 0; i < kCoroutines; ++i) {
      jobs_.push_back(pool.spawn(wait_until_open()));
    }
    while (pool.stats().waiting != kCoroutines) {
      std::this_thread::yield();
    }
  }
  Sleepers(const Sleepers&) = delete;
  Sleepers& operator=(const Sleepers&) = delete;
  ~Sleepers() { open(); }

  void open() { latch_.open(); }
  [[nodiscard]] int woken() const { return woken_; }

 private:
  taskctx::Task<void> wait_until_open() {
    co_await job_;
    ++woken_;
  }

  Latch latch_;
  std::atomic<int> woken_{0};
  std::vector<taskctx::Job<void>> jobs_;
  taskctx::JobPool elsewhere_{{.concurrency = 1}};
  taskctx::SharedJob<void> job_ = elsewhere_.submit([this] { latch_.wait(); }).shared();
};

INSTANTIATE_TEST_SUITE_P(WithOthers, Fairness, testing::Values(2, 4, 8));

// J88
TEST_P(Fairness, JobsBeginWhileALoopKeepsAllThreads) {
  begin_loop();
  for (int i = 0; i < 20; ++i) {
    pool_.submit([] {}).get();
  }
  end_loop();
}

// J88
TEST_P(Fairness, CoroutinesAreResumedWhileALoopKeepsAllThreads) {
  Sleepers sleepers(pool_);
  begin_loop();
  sleepers.open();
  while (sleepers.woken() != kCoroutines) {
    std::this_thread::yield();
  }
  end_loop();
}

// J88
TEST_P(Fairness, JobsBeginInAnArenaOfTheUsersToo) {
  const taskctx::JobPool spare{{.concurrency = 8}};  // For the threads that it brings.
  oneapi::tbb::task_arena arena(GetParam(), 0);
  taskctx::JobPool pool{arena};
  BusyPool busy(pool, &index_loop<>);
  const int before = busy.leaves().total();
  auto job = pool.submit([&] { busy.begin(before); });
  wait_for_call(pool);
  EXPECT_EQ(busy.let_one_go(), 0);
  busy.end();
  job.get();
}

class FairnessOfTurns : public Fairness {
 protected:
  // Lets `hot` begin when all coroutines are queued, and all threads are free. It counts with
  // count_turn() how often it has a turn while coroutines are queued.
  int turns_while_coroutines_wait(const std::function<void(Latch)>& hot) {
    Sleepers sleepers(pool_);
    Latch begin;
    taskctx_test::Gate gate(GetParam());
    for (int i = 1; i < GetParam(); ++i) {
      pool_.post([gate, begin]() mutable {
        gate.arrive_and_wait();
        begin.wait();
      });
    }
    hot(begin);
    while (pool_.stats().running != static_cast<std::size_t>(GetParam())) {
      std::this_thread::yield();
    }
    gate.arrive_and_wait();
    sleepers.open();
    while (pool_.stats().queued != kCoroutines) {
      std::this_thread::yield();
    }
    begin.open();
    while (sleepers.woken() != kCoroutines) {
      std::this_thread::yield();
    }
    is_over_ = true;
    pool_.drain();
    return turns_;
  }
  // Returns false when it is over.
  bool count_turn() {
    if (pool_.stats().queued != 0) {
      ++turns_;
    }
    return !is_over_;
  }
  void run_for_ever() {
    if (count_turn()) {
      pool_.post([this] { run_for_ever(); });
    }
  }
  taskctx::Task<void> yield_for_ever(Latch begin) {
    begin.wait();
    while (count_turn()) {
      co_await taskctx::yield();
    }
  }

  taskctx::Job<void> yields_;

 private:
  std::atomic<int> turns_{0};
};

INSTANTIATE_TEST_SUITE_P(Threads, FairnessOfTurns, testing::Values(1, 2, 4, 8));

// J87, J88
TEST_P(FairnessOfTurns, CoroutinesAreResumedBesideAJobThatPostsItselfForEver) {
  EXPECT_LE(turns_while_coroutines_wait([this](Latch begin) {
              pool_.post([this, begin] {
                begin.wait();
                run_for_ever();
              });
            }),
            1 + most_overtaken());
}

// J87, J88
TEST_P(FairnessOfTurns, CoroutinesAreResumedBesideOneThatYieldsForEver) {
  EXPECT_LE(turns_while_coroutines_wait(
                [this](Latch begin) { yields_ = pool_.spawn(yield_for_ever(begin)); }),
            1 + most_overtaken());
}

}  // namespace
