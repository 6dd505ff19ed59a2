// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of variables, scopes and contexts, and what the compiler says of them
// (compile_errors_test.py).

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/observer.h"
#include "taskctx/policy.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/suppress_propagation.h"

#define TEST(suite, name) void suite##_##name()

inline taskctx::ContextVar<std::string> user{"user", "nobody"};
inline taskctx::ContextVar<int> depth{"depth", 0};

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AScopeIsWarnedOf) { taskctx::Scope{user, "ann"}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AScopeWithItsTypeIsWarnedOf) { taskctx::Scope<std::string>(user, "ann"); }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AScopeOfSeveralIsWarnedOf) { taskctx::Scope{user, "ann", depth, 1}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AScopeOfATokenIsWarnedOf) { taskctx::Scope{depth.set(1)}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AContextScopeIsWarnedOf) {
  taskctx::Context context;
  taskctx::ContextScope{context};
}

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, ASuppressionIsWarnedOf) { taskctx::SuppressPropagation{}; }

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AnObserverIsWarnedOf) {
  taskctx::SwitchObserver([](const taskctx::Context&, const taskctx::Context&) {});
}

// J90
// silent:
TEST(UnnamedGuards, NamedOnesAreNot) {
  taskctx::Context context;
  const taskctx::Scope scope{user, "ann", depth, 1};
  const taskctx::Scope token{depth.set(1)};
  const taskctx::ContextScope entered{context};
  const taskctx::SuppressPropagation suppressed;
  const taskctx::SwitchObserver observer([](const taskctx::Context&, const taskctx::Context&) {});
}
