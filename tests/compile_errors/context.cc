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

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, AValueIsMissing) { taskctx::Scope scope{user}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, AValueIsMissingAtTheEnd) { taskctx::Scope scope{user, "ann", depth}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, AValueIsMissingInTheMiddle) { taskctx::Scope scope{user, depth, 1}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, AVariableIsMissing) { taskctx::Scope scope{user, "ann", 1, 2}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, APointerIsNoVariable) { taskctx::Scope scope{&user, "ann"}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, ANameIsNoVariable) { taskctx::Scope scope{"user", "ann"}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
TEST(ScopeErrors, TwoTokensNeedTwoScopes) { taskctx::Scope scope{user.set("ann"), depth.set(1)}; }

// J91
// error: write a value after each variable: Scope scope{a, 1, b, 2};
// lines: 16
TEST(ScopeErrors, AMembersValueIsMissing) {
  struct Member {
    taskctx::Scope<std::string> scope{user};
  };
  Member member;
}

// J91
// error: a token is used up: Scope scope{std::move(token)};
TEST(ScopeErrors, ATokenIsMoved) {
  auto token = depth.set(1);
  taskctx::Scope scope{token};
}

// J91
// error: use of deleted function | deleted constructor
TEST(ScopeErrors, AScopeIsNotCopied) {
  taskctx::Scope scope{user, "ann"};
  auto copy = scope;
}

// J91
// error: use of deleted function | deleted constructor
TEST(ScopeErrors, AScopeIsNotMoved) {
  taskctx::Scope scope{user, "ann"};
  auto copy = std::move(scope);
}

// J91
// silent:
TEST(ScopeErrors, WhatIsRightIsNotRefused) {
  struct Derived : taskctx::ContextVar<int> {
    using ContextVar::ContextVar;
  };
  static const Derived derived{"derived"};
  struct Member {
    taskctx::Scope<std::string> scope{user, "ann"};
  };
  const Member member;
  std::optional<taskctx::Scope<std::string>> maybe;
  maybe.emplace(user, "ann");
  const taskctx::Scope three{depth, 1, derived, 2, user, taskctx::unset};
  const auto as = [](const std::string& name) { return taskctx::Scope{user, name}; };
  const auto returned = as("ann");
}
