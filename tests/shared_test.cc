// SPDX-License-Identifier: Apache-2.0
//
// Values that tasks share on purpose.

#include "taskctx/shared.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr int kThreads = 4;

// Runs `function` in `kThreads` threads that inherit.
template <typename F>
void run_in_threads(F function) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(taskctx::bind([function, i] { function(i); }));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// F-D4: one value for parent and children, both ways.
TEST(SharedValue, IsSeenToChangeByAllTasksThatInheritIt) {
  const ContextVar<Shared<std::string>> variable("variable");
  const Scope scope{variable, Shared<std::string>("parent's")};
  const auto child = taskctx::bind([&] {
    EXPECT_EQ(variable.get().load(), "parent's later");
    variable.get().store("child's");
  });
  const auto sibling = taskctx::bind([&] { return variable.get().load(); });
  variable.get().store("parent's later");
  std::thread(child).join();
  EXPECT_EQ(variable.get().load(), "child's");
  EXPECT_EQ(sibling(), "child's");
}

// F-D4: no update is lost, whichever thread makes it.
TEST(SharedValue, UpdatesAreNeverLost) {
  const ContextVar<Shared<std::vector<int>>> variable("variable");
  const Scope scope{variable, Shared<std::vector<int>>(std::vector<int>(kThreads))};
  run_in_threads([&](int number) {
    for (int i = 1; i <= 2000; ++i) {
      const std::vector<int> now = variable.get().update(
          [number](std::vector<int>& counts) { ++counts[static_cast<std::size_t>(number)]; });
      ASSERT_EQ(now[static_cast<std::size_t>(number)], i);
    }
  });
  EXPECT_THAT(variable.get().load(), testing::Each(2000));
}

// F-D4: what update() throws, and a copy that throws, change nothing.
TEST(SharedValue, AFailedUpdateChangesNothing) {
  const Shared<std::string> shared("before");
  EXPECT_THROW(shared.update([](std::string& text) {
    text = "half done";
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(shared.load(), "before");
}

// P22: the value ends with its last owner, the one before it when nobody reads it any more.
TEST(SharedValue, LivesAsLongAsItsOwners) {
  {
    const Shared<Tracked> shared(Tracked(1));
    std::shared_ptr<const Tracked> old = shared.snapshot();
    shared.store(Tracked(2));
    EXPECT_EQ(old->value(), 1);
    EXPECT_EQ(Tracked::alive(), 2);
    old.reset();
    EXPECT_EQ(Tracked::alive(), 1);
    const Shared<Tracked> copy = shared;
    EXPECT_TRUE(copy == shared);
    EXPECT_FALSE(copy == Shared<Tracked>(Tracked(2)));
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// Destroys another value of its own kind while it is replaced.
struct Reentrant {
  const Shared<Reentrant>* other = nullptr;
  Reentrant() = default;
  explicit Reentrant(const Shared<Reentrant>* shared) : other(shared) {}
  Reentrant(const Reentrant&) = default;
  Reentrant& operator=(const Reentrant&) = default;
  ~Reentrant() {
    if (other != nullptr) {
      (void)other->snapshot();
    }
  }
};

// F-D4: no lock is held while a value is destroyed or copied.
TEST(SharedValue, TheValuesDestructorMayReadTheSameCell) {
  const Shared<Reentrant> shared;
  shared.store(Reentrant(&shared));
  (void)shared.update([](Reentrant& value) { value.other = nullptr; });
  shared.store(Reentrant());
}

// F-D4: the child writes its own layer; later writes of the parent are seen until then.
TEST(OverlayValue, ShowsTheParentsValueUntilItIsOverridden) {
  const ContextVar<Overlay<std::string>> variable("variable");
  const Scope scope{variable, Overlay<std::string>("first")};
  const auto child = taskctx::bind([&](const char* seen, const char* stored) {
    EXPECT_EQ(variable.get().load(), seen);
    if (stored != nullptr) {
      variable.get().store(stored);
      EXPECT_TRUE(variable.get().is_overridden());
      EXPECT_EQ(variable.get().load(), stored);
    }
  });
  const auto sibling = taskctx::bind([&] { return variable.get().load(); });
  child("first", nullptr);
  variable.get().store("second");
  child("second", "child's");
  variable.get().store("third");
  child("child's", nullptr);
  EXPECT_EQ(sibling(), "third");
  EXPECT_EQ(variable.get().load(), "third");
}

// F-D4: a grandchild sees its parent's layer, then its grandparent's.
TEST(OverlayValue, LayersLieOnEachOther) {
  const ContextVar<Overlay<int>> variable("variable");
  const Scope scope{variable, Overlay<int>(1)};
  taskctx::bind([&] {
    const auto grandchild = taskctx::bind([&] { return variable.get().load(); });
    EXPECT_EQ(grandchild(), 1);
    variable.get().store(2);
    EXPECT_EQ(grandchild(), 2);
    EXPECT_EQ(variable.get().update([](int& value) { value += 10; }), 12);
    variable.get().clear();
    EXPECT_FALSE(variable.get().is_overridden());
    EXPECT_EQ(grandchild(), 1);
  })();
  variable.get().clear();  // The lowest layer always has a value.
  EXPECT_EQ(variable.get().load(), 1);
}

// F-D4: an update of the child's layer starts from the parent's value of that moment, and reads are
// linearizable through all layers.
TEST(OverlayValue, LayersMayBeReadAndWrittenByManyThreads) {
  const ContextVar<Overlay<int>> variable("variable");
  const Scope scope{variable, Overlay<int>(0)};
  run_in_threads([&](int number) {
    for (int i = 0; i < 2000; ++i) {
      if (number == 0) {
        variable.get().store(-1 - i);
        variable.get().clear();
      } else {
        ASSERT_LE(variable.get().load(), 0);
      }
    }
    const int own = variable.get().update([number](int& value) { value = value * 0 + number; });
    ASSERT_EQ(own, number);
    ASSERT_EQ(variable.get().load(), number);
  });
  EXPECT_EQ(variable.get().load(), 0);
}

// F-D4: a long line of descendants ends without deep recursion.
TEST(OverlayValue, AMillionLayersEndWithoutStackGrowth) {
  std::optional<Overlay<Tracked>> top(Tracked(1));
  for (int i = 0; i < 1'000'000; ++i) {
    top = Overlay<Tracked>::inherited(*top);
  }
  EXPECT_EQ(top->snapshot()->value(), 1);
  top.reset();
  EXPECT_EQ(Tracked::alive(), 0);
}

}  // namespace
