// SPDX-License-Identifier: Apache-2.0
//
// What the misuse handler hears of contexts that are entered and not left.

#include <gtest/gtest.h>

#include <cstdlib>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// P27
TEST(Misuse, DestroyingAnEnteredContextIsReported) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("variable");
  {
    Context context;
    context.enter();
    variable.set(1);
  }
  ASSERT_EQ(recorder.messages().size(), 1U);
  EXPECT_EQ(recorder.messages()[0], "cannot destroy context: it is still entered");
  EXPECT_EQ(variable.find(), nullptr) << "the context before it is back";
}

// P27
TEST(Misuse, LeavingAnotherContextEnteredInsideRunIsReported) {
  const MisuseRecorder recorder;
  static auto* const inner =
      new Context;  // Nobody can leave it any more, so it can't be destroyed.
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  Context outer;
  outer.run([] { inner->enter(); });
  ASSERT_EQ(recorder.messages().size(), 1U);
  EXPECT_EQ(variable.get(), 1) << "the context before run() is back";
  EXPECT_NO_THROW(outer.run([] {}));
  EXPECT_THROW(inner->leave(), taskctx::ContextError);
}

// P27
TEST(MisuseDeathTest, TheDefaultHandlerWritesTheMessage) {
  EXPECT_EXIT(
      {
        taskctx::set_misuse_handler(nullptr);
        {
          Context context;
          context.enter();
        }
        std::_Exit(7);  // Where NDEBUG is defined, the program goes on.
      },
      [](int status) { return testing::KilledBySignal(SIGABRT)(status) || status == 7 << 8; },
      "taskctx: cannot destroy context: it is still entered");
}

}  // namespace
