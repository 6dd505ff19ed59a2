// SPDX-License-Identifier: Apache-2.0
//
// Jobs whose time has come, while other jobs keep all threads of the pool busy: they begin at the
// next step that any thread may take. Measured in steps: each leaf waits until the test lets it go
// on, so nothing depends on time.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <ostream>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/fuse.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

namespace ctbb = taskctx::tbb;
using taskctx_test::Latch;
using taskctx_test::Watchdog;

constinit taskctx::ContextVar<int> request{"request"};

// Holds threads in their leaves, and lets them go one by one.
class Leaves {
 public:
  // Called in each leaf: waits until this thread may go on.
  void step(int index) {
    std::unique_lock lock(mutex_);
    const auto me = std::this_thread::get_id();
    begun_[me] = index;
    ++total_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_ || permits_[me] > 0; });
    if (!is_open_) {
      --permits_[me];
      after_step_();
    }
  }
  // Has `function` be called at the end of each leaf that was let go.
  void after_step(std::function<void()> function) {
    const std::lock_guard lock(mutex_);
    after_step_ = std::move(function);
  }
  void wait_for(std::size_t threads) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_.size() >= threads; });
  }
  // Has `thread` end its leaf. Returns when another one has begun, or `happened()`.
  template <typename Happened>
  void let_go(std::thread::id thread, Happened happened) {
    std::unique_lock lock(mutex_);
    const int before = total_;
    ++permits_[thread];
    changed_.notify_all();
    changed_.wait(lock, [&] { return total_ != before || happened(); });
  }
  void tell() {
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
  }
  void open() {
    {
      const std::lock_guard lock(mutex_);
      is_open_ = true;
    }
    changed_.notify_all();
  }
  int total() {
    const std::lock_guard lock(mutex_);
    return total_;
  }
  std::vector<std::thread::id> threads() {
    const std::lock_guard lock(mutex_);
    std::vector<std::thread::id> threads;
    for (const auto& [thread, index] : begun_) {
      threads.push_back(thread);
    }
    return threads;
  }
  int index_of(std::thread::id thread) {
    const std::lock_guard lock(mutex_);
    return begun_.at(thread);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::thread::id, int> begun_;  // The index of each one's newest leaf.
  std::map<std::thread::id, int> permits_;
  int total_ = 0;
  bool is_open_ = false;
  std::function<void()> after_step_ = [] {};
};

// Returns when the timer has done all that was due before.
void let_timer_fire() {
  taskctx::JobPool other{{.concurrency = 1}};
  other.submit_after(absl::ZeroDuration(), [] {}).get();
}

constexpr int kIndices = 400;

// Counts how often each index was there.
class Indices {
 public:
  void add(int i) { ++counts_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] bool were_all_there_once() const {
    return std::all_of(counts_.begin(), counts_.end(),
                       [](const auto& count) { return count == 1; });
  }
  [[nodiscard]] bool was_there(int i) const { return counts_[static_cast<std::size_t>(i)] != 0; }

 private:
  std::vector<std::atomic<int>> counts_ = std::vector<std::atomic<int>>(kIndices);
};

using Leaf = std::function<void(int)>;
using Range = ctbb::blocked_range<int>;
struct Loop {
  const char* name;
  void (*run)(const Leaf& leaf);  // Calls it with the first index of each leaf.
};
void PrintTo(const Loop& loop, std::ostream* out) { *out << loop.name; }

// All loops whose threads can go after one leaf.
template <typename... Options>
void index_loop(const Leaf& leaf) {
  ctbb::parallel_for(0, kIndices, leaf, Options()...);
}
void affinity_loop(const Leaf& leaf) {
  ctbb::affinity_partitioner partitioner;
  ctbb::parallel_for(0, kIndices, leaf, partitioner);
}
void context_loop(const Leaf& leaf) {
  ctbb::task_group_context context;
  ctbb::parallel_for(0, kIndices, 1, leaf, ctbb::auto_partitioner(), context);
}
void item_loop(const Leaf& leaf) {
  std::vector<int> items(kIndices);
  std::iota(items.begin(), items.end(), 0);
  ctbb::parallel_for_each(items, [&](int item) { leaf(item); });
}
template <typename Partitioner>
void range_loop(const Leaf& leaf) {
  ctbb::parallel_for(
      Range(0, kIndices), [&](const Range& range) { leaf(range.begin()); }, Partitioner());
}
constexpr Loop kLoops[] = {
    {"Indices", &index_loop<>},
    {"IndicesAuto", &index_loop<ctbb::auto_partitioner>},
    {"IndicesSimple", &index_loop<ctbb::simple_partitioner>},
    {"IndicesStatic", &index_loop<ctbb::static_partitioner>},
    {"IndicesAffinity", &affinity_loop},
    {"IndicesContext", &context_loop},
    {"Items", &item_loop},
    {"RangesAuto", &range_loop<ctbb::auto_partitioner>},
    {"RangesSimple", &range_loop<ctbb::simple_partitioner>},
};

// A loop of a job that keeps all threads of a pool in their leaves, and a timed job.
class BusyPool {
 public:
  // `in_leaf(i)` is called first in each leaf.
  BusyPool(
      taskctx::JobPool& pool, void (*loop)(const Leaf&), Leaf in_leaf = [](int) {})
      : pool_(pool),
        job_(pool.submit([this, loop, in_leaf = std::move(in_leaf)] {
                   owner_ = std::this_thread::get_id();
                   loop([&](int i) {
                     indices_.add(i);
                     in_leaf(i);
                     leaves_.step(i);
                   });
                 })
                 .shared()) {
    leaves_.wait_for(static_cast<std::size_t>(pool.concurrency()));
  }

  // Lets `timed` be due, and one of the threads that work for the job's go on. Returns how many
  // leaves began then, before the timed job.
  template <typename F>
  int leaves_before(F timed) {
    const int before = leaves_.total();
    timed_ = pool_.submit_after(absl::ZeroDuration(), [this, before, timed = std::move(timed)] {
      begin(before);
      timed();
    });
    has_timed_ = true;
    let_timer_fire();
    return let_one_go();
  }
  int let_one_go() {
    for (const std::thread::id thread : leaves_.threads()) {
      if (thread != owner_) {
        index_ = leaves_.index_of(thread);
        leaves_.let_go(thread, [&] { return has_begun_.load(); });
        break;
      }
    }
    return has_begun_ ? begun_ : -1;
  }
  // To be called in the timed job.
  void begin(int before) {
    begun_ = leaves_.total() - before;
    has_begun_ = true;
    leaves_.tell();
  }
  void end() {
    leaves_.open();
    if (has_timed_) {
      timed_.get();
    }
    job_.get();
  }

  taskctx::SharedJob<void>& job() { return job_; }
  Leaves& leaves() { return leaves_; }
  Indices& indices() { return indices_; }
  // The index in which the thread was that was let go.
  [[nodiscard]] int index() const { return index_; }

 private:
  taskctx::JobPool& pool_;
  Leaves leaves_;
  Indices indices_;
  std::thread::id owner_;
  std::atomic<bool> has_begun_{false};
  int begun_ = -1;
  std::atomic<int> index_{-1};
  taskctx::SharedJob<void> job_;
  bool has_timed_ = false;
  taskctx::Job<void> timed_;
};

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

class BusyPools : public testing::TestWithParam<int> {
 protected:
  taskctx::JobPool pool_{{.concurrency = GetParam()}};
  const Watchdog watchdog_{"a test of due jobs"};
};

INSTANTIATE_TEST_SUITE_P(Threads, BusyPools, testing::Values(2, 4, 8));

// J67
TEST_P(BusyPools, LeaveALoopItsCancellation) {
  ctbb::task_group_context context;
  Leaves leaves;
  Indices indices;
  std::thread::id owner;
  auto job = pool_.submit([&] {
    owner = std::this_thread::get_id();
    ctbb::parallel_for(
        0, kIndices,
        [&](int i) {
          indices.add(i);
          leaves.step(i);
        },
        context);
  });
  leaves.wait_for(static_cast<std::size_t>(GetParam()));
  std::atomic<bool> has_begun{false};
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] {
    context.cancel_group_execution();
    has_begun = true;
    leaves.tell();
  });
  let_timer_fire();
  int left = kIndices;  // What the thread that is let go would have begun next, mostly.
  bool is_known = false;
  for (const std::thread::id thread : leaves.threads()) {
    if (thread != owner) {
      left = leaves.index_of(thread) + 1;
      is_known = left < kIndices && !indices.was_there(left);
      leaves.let_go(thread, [&] { return has_begun.load(); });
      break;
    }
  }
  leaves.open();
  timed.get();
  job.get();
  EXPECT_TRUE(context.is_group_execution_cancelled());
  EXPECT_FALSE(is_known && indices.was_there(left));
}

taskctx::Task<void> sleep_a_little_for(absl::Duration time, std::atomic<int>& woken) {
  co_await taskctx::sleep_for(time);
  ++woken;
}
taskctx::Task<void> sleep_a_little(std::function<void()> then) {
  co_await taskctx::sleep_for(absl::Milliseconds(20));
  then();
}

// J66
TEST_P(BusyPools, BeginWhatHasSleptAsWell) {
  for (int before = -1; before != 0;) {
    std::atomic<BusyPool*> place{nullptr};
    std::atomic<int> leaves{-1};
    auto sleeper = pool_.spawn(sleep_a_little([&] {
      if (BusyPool* const busy = place) {
        busy->begin(leaves);
      }
    }));
    while (pool_.stats().waiting == 0 && !sleeper.ready()) {
      std::this_thread::yield();
    }
    BusyPool busy(pool_, &index_loop<>);
    leaves = busy.leaves().total();
    place = &busy;
    const bool is_asleep = pool_.stats().waiting != 0;
    while (pool_.stats().waiting != 0) {
      std::this_thread::yield();
    }
    let_timer_fire();
    if (is_asleep) {  // Or else this machine was slow, and it was awake before the loop.
      before = busy.let_one_go();
      EXPECT_EQ(before, 0);
      before = 0;
    }
    place = nullptr;
    busy.leaves().open();
    sleeper.get();
    busy.end();
  }
}

// J66
TEST_P(BusyPools, TakeNoElementOfABulkBeforeWhatIsDue) {
  Leaves leaves;
  Indices indices;
  auto bulk = pool_.submit_bulk(std::views::iota(0, kIndices), [&](int i) {
    indices.add(i);
    leaves.step(i);
    return i;
  });
  leaves.wait_for(static_cast<std::size_t>(GetParam()));
  std::atomic<int> begun{-1};
  const int before = leaves.total();
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] {
    begun = leaves.total() - before;
    leaves.tell();
  });
  let_timer_fire();
  leaves.let_go(leaves.threads().front(), [&] { return begun != -1; });
  EXPECT_EQ(begun, 0);
  leaves.open();
  std::vector<int> expected(kIndices);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(bulk.get(), expected);
  EXPECT_TRUE(indices.were_all_there_once());
  timed.get();
}

// J68
TEST_P(BusyPools, LetWhatIsDueWaitForABulkThatGaveItsThreadUp) {
  for (int round = 0; round < 20; ++round) {
    Leaves leaves;
    auto bulk =
        pool_.submit_bulk(std::views::iota(0, kIndices), [&](int i) { leaves.step(i); }).shared();
    auto waiter = pool_.submit([bulk] { bulk.get(); }).shared();
    leaves.wait_for(1);
    auto timed = pool_.submit_after(absl::ZeroDuration(), [waiter] { waiter.get(); });
    let_timer_fire();
    leaves.open();
    timed.get();
  }
}

// J66
TEST_P(BusyPools, BeginWhatIsDueBeforeWhatIsQueued) {
  std::vector<taskctx_test::Latch> latches(static_cast<std::size_t>(GetParam()));
  std::atomic<int> running{0};
  std::vector<taskctx::Job<void>> jobs;
  for (Latch& latch : latches) {
    jobs.push_back(pool_.submit([&] {
      ++running;
      latch.wait();
    }));
  }
  while (running != GetParam()) {
    std::this_thread::yield();
  }
  std::atomic<int> begun{0};
  std::atomic<int> place{-1};
  for (int i = 0; i < 100; ++i) {
    jobs.push_back(pool_.submit([&] { ++begun; }));
  }
  auto timed = pool_.submit_after(absl::ZeroDuration(), [&] { place = begun.load(); });
  auto cancelled = pool_.submit_after(absl::ZeroDuration(), [&] { ADD_FAILURE(); });
  let_timer_fire();
  EXPECT_EQ(pool_.stats().queued, 102U);
  EXPECT_TRUE(cancelled.cancel());
  EXPECT_EQ(pool_.stats().queued, 101U);
  latches[0].open();
  timed.get();
  EXPECT_EQ(place, 0);
  for (Latch& latch : latches) {
    latch.open();
  }
  for (auto& job : jobs) {
    job.get();
  }
}

// J66
TEST_P(BusyPools, OverAnArenaOfTheUsersAreTheSame) {
  const taskctx::JobPool spare{{.concurrency = 8}};  // For the threads that it brings.
  oneapi::tbb::task_arena arena(GetParam(), 0);
  taskctx::JobPool pool{arena};
  BusyPool busy(pool, &index_loop<>);
  EXPECT_EQ(busy.leaves_before([] {}), 0);
  busy.end();
}

// J67
TEST_P(BusyPools, RunOutOfMemoryAndTheirLoopsGoOn) {
  BusyPool busy(pool_, &index_loop<>, [](int) { taskctx_test::allocations.disarm(); });
  busy.leaves().after_step([] { taskctx_test::allocations.arm(0); });
  EXPECT_EQ(busy.leaves_before([] {}), -1);  // The next leaf was first.
  busy.leaves().after_step([] {});
  busy.end();
  EXPECT_TRUE(busy.indices().were_all_there_once());
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

// J68
TEST_P(BusyPools, DoEverythingOnceWhateverIsDueMeanwhile) {
  constexpr int kRounds = 20;
  constexpr int kTimers = 20;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> timers{0};
    std::atomic<int> indices{0};
    std::vector<taskctx::Job<void>> timed;
    auto loop = pool_
                    .submit([&] {
                      ctbb::parallel_for(0, kIndices, [&](int) {
                        ctbb::parallel_for(0, 10, [&](int) { ++indices; });
                      });
                    })
                    .shared();
    auto bulk = pool_.submit_bulk(std::views::iota(0, kIndices), [&](int) { ++indices; }).shared();
    for (int i = 0; i < kTimers; ++i) {
      timed.push_back(pool_.submit_after(absl::Microseconds(20 * i), [&, i] {
        ++timers;
        if (i % 8 == 1) {
          loop.get();
        } else if (i % 8 == 2) {
          bulk.get();
        } else {
          ctbb::parallel_for(0, 10, [&](int) { ++indices; });
        }
      }));
      timed.push_back(pool_.spawn(sleep_a_little_for(absl::Microseconds(20 * i), timers)));
    }
    for (auto& job : timed) {
      job.get();
    }
    loop.get();
    bulk.get();
    EXPECT_EQ(timers, 2 * kTimers);
    EXPECT_EQ(indices, 11 * kIndices + 10 * 14);
  }
  EXPECT_EQ(pool_.stats().queued, 0U);
}

}  // namespace
