// SPDX-License-Identifier: Apache-2.0
//
// More than a million tasks through all doors of oneTBB in random order, many of them stolen: none
// is lost, and none sees another request's value. A thread_local does, in the same run.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <thread>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/tbb_doors.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

constexpr int kThreads = 8;
constexpr int kCalls = 1024;
constexpr long kTasks = 1'000'000;
constexpr long kStolen = 100'000;

ContextVar<long> request("request");
ContextVar<std::string> name("name");

// What people use instead: 0 is "none".
thread_local long thread_request = 0;

struct Counts {
  std::atomic<long> tasks{0};
  std::atomic<long> stolen{0};
  std::atomic<long> wrong{0};
  std::atomic<long> lost{0};
  std::atomic<long> local_wrong{0};
};

unsigned seed() {
  const char* given = std::getenv("TASKCTX_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
}

// One request: through one door, all its bodies.
void serve(const Door& door, long id, Counts& counts, Pending& pending) {
  const std::string text = "request " + std::to_string(id) + ", too long to be stored inline";
  const Scope scope{request, id, name, text};
  thread_request = id;
  const std::thread::id home = std::this_thread::get_id();
  std::atomic<long> bodies{0};
  // What is not waited for outlives this call, and so can't count in it.
  std::atomic<long>* const counter = door.waits ? &bodies : nullptr;
  door.open(Visit{[id, home, text, counter, &counts] {
                    if (counter != nullptr) {
                      ++*counter;
                    }
                    ++counts.tasks;
                    counts.stolen += static_cast<long>(std::this_thread::get_id() != home);
                    counts.wrong += static_cast<long>(request.get(0) != id);
                    counts.wrong += static_cast<long>(name.get("") != text);
                    counts.local_wrong += static_cast<long>(thread_request != id);
                    request.set(-id);
                    name.set("written");
                    counts.wrong += static_cast<long>(request.get(0) != -id);
                  },
                  kCalls, pending});
  if (door.waits && (door.is_exact() ? bodies != kCalls : bodies < 1)) {
    ADD_FAILURE() << door.name << ": " << bodies << " of " << kCalls;
    ++counts.lost;
  }
  counts.wrong += static_cast<long>(request.get(0) != id);
  counts.wrong += static_cast<long>(name.get("") != text);
  counts.local_wrong += static_cast<long>(thread_request != id);
}

// T1, T2, T3, T5, F-F1, F-D11
TEST(Stress, AMillionTasksThroughAllDoorsSeeTheirOwnRequest) {
  const Watchdog watchdog("a million tasks", std::chrono::seconds(280));
  const unsigned its_seed = seed();
  std::cout << "TASKCTX_TEST_SEED=" << its_seed << '\n';
  Counts counts;
  Pending pending;
  std::array<std::atomic<long>, std::size(taskctx_test::kDoors)> visits{};
  long unwaited = 0;
  {
    StealingArena arena(kThreads);
    std::mt19937 random(its_seed);
    long id = 0;
    while (counts.tasks < kTasks || counts.stolen < kStolen) {
      const long before = counts.tasks;
      arena->execute([&] {
        ctbb::task_group requests;
        // Fewer than there are threads: the others have to steal.
        for (int i = 0; i < kThreads / 2; ++i) {
          const std::size_t door = random() % std::size(taskctx_test::kDoors);
          ++visits[door];
          requests.run(
              [&, door, mine = ++id] { serve(taskctx_test::kDoors[door], mine, counts, pending); });
        }
        requests.wait();
        EXPECT_EQ(request.find(), nullptr);
      });
      pending.wait();
      ASSERT_GT(counts.tasks, before);
    }
  }
  for (std::size_t door = 0; door < visits.size(); ++door) {
    EXPECT_GT(visits[door], 0) << taskctx_test::kDoors[door].name;
    unwaited += taskctx_test::kDoors[door].waits ? 0 : visits[door] * kCalls;
  }
  std::cout << counts.tasks << " tasks, of which nobody waited for " << unwaited << "; "
            << counts.stolen << " stolen; " << counts.lost << " lost, " << counts.wrong
            << " wrong; with a thread_local " << counts.local_wrong << " wrong\n";
  EXPECT_EQ(counts.lost, 0);
  EXPECT_EQ(counts.wrong, 0);
  EXPECT_GT(counts.local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
}

}  // namespace
