// SPDX-License-Identifier: Apache-2.0

#include "taskctx/carried.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <any>
#include <atomic>
#include <compare>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/scope.h"
#include "taskctx/suppress_propagation.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;
using testing::ElementsAre;

const ContextVar<int> number("number", 0);

// Returns what `carried` has of `number`, as its function sees it.
template <typename T>
int number_of(const Carried<T>& carried) {
  return carried.run([](const T&) { return number.get(); });
}

template <typename T>
Carried<T> made_with(int n, T value) {
  const Scope scope{number, n};
  return Carried<T>(std::move(value));
}

// F-N18
TEST(Carried, RunsInTheContextOfItsMaker) {
  const Carried<std::string> item = made_with(1, std::string("text"));
  const Scope scope{number, 2};
  EXPECT_EQ(item.run([](const std::string& text) { return text + std::to_string(number.get()); }),
            "text1");
  EXPECT_EQ(number.get(), 2);
  EXPECT_EQ(*item.context().find(number), 1);
  EXPECT_EQ(item.value(), "text");
}

// F-N18, F-B7
TEST(Carried, EachRunStartsFromTheSameSnapshot) {
  Carried<int> item = made_with(1, 0);
  for (int run = 1; run <= 3; ++run) {
    item.run([&](int& value) {
      EXPECT_EQ(number.get(), 1);
      number.set(5);
      EXPECT_EQ(++value, run);
    });
  }
  EXPECT_EQ(item.value(), 3);
  EXPECT_EQ(number.get(), 0);
}

// F-N18: what a run sets goes on with what it makes, and nowhere else.
TEST(Carried, WhatIsMadeInARunHasItsContext) {
  Carried<int> item = made_with(1, 10);
  const Carried<std::string> next = item.run([](int value) {
    number.set(number.get() + 1);
    return Carried(std::to_string(value));
  });
  EXPECT_EQ(number_of(next), 2);
  EXPECT_EQ(number_of(item), 1);
}

// F-N18
TEST(Carried, GivesItsValueAsItIs) {
  struct Request {
    int add(int more) const { return id + more; }
    int id = 0;
  };
  Carried<Request> request(Request{.id = 40});
  EXPECT_EQ(request.run(&Request::add, 2), 42);
  EXPECT_EQ(request.run(&Request::id), 40);
  EXPECT_EQ(Carried<Request*>(&request.value()).run(&Request::add, 1), 41);
  EXPECT_EQ(&request.run([](Request& it) -> Request& { return it; }), &request.value());

  Carried<std::unique_ptr<int>> owner(std::make_unique<int>(7));
  const std::unique_ptr<int> taken =
      std::move(owner).run([](std::unique_ptr<int> it) { return it; });
  EXPECT_EQ(*taken, 7);
  EXPECT_EQ(owner.value(), nullptr);
  static_assert(std::is_same_v<decltype(std::declval<Carried<int>&>().value()), int&>);
  static_assert(std::is_same_v<decltype(std::declval<const Carried<int>&>().value()), const int&>);
  static_assert(std::is_same_v<decltype(std::declval<Carried<int>>().value()), int&&>);
}

// F-N18, F-C7
TEST(Carried, AnExceptionPassesAndTheContextIsRestored) {
  Carried<int> item = made_with(1, 0);
  EXPECT_THROW(item.run([](int) {
    number.set(2);
    throw std::runtime_error("passes");
  }),
               std::runtime_error);
  EXPECT_EQ(number.get(), 0);
  EXPECT_EQ(number_of(item), 1);
}

// F-N18: `context` is copied, also while it is entered; and SuppressPropagation applies.
TEST(Carried, TakesAGivenContext) {
  Context context;
  std::optional<Carried<int>> inside;
  context.run([&] {
    number.set(1);
    inside.emplace(context, 5);
    number.set(2);
  });
  EXPECT_EQ(number_of(*inside), 1);
  const Scope scope{number, 3};
  EXPECT_EQ(number_of(Carried(context, std::string("deduced"))), 2);
  EXPECT_EQ(Carried<std::string>(context, std::in_place, 3U, 'x').value(), "xxx");
  EXPECT_EQ(number_of(Carried<std::string>(std::in_place, 3U, 'x')), 3);
  EXPECT_EQ(number_of(Carried(Context{}, 5)), 0);
  const SuppressPropagation block;
  EXPECT_EQ(number_of(Carried(5)), 0);
}

// F-N18: what is moved from, or made of nothing, has nothing.
TEST(Carried, WithoutAMakerThereIsAnEmptyContext) {
  const Scope scope{number, 1};
  Carried<int> item;
  EXPECT_EQ(item.value(), 0);
  EXPECT_TRUE(item.context().empty());
  Carried<std::string> from(std::string("long enough to be on the heap"));
  Carried<std::string> to(std::move(from));
  EXPECT_EQ(number_of(to), 1);
  EXPECT_EQ(number_of(from), 0);  // NOLINT(bugprone-use-after-move): what is said of it.
  EXPECT_EQ(from.value(), "");
  from = to;
  EXPECT_EQ(number_of(from), 1);
  from = std::move(to);
  EXPECT_EQ(number_of(to), 0);  // NOLINT(bugprone-use-after-move)
  Carried<std::string>& self = from;
  from = self;
  from = std::move(self);
  EXPECT_EQ(number_of(from), 1);
  EXPECT_EQ(std::move(from).run([](std::string&&) { return number.get(); }), 1);
  EXPECT_EQ(number_of(from), 0);  // NOLINT(bugprone-use-after-move)
  const std::vector<Carried<int>> resized(3);
  EXPECT_EQ(number_of(resized[2]), 0);
}

// F-N18
TEST(Carried, IsCopiedMovedAndSwappedAsItsValueIs) {
  using Owner = std::unique_ptr<int>;
  static_assert(std::is_nothrow_copy_constructible_v<Carried<int>>);
  static_assert(std::is_nothrow_copy_assignable_v<Carried<int>>);
  static_assert(!std::is_nothrow_copy_constructible_v<Carried<std::string>>);
  static_assert(std::is_nothrow_move_constructible_v<Carried<std::string>>);
  static_assert(std::is_nothrow_move_assignable_v<Carried<std::string>>);
  static_assert(std::is_nothrow_swappable_v<Carried<std::string>>);
  static_assert(!std::is_copy_constructible_v<Carried<Owner>>);
  static_assert(!std::is_copy_assignable_v<Carried<Owner>>);
  static_assert(std::is_nothrow_move_constructible_v<Carried<Owner>>);
  static_assert(!std::is_move_constructible_v<Carried<std::mutex>>);
  static_assert(!std::is_move_assignable_v<Carried<std::mutex>>);
  static_assert(!std::is_default_constructible_v<Carried<Tracked>>);
  static_assert(std::is_copy_constructible_v<Carried<std::any>>);
  static_assert(sizeof(Carried<int*>) == sizeof(int*) + 16);
  static_assert(sizeof(Carried<std::string>) == sizeof(std::string) + 16);
  Carried<int> one = made_with(1, 10);
  Carried<int> two = made_with(2, 20);
  swap(one, two);
  EXPECT_EQ(number_of(one), 2);
  EXPECT_EQ(one.value(), 20);
  Carried<std::any> any = made_with(3, std::any(5));
  Carried<std::any> copy(any);
  EXPECT_EQ(std::any_cast<int>(copy.value()), 5);
  EXPECT_EQ(number_of(copy), 3);
  Carried<std::mutex> mutex(std::in_place);
  mutex.run(&std::mutex::lock);
  mutex.run(&std::mutex::unlock);
}

// F-N18
TEST(Carried, IsMadeAsImplicitlyAsItsValue) {
  static_assert(std::is_convertible_v<int, Carried<int>>);
  static_assert(std::is_convertible_v<const char*, Carried<std::string>>);
  static_assert(std::is_constructible_v<Carried<std::unique_ptr<int>>, int*>);
  static_assert(!std::is_convertible_v<int*, Carried<std::unique_ptr<int>>>);
  static_assert(!std::is_constructible_v<Carried<std::string>, std::vector<int>>);
  static_assert(!std::is_convertible_v<Carried<int>, int>);  // It would lose its context.
  static_assert(std::is_same_v<decltype(Carried(std::declval<const int&>())), Carried<int>>);
  static_assert(std::is_same_v<decltype(Carried(std::declval<Carried<int>&>())), Carried<int>>);
}

struct Urgency {
  int level;
  friend bool operator<(const Urgency& a, const Urgency& b) { return a.level < b.level; }
};

// F-N18: with <=>, and with nothing but <.
TEST(Carried, IsComparedAsItsValue) {
  EXPECT_TRUE(made_with(1, 5) == made_with(2, 5));
  EXPECT_TRUE(made_with(1, 5) < made_with(1, 6));
  EXPECT_EQ(Carried(1.0) <=> Carried(2.0), std::partial_ordering::less);
  EXPECT_TRUE(Carried(Urgency{2}) > Carried(Urgency{1}));
  EXPECT_EQ(Carried(Urgency{1}) <=> Carried(Urgency{1}), std::weak_ordering::equivalent);
  static_assert(!std::equality_comparable<Carried<Urgency>>);
}

// F-N18
TEST(Carried, FitsTheQueuesOfTheStandardLibrary) {
  std::queue<Carried<std::string>> queue;
  std::priority_queue<Carried<Urgency>> by_urgency;
  std::vector<Carried<std::unique_ptr<int>>> batch;
  for (int i = 1; i <= 3; ++i) {
    const Scope scope{number, i};
    queue.push("text");  // NOLINT(modernize-use-emplace): an implicit conversion is enough.
    queue.emplace(std::in_place, 2U, 'x');
    by_urgency.push(Urgency{i % 3});  // NOLINT(modernize-use-emplace)
    batch.emplace_back(std::make_unique<int>(i));
  }
  std::vector<int> seen;
  for (; !queue.empty(); queue.pop()) {
    seen.push_back(number_of(queue.front()));
  }
  EXPECT_THAT(seen, ElementsAre(1, 1, 2, 2, 3, 3));
  seen.clear();
  for (; !by_urgency.empty(); by_urgency.pop()) {
    seen.push_back(number_of(by_urgency.top()));
  }
  EXPECT_THAT(seen, ElementsAre(2, 1, 3));
  for (auto& item : batch) {
    item.run([](std::unique_ptr<int>& value) { EXPECT_EQ(*value, number.get()); });
  }
}

// F-N18: a function may do with the object what it likes; the context stays until it returns.
TEST(Carried, MayEndOrChangeWhileItRuns) {
  const ContextVar<Tracked> variable("variable");
  const auto make = [&] {
    const Scope scope{variable, Tracked(1)};
    return std::make_optional<Carried<int>>(5);
  };
  std::optional<Carried<int>> item = make();
  std::vector<Carried<int>> retries;
  item->run([&](int) { retries.push_back(*std::move(item)); });
  EXPECT_EQ(retries[0].run([&](int) {
    retries.clear();
    return variable.get().value();
  }),
            1);
  EXPECT_EQ(Tracked::alive(), 0);
  item = make();
  EXPECT_EQ(item->run([&](int) {
    item = Carried<int>(Context{}, 6);
    return variable.get().value();
  }),
            1);
  EXPECT_EQ(Tracked::alive(), 0);
  item = make();
  std::as_const(*item).run([&](int) {
    item.reset();
    EXPECT_EQ(variable.get().value(), 1);
  });
  EXPECT_EQ(Tracked::alive(), 0);
}

// Looks at the current context, and at a value of its maker's, when it ends.
struct LooksAtEnd {
  ~LooksAtEnd() {
    if (seen != nullptr) {
      seen->push_back(number.get());
      seen->push_back(tracked->value());
    }
  }
  std::vector<int>* seen;
  const Tracked* tracked;
};

// P22, F-N18: the value ends where its object is destroyed, before the values of its context.
TEST(Carried, KeepsTheSnapshotsValuesAliveAndNoLonger) {
  const ContextVar<Tracked> variable("variable");
  std::vector<int> seen;
  std::optional<Carried<LooksAtEnd>> item;
  {
    const Scope scope{number, 1, variable, Tracked(7)};
    item.emplace(std::in_place, &seen, variable.find());
  }
  EXPECT_EQ(Tracked::alive(), 1);
  const Scope scope{number, 2};
  item.reset();
  EXPECT_THAT(seen, ElementsAre(2, 7));
  EXPECT_EQ(Tracked::alive(), 0);
}

// F-N18, F-B7
TEST(Carried, ManyThreadsMayRunAConstantAtOnce) {
  const Carried<int> item = made_with(1, 5);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&item, i] {
      number.set(-1);
      for (int times = 0; times < 1000; ++times) {
        item.run([i](int value) {
          ASSERT_EQ(number.get() + value, 6);
          number.set(i);
        });
        const Carried<int> copy = item;
        ASSERT_EQ(number_of(copy), 1);
      }
      EXPECT_EQ(number.get(), -1);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
