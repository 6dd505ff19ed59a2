// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of what wraps oneTBB, and of what is for tests, and what the compiler says of them
// (compile_errors_test.py).

#include <string>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"
#include "taskctx/testing.h"

#undef TEST
#define TEST(suite, name) void suite##_##name()

inline taskctx::ContextVar<std::string> user{"user", "nobody"};

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, ACanaryIsWarnedOf) { taskctx::tbb::LostContextCanary{}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AnIsolatedContextIsWarnedOf) { taskctx::gtest::IsolatedContext{}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AnIsolatedCopyIsWarnedOf) {
  taskctx::gtest::IsolatedContext{taskctx::copy_context()};
}

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, ALeakCheckIsWarnedOf) { taskctx::gtest::LeakCheck(); }

// J90
// silent:
TEST(UnnamedGuards, NamedOnesOfTestsAreNot) {
  const taskctx::tbb::LostContextCanary canary;
  const taskctx::gtest::IsolatedContext isolated;
  const taskctx::gtest::IsolatedContext copied(taskctx::copy_context());
  const taskctx::gtest::LeakCheck leaks;
}

// J94
// error: no matching function for call to | no matching member function for call to 'run'
// lines: 40
TEST(CoroutineErrors, AGroupRunsNone) {
  taskctx::tbb::task_group group;
  group.run([]() -> taskctx::Task<> { co_return; });
}
