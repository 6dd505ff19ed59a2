// SPDX-License-Identifier: Apache-2.0
//
// Contexts and plain threads: what a thread starts with, and one snapshot in many threads.

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace {

using namespace taskctx;

// P20
TEST(Threads, APlainThreadStartsEmptyAndNothingFlowsBack) {
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  std::thread([&] {
    EXPECT_EQ(variable.find(), nullptr);
    variable.set(2);
  }).join();
  EXPECT_EQ(variable.get(), 1);
}

// P20, F-E5
TEST(Threads, ACopyThatIsHandedOverExplicitlyWins) {
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  std::thread([&, context = copy_context()]() mutable {
    variable.set(2);
    context.run([&] { EXPECT_EQ(variable.get(), 1); });
  }).join();
  std::thread(taskctx::bind([&] { EXPECT_EQ(variable.get(), 1); })).join();
}

// V1: a variable's first set() may be a race.
TEST(Threads, TheFirstSetMayHappenInManyThreadsAtOnce) {
  for (int round = 0; round < 200; ++round) {
    const ContextVar<int> variable("variable");
    const ContextVar<std::string> text("text");
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        variable.set(i);
        text.set(std::to_string(i));
        ASSERT_EQ(variable.get(), i);
        ASSERT_EQ(text.get(), std::to_string(i));
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
}

// P14, F-B2: one snapshot, many threads: each writes a copy of its own.
TEST(Threads, OneSnapshotMayBeUsedByManyThreadsAtOnce) {
  const ContextVar<std::string> text("text");
  const ContextVar<int> number("number");
  const Scope scope{text, "original", number, 0};
  const auto work = taskctx::bind([&] {
    for (int i = 0; i < 2000; ++i) {
      ASSERT_EQ(text.get(), i == 0 ? "original" : "mine");
      const Scope inner{number, i};
      text.set("mine");
      const Context snapshot = copy_context();
      ASSERT_EQ(*snapshot.find(number), i);
    }
  });
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&work] { work(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(text.get(), "original");
}

}  // namespace
