// SPDX-License-Identifier: Apache-2.0

#include "taskctx/bind.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<int> number("number");

// F-B6
TEST(Bind, RunsInTheSnapshotOfItsCreation) {
  std::optional<decltype(taskctx::bind(std::function<int()>()))> bound;
  {
    const Scope scope{number, 1};
    bound.emplace(taskctx::bind(std::function<int()>([] { return number.get(); })));
    number.set(2);
    EXPECT_EQ((*bound)(), 1);
    EXPECT_EQ(number.get(), 2);
  }
  EXPECT_EQ((*bound)(), 1);
  EXPECT_EQ(number.find(), nullptr);
}

// F-B6, F-B7
TEST(Bind, EachCallStartsFromTheSameSnapshot) {
  const Scope scope{number, 1};
  const auto increment = taskctx::bind([] {
    const int seen = number.get();
    number.set(seen + 1);
    return seen;
  });
  EXPECT_EQ(increment(), 1);
  EXPECT_EQ(increment(), 1);
  EXPECT_EQ(number.get(), 1);
}

// F-B7
TEST(Bind, ManyThreadsMayCallAtOnce) {
  const Scope scope{number, 1};
  const auto work = taskctx::bind([] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(number.get(), 1 + i);
      number.set(number.get() + 1);
    }
  });
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(std::cref(work));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// F-B6
TEST(Bind, AGivenContextIsCopiedAlsoWhileItIsEntered) {
  Context context;
  std::optional<decltype(taskctx::bind(context, std::function<int()>()))> bound;
  context.run([&] {
    number.set(1);
    bound.emplace(taskctx::bind(context, std::function<int()>([] { return number.get(); })));
    number.set(2);
    EXPECT_EQ((*bound)(), 1);
  });
  EXPECT_EQ(*context.find(number), 2);
}

// F-D7
TEST(Bind, AnEmptyContextDetaches) {
  const Scope scope{number, 1};
  taskctx::bind(Context{}, [] { EXPECT_EQ(number.find(), nullptr); })();
}

// F-C7
TEST(Bind, AnExceptionPassesAndTheContextIsRestored) {
  const auto bound = taskctx::bind([] {
    number.set(5);
    throw std::runtime_error("passes");
  });
  EXPECT_THROW(bound(), std::runtime_error);
  EXPECT_EQ(number.find(), nullptr);
}

// F-B6
TEST(Bind, ForwardsArgumentsResultsAndValueCategories) {
  auto take = taskctx::bind([](std::unique_ptr<int> p, int& out) -> int& {
    out = *p;
    return out;
  });
  int out = 0;
  EXPECT_EQ(&take(std::make_unique<int>(3), out), &out);
  EXPECT_EQ(out, 3);

  auto counter = taskctx::bind([count = 0]() mutable { return ++count; });
  EXPECT_EQ(counter(), 1);
  EXPECT_EQ(counter(), 2);
  static_assert(!std::is_invocable_v<const decltype(counter)&>);

  auto once = taskctx::bind([p = std::make_unique<int>(4)]() mutable { return std::move(p); });
  EXPECT_EQ(*std::move(once)(), 4);
  EXPECT_EQ(taskctx::bind(&std::string::size)(std::string("four")), 4U);

  const std::function<int(int)> erased = taskctx::bind([](int i) { return i + 1; });
  EXPECT_EQ(erased(1), 2);
  static_assert(!std::is_invocable_v<decltype(erased)&, std::string>);
}

// P22
TEST(Bind, KeepsTheSnapshotsValuesAliveAndNoLonger) {
  const ContextVar<Tracked> variable("variable");
  {
    std::optional<decltype(taskctx::bind(+[] {}))> bound;
    {
      const Scope scope{variable, Tracked(1)};
      bound.emplace(taskctx::bind(+[] {}));
    }
    EXPECT_EQ(Tracked::alive(), 1);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// P22: what a call writes ends with the call.
TEST(Bind, ValuesThatACallSetsEndWithTheCall) {
  const ContextVar<Tracked> variable("variable");
  taskctx::bind([&] {
    variable.set(Tracked(1));
    variable.set(Tracked(2));
    const Context snapshot = copy_context();
    variable.set(Tracked(3));
  })();
  EXPECT_EQ(Tracked::alive(), 0);
}

// V2
TEST(Bind, AForeignCallbackSeesTheThreadsContextWithoutBindAndTheRegistrarsWithIt) {
  std::vector<std::function<void()>> callbacks;  // A foreign event loop.
  std::atomic<int> unbound{0};
  std::atomic<int> bound{0};
  {
    const Scope scope{number, 1};
    callbacks.emplace_back([&] { unbound = number.get(-1); });
    callbacks.emplace_back(taskctx::bind([&] { bound = number.get(-1); }));
  }
  std::thread loop([&] {
    const Scope scope{number, 7};
    for (const auto& callback : callbacks) {
      callback();
    }
  });
  loop.join();
  EXPECT_EQ(unbound, 7);
  EXPECT_EQ(bound, 1);
}

// F-E2
TEST(Bind, WorksWithStdAsync) {
  const Scope scope{number, 1};
  EXPECT_EQ(std::async(std::launch::async, taskctx::bind([] { return number.get(); })).get(), 1);
}

struct Account {
  int balance = 0;
  int add(int amount) {
    balance += amount * number.get();
    return balance;
  }
};

// J93
TEST(Bind, TakesAMembersPointerWithItsObject) {
  Account account;
  const Scope scope{number, 2};
  const auto add = taskctx::bind(&Account::add, &account);
  number.set(0);
  EXPECT_EQ(add(3), 6);
  EXPECT_EQ(taskctx::bind(&Account::balance, std::cref(account))(), 6);
  taskctx::bind(&Account::add, account, 1)();  // A copy's.
  EXPECT_EQ(account.balance, 6);
  std::thread(taskctx::bind(&Account::add, std::ref(account), 10)).join();
  EXPECT_EQ(account.balance, 6);  // 10 times 0.
}

// J93
TEST(Bind, KeepsArgumentsAndTakesMore) {
  auto pointer = std::make_unique<int>(1);
  auto sum = taskctx::bind([](std::unique_ptr<int> a, int b, int c) { return *a + b + c; },
                           std::move(pointer), 2);
  EXPECT_EQ(std::move(sum)(3), 6);
  int count = 0;
  taskctx::bind([](int& n) { ++n; }, std::ref(count))();
  EXPECT_EQ(count, 1);
}

// J93
TEST(Bind, AContextIsTheOneToRunInOnlyInFrontOfTheFunction) {
  Context one;
  one.run([] { number.set(1); });
  const Scope scope{number, 2};
  const auto both = [](const Context& given) { return 10 * *given.find(number) + number.get(); };
  EXPECT_EQ(taskctx::bind(both, one)(), 12);
  EXPECT_EQ(taskctx::bind(one, both, copy_context())(), 21);
}

}  // namespace
