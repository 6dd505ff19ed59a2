// SPDX-License-Identifier: Apache-2.0
//
// Random trees of scopes and jobs, which are cancelled by random threads while jobs run, end,
// suspend and spawn others.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/task_group.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelCallback;
using taskctx::CancelScope;
using taskctx::JobPool;

namespace ctbb = taskctx::tbb;

// The scopes that are open, for those who cancel at random.
class Tree {
 public:
  explicit Tree(std::uint64_t seed, int threads) : pool_({.concurrency = threads}), seed_(seed) {}

  // Begins one job at the top, with two threads that cancel, and waits for everything.
  void run() {
    std::atomic<bool> is_over{false};
    std::vector<std::thread> cancellers;
    for (std::uint64_t i = 0; i < 2; ++i) {
      cancellers.emplace_back([this, i, &is_over] {
        std::minstd_rand random(static_cast<unsigned>(seed_ + i));
        while (!is_over) {
          cancel_one(static_cast<unsigned>(random()));
          std::this_thread::yield();
        }
      });
    }
    for (unsigned i = 0; i < 20; ++i) {
      pool_.post([this, i] { grow(static_cast<unsigned>(seed_) + i, 4); });
    }
    pool_.drain();
    is_over = true;
    for (std::thread& thread : cancellers) {
      thread.join();
    }
    EXPECT_EQ(open_callbacks_, 0);
    EXPECT_EQ(Tracked::alive(), 0);
    EXPECT_EQ(wrong_, 0);
  }

 private:
  struct Entry {
    CancelScope* scope;
    std::string reason;
    std::atomic<bool> is_cancelled{false};
  };

  void cancel_one(unsigned random) {
    const std::lock_guard lock(mutex_);  // So that the scope stays; it is not the library's.
    if (!entries_.empty()) {
      Entry& entry = *entries_[random % entries_.size()];
      if (entry.scope->cancel(entry.reason)) {
        wrong_ += static_cast<int>(!entry.scope->is_cancelled());
        entry.is_cancelled = true;
      }
    }
  }

  // Opens a scope, and does some of what can be done below it; each part again grows.
  void grow(unsigned random, int depth) {
    if (depth == 0 || ++grown_ > 20'000) {
      return;
    }
    std::minstd_rand next(random);
    taskctx::CancelScopeOptions options;
    if (next() % 4 == 0) {
      options.timeout = absl::Microseconds(next() % 300);
    }
    CancelScope scope(options);
    auto entry = std::make_shared<Entry>();
    entry->scope = &scope;
    entry->reason = "scope " + std::to_string(++numbers_);
    {
      const std::lock_guard lock(mutex_);
      entries_.push_back(entry);
    }
    std::atomic<int> calls{0};
    ++open_callbacks_;
    {
      const CancelCallback count{[&calls] { ++calls; }};
      use(next, depth);
    }
    --open_callbacks_;
    const bool was_cancelled = scope.is_cancelled();
    wrong_ += static_cast<int>(calls > 1);
    if (calls == 1) {  // It may have been cancelled since, without a callback being there.
      wrong_ += static_cast<int>(!was_cancelled);
    }
    if (entry->is_cancelled) {
      wrong_ += static_cast<int>(taskctx::cancel_reason().message() != entry->reason &&
                                 options.timeout.nanoseconds() ==
                                     taskctx::Timeout::never().nanoseconds());
    }
    const std::lock_guard lock(mutex_);
    std::erase(entries_, entry);
  }

  void use(std::minstd_rand& next, int depth) {
    const unsigned random = static_cast<unsigned>(next());
    try {
      switch (random % 6) {
        case 0: {  // A job that is waited for, and one that is not.
          auto job = pool_.submit(
              [this, random, depth, held = Tracked(1)] { grow(random / 7, depth - 1); });
          pool_.post([this, random, depth] { grow(random / 11, depth - 1); });
          job.get();
          break;
        }
        case 1:
          ctbb::parallel_for(0, 8, [&](int i) {
            if (i % 4 == 0) {
              grow(random / 5 + static_cast<unsigned>(i), depth - 1);
            }
          });
          break;
        case 2: {
          ctbb::task_group group;
          for (unsigned i = 0; i < 3; ++i) {
            group.run(
                [this, i, random, depth, held = Tracked(1)] { grow(random / 3 + i, depth - 1); });
          }
          group.wait();
          break;
        }
        case 3: {
          auto job = pool_.spawn([this, random, depth]() -> taskctx::Task<> {
            const Tracked held(1);
            for (int i = 0; i < 3; ++i) {
              co_await taskctx::sleep_for(absl::Microseconds(random % 100));
              co_await taskctx::yield();
              grow(random / 13, depth - 1);
            }
          });
          job.get();
          break;
        }
        case 4: {
          const taskctx::Shield shield;
          grow(random / 17, depth - 1);
          break;
        }
        default: {
          auto later = pool_.submit_after(absl::Microseconds(random % 200), [held = Tracked(1)] {});
          if (random % 2 == 0) {
            later.cancel();
          }
          later.get();
          break;
        }
      }
    } catch (const taskctx::Cancelled&) {
    }
  }

  JobPool pool_;
  const std::uint64_t seed_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Entry>> entries_;
  std::atomic<int> grown_{0};
  std::atomic<int> numbers_{0};
  std::atomic<int> open_callbacks_{0};
  std::atomic<int> wrong_{0};
};

class CancelTree : public testing::TestWithParam<int> {};

// F-H1, F-H3, F-H5
TEST_P(CancelTree, CallsEachCallbackOnceOrNeverAndLeavesNothing) {
  const Watchdog watchdog("a tree of scopes");
  std::random_device device;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t seed = device();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Tree(seed, GetParam()).run();
    if (HasFailure()) {
      break;
    }
  }
}

// F-H1: what the canceller has seen cancelled begins nowhere.
TEST_P(CancelTree, StartsNothingAfterTheCancellationWasSeen) {
  const Watchdog watchdog("jobs of a cancelled scope");
  JobPool pool{{.concurrency = GetParam()}};
  for (int round = 0; round < 300; ++round) {
    std::atomic<bool> was_seen{false};
    std::atomic<int> late{0};
    CancelScope scope;
    std::thread canceller([&] {
      scope.cancel();
      was_seen = true;
    });
    for (int i = 0; i < 30; ++i) {
      const bool seen_before = was_seen;
      pool.post([&late, seen_before] { late += static_cast<int>(seen_before); });
      ctbb::task_group group;
      group.run([&late, seen_before] { late += static_cast<int>(seen_before); });
      try {
        group.wait();
      } catch (const taskctx::Cancelled&) {
      }
    }
    canceller.join();
    pool.drain();
    EXPECT_EQ(late, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, CancelTree, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace taskctx_test
