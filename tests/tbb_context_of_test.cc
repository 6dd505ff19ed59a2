// SPDX-License-Identifier: Apache-2.0
//
// context_of: what a body has thrown, through any door of oneTBB, tells of that body's context.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/tbb_doors.h"
#include "tests/thrower.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

std::vector<Door> doors_that_wait() {
  std::vector<Door> doors;
  for (const Door& door : kDoors) {
    if (door.waits) {
      doors.push_back(door);
    }
  }
  return doors;
}

class EachDoor : public testing::TestWithParam<std::tuple<Door, int>> {
 protected:
  static const Door& door() { return std::get<0>(GetParam()); }
  static int threads() { return std::get<1>(GetParam()); }

  template <typename Body>
  static void open(const Body& body, int calls = 64) {
    Pending pending;
    door().open({body, calls, pending});
  }
};

std::string name_of(const testing::TestParamInfo<std::tuple<Door, int>>& info) {
  return std::get<0>(info.param).name + std::string("_") + std::to_string(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(All, EachDoor,
                         testing::Combine(testing::ValuesIn(doors_that_wait()),
                                          testing::Values(1, 2, 4, 8)),
                         name_of);

// T9: many requests at once, in which many bodies throw at once.
TEST_P(EachDoor, TellsTheContextOfTheBodyWhoseExceptionItThrows) {
  const Watchdog watchdog(door().name);
  StealingArena arena(threads());
  std::atomic<int> wrong{0};
  std::atomic<int> last{0};
  arena->execute([&] {
    ctbb::task_group requests;
    for (int i = 0; i < 4 * threads(); ++i) {
      requests.run([&] {
        for (int round = 0; round < 5; ++round) {
          wrong += static_cast<int>(!outcome([&] { open([&] { fail(++last); }); }).is_right());
          wrong += static_cast<int>(request.find() != nullptr);
        }
      });
    }
    requests.wait();
  });
  EXPECT_EQ(wrong, 0);
}

// T9: the innermost body's, through all calls that the exception passes.
TEST_P(EachDoor, PassesOnWhatIsKnownOfAnInnerCall) {
  StealingArena arena(threads());
  std::atomic<int> last{0};
  const auto inner = [&] {
    request.set(-1);  // Of the outer body.
    ctbb::parallel_for(0, 8, [&](int) { fail(++last); });
  };
  const auto outer = [&](const auto& body) {
    ctbb::parallel_for(0, 1, [&](int) {
      request.set(-2);
      open(body);
    });
  };
  arena->execute([&] {
    for (int round = 0; round < 5; ++round) {
      EXPECT_TRUE(outcome([&] { open(inner); }).is_right());
      EXPECT_TRUE(outcome([&] { outer(inner); }).is_right());
      EXPECT_TRUE(outcome([&] { outer([&] { fail(++last); }); }).is_right());
    }
  });
}

// T9: requests that all throw the same object are told apart.
TEST_P(EachDoor, TellsOfItsOwnBodyWhereOthersThrowTheSameObject) {
  StealingArena arena(threads());
  const std::exception_ptr shared = std::make_exception_ptr(std::runtime_error("shared"));
  std::atomic<int> wrong{0};
  arena->execute([&] {
    ctbb::parallel_for(1, 8 * threads(), [&](int id) {
      try {
        open([&] {
          request.set(id);
          std::rethrow_exception(shared);
        });
      } catch (const std::runtime_error&) {
        wrong += static_cast<int>(thrower() != id);
      }
    });
  });
  EXPECT_EQ(wrong, 0);
}

// T9, P22
TEST_P(EachDoor, KeepsNothingAliveOnceItsErrorIsForgotten) {
  const ContextVar<Tracked> tracked("tracked");
  {
    StealingArena arena(threads());
    arena->execute([&] {
      for (int round = 0; round < 5; ++round) {
        EXPECT_THROW(open([&] {
                       tracked.set(Tracked(1));
                       throw Failed{1};
                     }),
                     Failed);
        EXPECT_GT(Tracked::alive(), 0);
        ctbb::parallel_for(0, 1, [](int) {});
        EXPECT_EQ(Tracked::alive(), 0);
      }
    });
  }
}

}  // namespace
