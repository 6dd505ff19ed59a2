// SPDX-License-Identifier: Apache-2.0
//
// Carried values where an allocation, a copy or a move fails: nothing is lost, and nothing is half
// changed; and how many allocations they take.

#include <gtest/gtest.h>
#include <oneapi/tbb/concurrent_queue.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_executor.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/fragile.h"
#include "tests/fuse.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<int> number("number");
const std::string kLong = "long enough to lie on the heap, wherever that may be";

// Returns what `carried` has of `number`.
template <typename T>
int number_of(const Carried<T>& carried) {
  return carried.run([](const T&) { return number.get(-1); });
}

// F-N18: the first capture in a job needs memory for its link. It comes before the move.
TEST(CarriedWithoutMemory, ACaptureThatFailsLeavesTheValue) {
  JobPool pool{{.concurrency = 1}};
  pool.submit([] {
        std::string value = kLong;
        std::optional<Carried<std::string>> item;
        int failures = 0;
        with_each_allocation_failing([&] { item.emplace(std::move(value)); },
                                     [&] {
                                       EXPECT_EQ(item ? item->value() : value, kLong);
                                       failures += item ? 0 : 1;
                                     });
        EXPECT_EQ(failures, 1);
      })
      .get();
}

// F-N18
TEST(CarriedWithoutMemory, ACopyThatFailsChangesNothing) {
  const Scope scope{number, 1};
  const Carried<std::string> from(kLong);
  Carried<std::string> to(Context{}, std::string());
  std::optional<Carried<std::string>> made;
  int failures = 0;
  with_each_allocation_failing(
      [&] {
        to = from;
        made.emplace(from);
      },
      [&] {
        EXPECT_EQ(number_of(to), to.value().empty() ? -1 : 1);
        EXPECT_EQ(number_of(from), 1);
        failures += made ? 0 : 1;
      });
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(to, from);
  EXPECT_EQ(*made, from);
}

// F-N18
TEST(CarriedWithoutMemory, AValueThatMustNotBeCapturedStaysWithItsMaker) {
  const ContextVar<int> fails(
      "fails",
      {.policy = policy::copy([](const int&) -> int { throw std::runtime_error("copy"); })});
  const Scope scope{fails, 1};
  auto owner = std::make_unique<int>(5);
  oneapi::tbb::concurrent_queue<Carried<std::unique_ptr<int>>> queue;
  EXPECT_THROW(queue.push(std::move(owner)), std::runtime_error);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(*owner, 5);  // NOLINT(bugprone-use-after-move): what is said of it.
  int runs = 0;
  const ContextExecutor inline_executor{[](auto f) { f(); }};
  EXPECT_THROW(inline_executor([&runs] { ++runs; }), std::runtime_error);
  EXPECT_EQ(runs, 0);
}

// F-N18: whichever copy or move of a value fails, each object has its own context.
TEST(CarriedWithoutMemory, AMoveThatFailsMovesNoContext) {
  const auto make = [](int n) {
    const Scope scope{number, n};
    return std::make_unique<Carried<Fragile>>(std::in_place, n);
  };
  const auto from = make(1);
  for (const bool is_move : {false, true}) {
    moves.arm(0);
    std::optional<Carried<Fragile>> to;
    if (is_move) {
      EXPECT_THROW(to.emplace(std::move(*from)), std::runtime_error);
    } else {
      EXPECT_THROW(to.emplace(*from), std::runtime_error);
    }
    EXPECT_TRUE(moves.disarm());
    EXPECT_FALSE(to);
    EXPECT_EQ(number_of(*from), 1);
    EXPECT_EQ(from->value().value(), 1);
  }
  // Assignment, too.
  struct Stubborn {
    Stubborn() = default;
    Stubborn(const Stubborn&) = default;
    Stubborn& operator=(const Stubborn&) { throw std::runtime_error("assignment"); }
  };
  Carried<Stubborn> one(Context{}, Stubborn());
  const Scope scope{number, 2};
  Carried<Stubborn> two{Stubborn()};
  EXPECT_THROW(one = two, std::runtime_error);
  EXPECT_THROW(one = std::move(two), std::runtime_error);
  EXPECT_EQ(number_of(one), -1);
  EXPECT_EQ(number_of(two), 2);  // NOLINT(bugprone-use-after-move)
}

// F-N18: no allocation beside the value's, and none is left.
TEST(CarriedMemory, NeedsNoAllocation) {
  const Scope scope{number, 1};
  const long before = live_allocations();
  {
    const std::unique_ptr<int> value = std::make_unique<int>(1);
    const long with_value = live_allocations();
    Carried<int*> item(value.get());
    const Carried<int*> copy = item;
    item.run([](const int*) {});
    const Context context = copy.context();
    EXPECT_EQ(live_allocations(), with_value);
    item.run([](const int*) { number.set(2); });
    EXPECT_EQ(number_of(copy), 1);
  }
  EXPECT_LE(live_allocations(), before + 1);  // A node that the thread keeps for the next write.
}

}  // namespace
