// SPDX-License-Identifier: Apache-2.0
//
// Strong exception safety: each operation is run with its first, second, third ... allocation, copy
// or move failing, until there is none left to fail. Whatever fails, everything is as it was
// before, and the same operation succeeds when it is tried again.

#include <gtest/gtest.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include "lib/core/node_memory.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/fragile.h"
#include "tests/fuse.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// How many variables are set before, and whether a snapshot is out: so that a write is in place,
// copies a leaf, makes it grow, makes the context wide, or adds a level.
using Case = std::tuple<std::size_t, bool>;

class ExceptionSafety : public testing::TestWithParam<Case> {
 protected:
  using Operation = std::function<void(World&)>;

  // A thread's free nodes would do without the allocations that are to fail.
  static void SetUpTestSuite() { taskctx::internal::keep_no_free_nodes(); }

  // Runs the operation with its n-th failure, n = 0, 1, ..., each time in a new world. Returns how
  // many there were.
  static int fail_each(Fuse& fuse, const Operation& operation) {
    in_new_world(operation);  // The registry of variables grows once and for all.
    const int alive = Tracked::alive();
    const long live = live_allocations();
    for (int n = 0;; ++n) {
      bool has_failed = false;
      in_new_world([&](World& world) { has_failed = fails(fuse, n, world, operation); });
      EXPECT_EQ(Tracked::alive(), alive) << "after failure " << n;
      EXPECT_EQ(live_allocations(), live) << "after failure " << n;
      if (!has_failed || HasFailure()) {
        return n;
      }
    }
  }

  static void in_new_world(const Operation& operation) {
    Context().run([&] {
      World world(std::get<0>(GetParam()), std::get<1>(GetParam()));
      operation(world);
    });
  }

 private:
  // Runs the operation with its n-th failure; tells whether it came to that.
  static bool fails(Fuse& fuse, int n, World& world, const Operation& operation) {
    const State before = world.state();
    bool has_thrown = false;
    fuse.arm(n);
    try {
      operation(world);
    } catch (const std::exception&) {
      has_thrown = true;
    }
    const bool has_failed = fuse.disarm();
    EXPECT_EQ(has_thrown, has_failed) << "failure " << n;
    if (has_failed) {
      EXPECT_TRUE(world.state() == before) << "failure " << n;
      EXPECT_NO_THROW(operation(world)) << "once more after failure " << n;
    }
    return has_failed;
  }
};

// M3
TEST_P(ExceptionSafety, SetChangesNothingOrAll) {
  fail_each(allocations, [](World& world) { world.number.set(2); });
  EXPECT_GE(fail_each(allocations, [](World& world) { world.new_number.set(2); }), 0);
  EXPECT_GE(fail_each(allocations, [](World& world) { world.text.set("two"); }), 1);
  EXPECT_GE(fail_each(allocations, [](World& world) { world.new_text.set("two"); }), 1);
  EXPECT_GE(fail_each(allocations, [](World& world) { world.new_fragile.set(Fragile(2)); }), 1);
  for (Fuse* fuse : {&allocations, &moves}) {
    EXPECT_GE(fail_each(*fuse, [](World& world) { world.fragile.set(Fragile(2)); }), 1);
    EXPECT_GE(fail_each(*fuse, [](World& world) { world.fragile.set(world.fragile.get()); }), 1);
  }
}

// M3
TEST_P(ExceptionSafety, UnsetChangesNothingOrAll) {
  const int copies = std::get<1>(GetParam()) ? 1 : 0;
  EXPECT_GE(fail_each(allocations, [](World& world) { world.number.unset(); }), copies);
  EXPECT_GE(fail_each(allocations, [](World& world) { world.fragile.unset(); }), copies);
  fail_each(allocations, [](World& world) { world.new_number.unset(); });
}

// M3, P10
TEST_P(ExceptionSafety, ResetChangesNothingOrAllAndTheTokenIsStillGood) {
  const int copies = std::get<1>(GetParam()) ? 1 : 0;
  EXPECT_GE(
      fail_each(allocations, [](World& world) { world.fragile.reset(std::move(*world.token)); }),
      copies);
}

// M3, F-A2
TEST_P(ExceptionSafety, AScopeSetsAllOfItsVariablesOrNone) {
  for (Fuse* fuse : {&allocations, &moves}) {
    EXPECT_GE(fail_each(*fuse,
                        [&](World& world) {
                          const Scope scope{world.fragile, Fragile(2)};
                          EXPECT_FALSE(fuse->disarm());
                        }),
              1);
    EXPECT_GE(fail_each(*fuse,
                        [&](World& world) {
                          const Scope scope{
                              world.number,      2,         world.text,    taskctx::unset,
                              world.new_text,    "two",     world.fragile, Fragile(2),
                              world.new_fragile, Fragile(3)};
                          EXPECT_FALSE(fuse->disarm());
                        }),
              2);
  }
}

// M3, F-C3: only where a snapshot is out does closing need memory.
TEST_P(ExceptionSafety, AScopeThatHasNoMemoryToCloseIsReportedAndTheOthersClose) {
  const int alive = Tracked::alive();
  in_new_world([](World& world) {
    const State before = world.state();
    const MisuseRecorder recorder;
    Context inside;
    {
      const Scope scope{world.number, 2, world.fragile, Fragile(2)};
      inside = copy_context();
      allocations.arm(0);
    }
    EXPECT_TRUE(allocations.disarm());
    ASSERT_EQ(recorder.messages().size(), 1U);
    EXPECT_EQ(recorder.messages()[0].rfind(
                  "cannot close scope of variable 'fragile': out of memory (set at ", 0),
              0U)
        << recorder.messages()[0];
    EXPECT_NE(recorder.messages()[0].find("exception_safety_test.cc:"), std::string::npos);
    EXPECT_EQ(world.fragile.get().value(), 2) << "as it was";
    inside = Context();
    world.fragile.reset(std::move(*world.token));
    world.token.emplace(world.fragile.set(Fragile(1)));
    State after = world.state();
    after.same_as_snapshot = before.same_as_snapshot;  // Another box.
    after.alive = before.alive;
    EXPECT_TRUE(after == before);
  });
  EXPECT_EQ(Tracked::alive(), alive);
}

// M3, P15
TEST_P(ExceptionSafety, ARunOrABoundCallThatFailsHasChangedNothing) {
  EXPECT_GE(
      fail_each(allocations,
                [](World& world) { world.other.run([&] { world.fragile.set(Fragile(2)); }); }),
      2);
  EXPECT_GE(fail_each(allocations,
                      [](World& world) {
                        taskctx::bind([&] { world.number.set(2); })();
                        taskctx::bind(world.other, [&] { world.fragile.set(Fragile(2)); })();
                      }),
            3);
  EXPECT_GE(fail_each(moves,
                      [](World& world) {
                        const Fragile argument(2);
                        taskctx::bind([argument] { (void)argument; })();
                        world.other.run([](Fragile /*copy*/) {}, argument);
                      }),
            2);
}

// M3, F-A5
TEST_P(ExceptionSafety, GetWithADefaultChangesNothing) {
  for (const bool is_set : {false, true}) {
    EXPECT_GE(fail_each(moves,
                        [&](World& world) {
                          const Fragile otherwise(2);
                          (void)(is_set ? world.fragile : world.new_fragile).get(otherwise);
                        }),
              1);
  }
}

// M3, F-A9: a variable that could not be made, or not set for the first time, is no burden.
TEST_P(ExceptionSafety, MakingAVariableChangesNothingOrAll) {
  const std::string long_name(100, 'n');
  for (Fuse* fuse : {&allocations, &moves}) {
    EXPECT_GE(fail_each(*fuse,
                        [&](World& /*world*/) {
                          const ContextVar<Fragile> variable(long_name, Fragile(2));
                          EXPECT_EQ(variable.get().value(), 2);
                        }),
              1);
  }
  EXPECT_GE(fail_each(allocations,
                      [&](World& /*world*/) {
                        const ContextVar<Fragile> variable(long_name);
                        const Scope scope{variable, Fragile(2)};
                        EXPECT_FALSE(allocations.disarm());
                      }),
            2);
}

// M4, F-B2: so they can't fail, and cost nothing of the kind.
TEST_P(ExceptionSafety, ReadingCopyingEnteringBindingAndComparingAllocateNothing) {
  const int failures = fail_each(allocations, [](World& world) {
    const int* found = world.number.find();
    EXPECT_EQ(found != nullptr ? world.number.get() : world.number.get(1), 1);
    const Context here = copy_context();
    Context copy = here;
    copy.run([&] { EXPECT_EQ(world.text.get(), "one"); });
    taskctx::bind([&] { EXPECT_EQ(world.fragile.get().value(), 1); })();
    EXPECT_TRUE(copy == here);
    std::size_t count = 0;
    for (const auto& entry : here) {
      count += entry.name().empty() ? 0 : 1;
    }
    EXPECT_TRUE(count == here.size() && here.contains(world.number));
    Context moved = std::move(copy);
    copy = moved;
  });
  EXPECT_EQ(failures, 0);
}

// A leaf grows in steps of four slots up to 62, a wide node has 3,968 slots of its own, and another
// level begins at 7,936. A world has three variables that are set, so the next write is behind
// them.
INSTANTIATE_TEST_SUITE_P(Widths, ExceptionSafety,
                         testing::Combine(testing::Values(0, 1, 4, 5, 29, 58, 59, 60, 121, 3964,
                                                          3965, 7933),
                                          testing::Bool()));

}  // namespace
