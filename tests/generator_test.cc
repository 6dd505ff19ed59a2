// SPDX-License-Identifier: Apache-2.0
//
// Generators: what they set stays in them; what they see is their consumer's or their creator's.

#include "taskctx/generator.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> name{"name", "none"};
const ContextVar<int> level{"level", 0};

template <GeneratorReads kReads>
Generator<std::string, kReads> reads_and_writes() {
  co_yield name.get() + std::to_string(level.get());
  const Scope scope{level, 7};  // Open across what follows.
  co_yield name.get() + std::to_string(level.get());
  co_yield name.get() + std::to_string(level.get());
}

// F-G3
TEST(GeneratorTest, SeesItsConsumersContextAndKeepsItsWrites) {
  std::string seen;
  Scope scope{name, "a"};
  auto generator = reads_and_writes<GeneratorReads::consumer>();
  int round = 0;
  for (const std::string& value : generator) {
    seen += value + ",";
    EXPECT_EQ(level.get(), round);
    ++round;
    level.set(round);
    name.set("consumer" + std::to_string(round));
  }
  EXPECT_EQ(seen, "a0,consumer17,consumer27,");
  level.set(0);
}

// F-G3
TEST(GeneratorTest, SeesItsCreatorsSnapshotIfItIsAskedTo) {
  std::string seen;
  Scope scope{name, "creator"};
  auto generator = reads_and_writes<GeneratorReads::creator>();
  name.set("later");
  for (const std::string& value : generator) {
    seen += value + ",";
    EXPECT_EQ(level.get(), 0);
    EXPECT_EQ(name.get(), "later");
  }
  EXPECT_EQ(seen, "creator0,creator7,creator7,");
}

Generator<int> sets_and_restores() {
  {
    const Scope scope{name, "inner"};
    co_yield 1;
  }
  level.set(3);
  co_yield name.get() == "inner" ? -1 : 2;
  co_yield level.get();
}

// F-G3, P13
TEST(GeneratorTest, ScopesAndWritesWorkAcrossYieldsOnSeveralThreads) {
  const taskctx_test::MisuseRecorder recorder;
  const Scope scope{name, "outer"};
  auto generator = sets_and_restores();
  auto it = generator.begin();
  EXPECT_EQ(*it, 1);
  std::thread([&] {
    ++it;
    EXPECT_EQ(*it, 2);
    EXPECT_EQ(name.get(), "none");
    EXPECT_EQ(level.get(), 0);
  }).join();
  ++it;
  EXPECT_EQ(*it, 3);
  EXPECT_EQ(level.get(), 0);
  ++it;
  EXPECT_TRUE(it == generator.end());
  EXPECT_TRUE(recorder.messages().empty());
}

Generator<Tracked&> holds(Tracked mine) {
  const Scope scope{name, "holder"};
  while (true) {
    co_yield mine;
  }
}

// P22, F-G3
TEST(GeneratorTest, DestroyedHalfWayEndsItsScopesInItsContext) {
  const taskctx_test::MisuseRecorder recorder;
  {
    auto generator = holds(Tracked(1));
    EXPECT_EQ((*generator.begin()).value(), 1);
    std::thread([&generator] { const auto gone = std::move(generator); }).join();
    EXPECT_EQ(Tracked::alive(), 0);
    const auto never_begun = holds(Tracked(1));
  }
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_EQ(name.get(), "none");
  EXPECT_TRUE(recorder.messages().empty());
}

template <GeneratorReads kReads>
Generator<int, kReads> replaces(const ContextVar<Tracked>& first,
                                const ContextVar<Tracked>& second) {
  first.set(Tracked(2));
  co_yield first.get().value();
  second.set(Tracked(3));
  co_yield second.get().value();
}

// P22, M41, F-G3: also if nobody else has the context in which it was made.
TEST(GeneratorTest, WhatItHasReplacedEndsWithIt) {
  const auto run = []<GeneratorReads kReads>(std::integral_constant<GeneratorReads, kReads>,
                                             int steps) {
    const ContextVar<Tracked> first("first");
    const ContextVar<Tracked> second("second");
    std::optional<Generator<int, kReads>> generator;
    {
      Context context;
      context.run([&] {
        first.set(Tracked(0));
        second.set(Tracked(1));
        generator.emplace(replaces<kReads>(first, second));
      });
    }
    Context consumer;
    consumer.run([&] {
      second.set(Tracked(7));
      auto at = generator->begin();
      for (int i = 1; i < steps; ++i) {
        ++at;
      }
      EXPECT_EQ(*at, steps == 1 ? 2 : 3);
    });
    consumer = Context();
    generator.reset();
    EXPECT_EQ(Tracked::alive(), 0);
  };
  for (const int steps : {1, 2}) {
    run(std::integral_constant<GeneratorReads, GeneratorReads::creator>(), steps);
    run(std::integral_constant<GeneratorReads, GeneratorReads::consumer>(), steps);
  }
}

Generator<int> fails_after_one() {
  const Scope scope{name, "inner"};
  co_yield 1;
  throw std::runtime_error(name.get());
}

// F-G3, P15
TEST(GeneratorTest, LetsAnExceptionPassWithTheContextInOrder) {
  const Scope scope{name, "outer"};
  try {
    for (const int value : fails_after_one()) {
      EXPECT_EQ(value, 1);
    }
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "inner");
  }
  EXPECT_EQ(name.get(), "outer");
}

Generator<int> inner_numbers() {
  level.set(10);
  co_yield level.get();
  co_yield level.get() + 1;
}
Generator<int> outer_numbers() {
  level.set(1);
  for (const int value : inner_numbers()) {
    co_yield value + level.get();
  }
}

// F-G3
TEST(GeneratorTest, NestedOnesDontDisturbEachOther) {
  std::vector<int> values;
  for (const int value : outer_numbers()) {
    values.push_back(value);
  }
  EXPECT_EQ(values, (std::vector<int>{11, 12}));
  EXPECT_EQ(level.get(), 0);
}

template <GeneratorReads kReads>
AsyncGenerator<std::string, kReads> rows(int count) {
  for (int i = 0; i < count; ++i) {
    const Scope scope{level, i + 100};
    co_await taskctx::yield();
    co_yield name.get() + std::to_string(level.get());
    co_await taskctx::sleep_for(absl::Microseconds(1));
  }
}

template <GeneratorReads kReads>
Task<std::string> consumes() {
  std::string seen;
  name.set("first");
  auto generator = rows<kReads>(3);
  int round = 0;
  while (const std::string* row = co_await generator.next()) {
    seen += *row + ",";
    EXPECT_EQ(level.get(), round);
    ++round;
    level.set(round);
    name.set("n" + std::to_string(round));
  }
  EXPECT_EQ(co_await generator.next(), nullptr);
  co_return seen;
}

// F-G3, F-G1
TEST(AsyncGeneratorTest, KeepsItsWritesAndSeesWhatItWasAskedTo) {
  const taskctx_test::Watchdog watchdog("AsyncGenerator");
  for (const int threads : {1, 4}) {
    taskctx::JobPool pool{{.concurrency = threads}};
    EXPECT_EQ(pool.spawn(consumes<GeneratorReads::consumer>()).get(), "first100,n1101,n2102,");
    EXPECT_EQ(pool.spawn(consumes<GeneratorReads::creator>()).get(), "first100,first101,first102,");
    EXPECT_EQ(taskctx::sync_wait(consumes<GeneratorReads::creator>()),
              "first100,first101,first102,");
    EXPECT_EQ(name.get(), "n3");  // sync_wait() is a call.
    name.set("none");
    level.set(0);
  }
}

AsyncGenerator<int> counts(int count) {
  for (int i = 0; i < count; ++i) {
    co_yield i;
  }
  throw std::runtime_error("at the end");
}
Task<int> sums(int count, bool to_the_end) {
  auto generator = counts(count);
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += *co_await generator.next() % 2;
  }
  if (to_the_end) {
    co_await generator.next();
  }
  co_return sum;
}

// F-G3: a generator that is never suspended by anything else does not grow the stack.
TEST(AsyncGeneratorTest, AMillionValuesDontGrowTheStack) {
  EXPECT_EQ(taskctx::sync_wait(sums(1'000'000, false)), 500'000);
  EXPECT_THROW(taskctx::sync_wait(sums(10, true)), std::runtime_error);
}

const std::string constant = "constant";
Generator<std::string> yields_a_constant() { co_yield constant; }
AsyncGenerator<std::string> yields_a_constant_later() { co_yield constant; }

// F-G3
TEST(GeneratorTest, AConstantIsCopiedSoThatItsConsumerMayTakeIt) {
  for (std::string& value : yields_a_constant()) {
    EXPECT_EQ(std::move(value), constant);
    value += " no more";
  }
  taskctx::sync_wait([]() -> Task<> {
    auto generator = yields_a_constant_later();
    std::string* const value = co_await generator.next();
    EXPECT_EQ(*value, constant);
    *value += " no more";
  }());
  EXPECT_EQ(constant, "constant");
}

}  // namespace
