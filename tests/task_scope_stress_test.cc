// SPDX-License-Identifier: Apache-2.0
//
// Random trees of scopes, whose jobs end, throw, wait, and start others, while random threads
// cancel random scopes: each job ends once, before its scope does, and every join tells what
// happened.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/task_scope.h"
#include "tests/pools.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr JoinPolicy kPolicies[] = {JoinPolicy::fail_fast, JoinPolicy::wait_all,
                                    JoinPolicy::first_success};

// What a scope's owner knows of it.
struct Node {
  explicit Node(JobPool& pool, JoinPolicy rule, Timeout timeout)
      : policy(rule), scope(pool, {.policy = rule, .timeout = timeout}) {}

  const JoinPolicy policy;
  std::atomic<int> begun{0};
  std::atomic<int> succeeded{0};
  std::atomic<int> failed{0};
  std::atomic<int> started{0};
  std::atomic<bool> is_over{false};
  TaskScope scope;
};

class TaskScopeStress : public testing::TestWithParam<int> {
 protected:
  // Scopes that are open, for those who cancel.
  void add(Node* node) {
    const std::lock_guard lock(mutex);
    open.push_back(node);
  }
  void remove(Node* node) {
    const std::lock_guard lock(mutex);
    std::erase(open, node);
  }
  void cancel_one(std::mt19937& random) {
    const std::lock_guard lock(mutex);
    if (!open.empty()) {
      open[random() % open.size()]->scope.cancel("by chance");
    }
  }

  // Counts what a job of `node` does, from its beginning to its end.
  struct Counted {
    Counted(TaskScopeStress& in, Node& of) : test(in), node(of) {
      ++node.begun;
      test.wrong += node.is_over ? 1 : 0;
    }
    ~Counted() { test.wrong += node.is_over ? 1 : 0; }
    TaskScopeStress& test;
    Node& node;
  };

  // One job: `kind` decides what it does.
  void work(Node& node, std::uint64_t seed, int depth) {
    const Counted counted(*this, node);
    std::mt19937 random(seed);
    switch (random() % 8) {
      case 0:
        ++node.failed;
        throw std::runtime_error("by chance");
      case 1:
        while (!cancelled() && random() % 64 != 0) {
          std::this_thread::yield();
        }
        check_cancelled();
        break;
      case 2:
        start(node, random(), depth);
        break;
      case 3:
      case 4:
        if (depth > 0) {
          try {
            grow(random(), depth - 1);
          } catch (const TaskScopeError&) {
            ++node.failed;
            throw;
          }
        }
        break;
      default:
        break;
    }
    ++node.succeeded;
  }

  Task<> await_work(Node& node, std::uint64_t seed, int depth) {
    const Counted counted(*this, node);
    std::mt19937 random(seed);
    if (random() % 3 == 0) {
      co_await taskctx::sleep_for(absl::Microseconds(random() % 200));
    }
    if (random() % 2 == 0) {
      co_await yield();
    }
    if (random() % 6 == 0) {
      ++node.failed;
      throw std::runtime_error("by chance");
    }
    if (random() % 3 == 0 && depth > 0) {
      try {
        co_await grow_by_awaiting(random(), depth - 1);
      } catch (const TaskScopeError&) {
        ++node.failed;
        throw;
      }
    }
    ++node.succeeded;
  }

  void start(Node& node, std::uint64_t seed, int depth) {
    ++node.started;
    ++jobs;
    if (seed % 3 == 0) {
      (void)node.scope.spawn(await_work(node, seed, depth));
    } else if (seed % 3 == 1) {
      node.scope.post([this, &node, seed, depth, kept = Tracked(1)] { work(node, seed, depth); });
    } else {
      auto job = node.scope.submit([this, &node, seed, depth, kept = Tracked(1)] {
        work(node, seed, depth);
        return Tracked(2);
      });
      if (seed % 5 == 0) {
        job.cancel();
      }
    }
  }

  static Timeout timeout_of(std::mt19937& random) {
    return random() % 8 == 0 ? Timeout(absl::Microseconds(random() % 2000))
                             : Timeout(absl::InfiniteDuration());
  }

  // Opens a scope with some jobs, and joins it. Throws what that throws.
  void grow(std::uint64_t seed, int depth) {
    std::mt19937 random(seed);
    Node node(*pool, kPolicies[random() % 3], timeout_of(random));
    add(&node);
    for (std::uint64_t i = random() % 5; i > 0; --i) {
      start(node, random(), depth);
    }
    try {
      node.scope.join();
    } catch (...) {
      note_end(node, /*has_thrown=*/true);
      throw;
    }
    note_end(node, /*has_thrown=*/false);
  }

  Task<> grow_by_awaiting(std::uint64_t seed, int depth) {
    std::mt19937 random(seed);
    Node node(*pool, kPolicies[random() % 3], timeout_of(random));
    add(&node);
    for (std::uint64_t i = random() % 5; i > 0; --i) {
      start(node, random(), depth);
    }
    try {
      co_await node.scope.join();
    } catch (...) {
      note_end(node, /*has_thrown=*/true);
      throw;
    }
    note_end(node, /*has_thrown=*/false);
  }

  void note_end(Node& node, bool has_thrown) {
    node.is_over = true;
    remove(&node);
    if (has_thrown) {
      return;
    }
    if (node.policy == JoinPolicy::first_success) {
      wrong += node.succeeded == 0 ? 1 : 0;
    } else {
      wrong += node.failed != 0 ? 1 : 0;
    }
    ++joined;
  }

  std::mutex mutex;
  std::vector<Node*> open;
  std::atomic<int> wrong{0};
  std::atomic<int> joined{0};
  std::atomic<int> jobs{0};
  std::atomic<int> handled{0};
  std::optional<JobPool> pool;
};
INSTANTIATE_TEST_SUITE_P(Threads, TaskScopeStress, testing::Values(1, 2, 4, 8));

// K16
TEST_P(TaskScopeStress, RandomTreesEndAsTheyShould) {
  const Watchdog watchdog{"a random tree of scopes", std::chrono::seconds(200)};
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %lu\n", static_cast<unsigned long>(seed));
  std::mt19937 random(seed);
  pool.emplace(
      JobPoolOptions{.concurrency = GetParam(),
                     .exception_handler = [this](const std::exception_ptr&) { ++handled; }});
  std::atomic<bool> is_over{false};
  std::vector<std::thread> cancellers;
  for (int i = 0; i < 2; ++i) {
    cancellers.emplace_back([this, &is_over, own = random()] {
      std::mt19937 mine(own);
      while (!is_over) {
        for (std::uint64_t k = mine() % 2000; k > 0; --k) {
          std::this_thread::yield();
        }
        cancel_one(mine);
      }
    });
  }
  const int rounds = kThreadSanitizer ? 300 : 3000;
  for (int round = 0; round < rounds; ++round) {
    try {
      switch (random() % 3) {
        case 0:
          grow(random(), 5);
          break;
        case 1:
          pool->submit([this, own = random()] { grow(own, 5); }).get();
          break;
        default:
          pool->spawn(grow_by_awaiting(random(), 5)).get();
          break;
      }
    } catch (const TaskScopeError&) {
    } catch (const Cancelled&) {
    }
    ASSERT_EQ(wrong, 0) << "in round " << round;
  }
  is_over = true;
  for (auto& thread : cancellers) {
    thread.join();
  }
  const JobPoolStats stats = pool->stats();
  EXPECT_EQ(stats.queued + stats.waiting, 0U);
  pool.reset();
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_TRUE(open.empty());
  EXPECT_GT(joined, 0);
  EXPECT_GT(jobs, rounds / 2);
}

}  // namespace
