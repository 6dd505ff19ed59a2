// SPDX-License-Identifier: Apache-2.0
//
// No memory at a variable's first set(), and for a report of misuse.

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/node_memory.h"
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

// M3, F-C3
TEST(ExceptionSafetyOfScopes, MisuseIsReportedWithoutMemoryToo) {
  const ContextVar<int> variable("a name that is too long to be stored in the string itself");
  const MisuseRecorder recorder;
  Context context;
  std::optional<Scope<int>> scope;
  context.run([&] { scope.emplace(variable, 1); });
  allocations.arm(0);
  scope.reset();
  EXPECT_TRUE(allocations.disarm());
  ASSERT_EQ(recorder.messages().size(), 1U);
  EXPECT_EQ(recorder.messages()[0], "the token was made in a different context");
}

// M3, F-A9: the registry grows, too.
TEST(ExceptionSafetyOfVariables, TheFirstSetOfEachChangesNothingOrAll) {
  Context().run([] {
    std::vector<std::unique_ptr<ContextVar<std::string>>> variables(10'000);
    std::size_t failures = 0;
    for (auto& variable : variables) {
      variable = std::make_unique<ContextVar<std::string>>("v");
      for (int n = 0;; ++n) {
        bool has_thrown = false;
        allocations.arm(n);
        try {
          variable->set("s");
        } catch (const std::bad_alloc&) {
          has_thrown = true;
        }
        ASSERT_EQ(allocations.disarm(), has_thrown);
        if (!has_thrown) {
          break;
        }
        ++failures;
        ASSERT_EQ(variable->find(), nullptr);
      }
      ASSERT_EQ(variable->get(), "s");
    }
    EXPECT_EQ(copy_context().size(), variables.size());
    EXPECT_GE(failures, variables.size());
  });
}

// Constant-initialised, and set nowhere else.
constinit ContextVar<std::string> constant{"constant"};

// M3
TEST(ExceptionSafetyOfVariables, TheFirstSetOfAConstantInitialisedOneChangesNothingOrAll) {
  int failures = 0;
  for (bool has_thrown = true; has_thrown; failures += has_thrown ? 1 : 0) {
    has_thrown = false;
    Context().run([&] {
      allocations.arm(failures);
      try {
        constant.set("value");
      } catch (const std::bad_alloc&) {
        has_thrown = true;
      }
      EXPECT_EQ(allocations.disarm(), has_thrown);
      EXPECT_EQ(constant.find() == nullptr, has_thrown);
      EXPECT_EQ(copy_context().empty(), has_thrown);
    });
  }
  EXPECT_GE(failures, 2);
}

}  // namespace
