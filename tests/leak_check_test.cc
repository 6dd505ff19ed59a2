// SPDX-License-Identifier: Apache-2.0
//
// LeakCheck: what a test leaves set, entered or held fails it.

#include "taskctx/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <string>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_of.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/scope.h"
#include "tests/user_and_retries.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using namespace taskctx::gtest;
using testing::IsEmpty;

// F-L3
TEST(LeakCheckTest, PassesATestThatPutsEverythingBack) {
  const Scope outer{user, "outer"};
  const LeakCheck leaks;
  EXPECT_EQ(user.get(), "outer") << "it begins with what is there";
  {
    const Scope inner{user, "inner", retries, taskctx::unset};
    const auto bound = taskctx::bind([] { retries.set(9); });
    bound();
    Context context = copy_context();
    context.run([] { user.set("run"); });
  }
  retries.reset(retries.set(5));
  const IsolatedContext isolated;
  user.set("isolated");
}

// F-L3, T9: what the thread knows of an exception is not the test's.
TEST(LeakCheckTest, PassesATestThatHasCaughtWhatABodyHasThrown) {
  const LeakCheck leaks;
  try {
    const internal::BodiesCall call;
    Context().run([&call] {
      user.set("thrower");
      try {
        throw 1;
      } catch (...) {
        call.remember();
        throw;
      }
    });
  } catch (int) {
    EXPECT_EQ(*context_of(std::current_exception()).find(user), "thrower");
  }
}

// F-L3
TEST(LeakCheckTest, NamesAVariableThatIsStillSet) {
  const auto leave_two_set = [] {
    const LeakCheck leaks;
    user.set("ann");
    retries.set(5);
  };
  EXPECT_NONFATAL_FAILURE(leave_two_set(), "variable 'user' is still set");
  EXPECT_NONFATAL_FAILURE(leave_two_set(), "variable 'retries' is still set");
  EXPECT_THAT(copy_context(), IsEmpty()) << "the next test has nothing of it";
}

// F-L3
TEST(LeakCheckTest, NamesAVariableThatHasAnotherValueThanBefore) {
  const Scope outer{user, "outer", retries, 1};
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        retries.set(2);
      },
      "variable 'retries' still has another value than before");
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        user.set("inner");
      },
      "variable 'user' still has another value than before");
  EXPECT_EQ(user.get(), "outer");
}

// F-L3
TEST(LeakCheckTest, NamesAVariableThatIsStillUnset) {
  const Scope outer{user, "outer"};
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        user.unset();
      },
      "variable 'user' is still unset");
  EXPECT_EQ(user.get(), "outer");
}

// F-L3
TEST(LeakCheckTest, FindsAContextThatWasNotLeft) {
  static auto* const never_left = new Context;
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        never_left->enter();
      },
      "a context that was entered was not left");
  EXPECT_THAT(copy_context(), IsEmpty());
}

// F-L3: no node of a context is left over.
TEST(LeakCheckTest, FindsASnapshotThatIsStillHeld) {
  Context held;
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        const Scope scope(user, "ann");
        held = copy_context();
      },
      "a snapshot is still held, by a Context, a bound callable or a job (1 node)");
  std::function<void()> callback;
  EXPECT_NONFATAL_FAILURE(
      {
        const LeakCheck leaks;
        const Scope scope(user, "bob");
        callback = taskctx::bind([] {});
      },
      "a snapshot is still held");
  EXPECT_THAT(held, Binds(user, "ann"));
}

// F-L3
TEST(LeakCheckTest, IsNotMisledBySnapshotsThatWereThereBefore) {
  Context before = context_with("ann");
  const LeakCheck leaks;
  before = Context();
}

// F-L3
TEST(LeakCheckTest, ReportsThePlaceWhereItBegan) {
  testing::TestPartResultArray failures;
  int line = 0;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    const LeakCheck leaks;
    line = __LINE__ - 1;
    user.set("ann");
  }
  ASSERT_EQ(failures.size(), 1);
  EXPECT_THAT(failures.GetTestPartResult(0).file_name(), testing::EndsWith("leak_check_test.cc"));
  EXPECT_EQ(failures.GetTestPartResult(0).line_number(), line);
}

// F-L3
TEST(LeakCheckTest, CanBeAskedBeforeItsEnd) {
  const LeakCheck outer;
  LeakCheck good;
  EXPECT_TRUE(good.end());
  LeakCheck bad;
  user.set("ann");
  const testing::AssertionResult result = bad.end();
  EXPECT_FALSE(result);
  EXPECT_STREQ(result.message(), "the test left something behind:\n  variable 'user' is still set");
  EXPECT_THAT(user, IsUnset()) << "the context around the check is back";
}

class LeakCheckInAFixture : public testing::Test {
 private:
  LeakCheck leaks_;
  IsolatedContext context_;
};

// F-L3: the context, as the later member, is gone before the check ends.
TEST_F(LeakCheckInAFixture, GoesWithAnIsolatedContext) { user.set("ann"); }

}  // namespace
