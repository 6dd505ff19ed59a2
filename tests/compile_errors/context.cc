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
#include "taskctx/context_var_options.h"
#include "taskctx/observer.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/suppress_propagation.h"

#define TEST(suite, name) void suite##_##name()

inline taskctx::ContextVar<std::string> user{"user", "nobody"};
inline taskctx::ContextVar<int> depth{"depth", 0};

struct Service {
  int run() { return 1; }
  int add(int a, int b) const { return a + b; }
  int number = 3;
};

// J90
// warning: give it a name: without one it ends at once
TEST(UnnamedGuards, AScopeIsWarnedOf) { taskctx::Scope{user, "ann"}; }

// M35
// error: use of deleted function | call to deleted constructor
TEST(ScopeErrors, AValueOfAnotherTypeIsRefused) { taskctx::Scope scope{depth, "soon"}; }

// M35
// error: use of deleted function | call to deleted constructor
TEST(ScopeErrors, ALaterValueOfAnotherTypeIsRefused) {
  taskctx::Scope scope{user, "ann", depth, "soon"};
}

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

// J92
// error: a ContextVar holds no reference: use a pointer, or a std::reference_wrapper
TEST(VariableErrors, AReferenceIsNoValue) { taskctx::ContextVar<int&> variable{"variable"}; }

// J92
// error: leave out const and volatile: a value that is set never changes
TEST(VariableErrors, AConstantIsNoValue) { taskctx::ContextVar<const int> variable{"variable", 1}; }

// J92
// error: a ContextVar holds no array: use a std::array
TEST(VariableErrors, AnArrayIsNoValue) { taskctx::ContextVar<int[3]> variable{"variable"}; }

// J92
// error: a ContextVar holds no function and no void: use a pointer
TEST(VariableErrors, VoidIsNoValue) { taskctx::ContextVar<void> variable{"variable"}; }

// J92
// error: a ContextVar holds what can be moved: use a std::shared_ptr
TEST(VariableErrors, WhatCannotBeMovedIsNoValue) {
  taskctx::ContextVar<std::mutex> variable{"variable"};
}

// J92
// error: a ContextVar holds what can be moved: use a std::shared_ptr
TEST(VariableErrors, AnAbstractClassIsNoValue) {
  struct Shape {
    virtual ~Shape() = default;
    virtual void draw() = 0;
  };
  taskctx::ContextVar<Shape> variable{"variable"};
  variable.get().draw();
}

// J92
// error: use of deleted function 'taskctx::v1::ContextVar | call to deleted constructor of
// 'taskctx::ContextVar
TEST(VariableErrors, AVariableIsNotCopied) { taskctx::ContextVar<std::string> copy = user; }

// J92
// error: conversion from 'taskctx::v1::ContextVar | no viable conversion from 'taskctx::ContextVar
// lines: 22
TEST(VariableErrors, AVariableIsNotAValue) { std::string text = user; }

// J92
// error: invalid conversion from 'const char*' to 'int' | cannot initialize a parameter of type
// 'int' lines: 12
TEST(VariableErrors, AValueOfAnotherTypeIsRefused) { depth.set("three"); }

// J92
// error: cannot convert 'int' to | no viable conversion from 'int'
// lines: 25
TEST(VariableErrors, ANumberIsNoString) { user.set(3); }

// J92
// error: what get() is to return otherwise is no value of the variable's type
TEST(VariableErrors, WhatIsReturnedOtherwiseIsAValue) { depth.get("x"); }

// J92
// error: this token is another variable's: only set() of this one makes tokens for it
TEST(VariableErrors, AnotherVariablesTokenIsRefused) { user.reset(depth.set(1)); }

// J92
// error: a token is used up: reset(std::move(token))
TEST(VariableErrors, ATokenIsMovedIntoReset) {
  auto token = depth.set(1);
  depth.reset(token);
}

// J92
// error: use of deleted function | call to deleted constructor of
TEST(VariableErrors, ATokenIsNotCopied) {
  auto token = depth.set(1);
  auto other = token;
}

// J92
// error: use of deleted function | call to deleted constructor
TEST(VariableErrors, AVariableHasAName) { taskctx::ContextVar<int> variable; }

// J92
// error: the default is no value of the variable's type
TEST(VariableErrors, ADefaultOfAnotherTypeIsRefused) {
  taskctx::ContextVar<int> variable{"x", "y"};
}

// J92
// error: give a function, or a lambda without captures, with the types that this option has
TEST(VariableErrors, AMergeFunctionHasNoCaptures) {
  int n = 0;
  taskctx::ContextVar<int> variable{
      "x", {.merge = [&](const int& a, const int& b) { return a + b + n; }}};
}

// J92
// error: give a function, or a lambda without captures, with the types that this option has
TEST(VariableErrors, AMergeFunctionTakesConstants) {
  taskctx::ContextVar<std::string> variable{
      "x", {.merge = [](std::string& a, std::string& b) { return a + b; }}};
}

// J92
// error: give a function, or a lambda without captures, with the types that this option has
TEST(VariableErrors, ADefaultFactoryHasNoCaptures) {
  int n = 0;
  taskctx::ContextVar<int> variable{"x", {.default_factory = [&] { return n; }}};
}

// J92
// error: give a function, or a lambda without captures, with the types that this option has
TEST(VariableErrors, OnChangeHasNoCaptures) {
  int n = 0;
  taskctx::ContextVar<int> variable{"x", {.on_change = [&](const taskctx::Change<int>&) { ++n; }}};
}

// J92
// error: give policy::copy() a function, or a lambda without captures, that makes a T of a const T&
// says lines: 16
TEST(VariableErrors, ACopyPolicyHasNoCaptures) {
  int n = 0;
  taskctx::ContextVar<int> variable{
      "x", {.policy = taskctx::policy::copy([&](const int& i) { return i + n; })}};
}

// J92
// error: run() changes the context: run a copy, or use bind()
TEST(ContextErrors, AConstantIsNotRun) {
  const taskctx::Context c = taskctx::copy_context();
  c.run([] {});
}

// J92
// error: run(f, args...) calls f(args...), which is not possible here
TEST(ContextErrors, ArgumentsOfRunFit) {
  taskctx::Context c = taskctx::copy_context();
  c.run([](int) {});
}

// J92
// error: run(f, args...) calls f(args...), which is not possible here
TEST(ContextErrors, RunCallsAFunction) {
  taskctx::Context c = taskctx::copy_context();
  c.run(3);
}

// J92
// error: has no member named 'get' | no member named 'get'
TEST(ContextErrors, AContextHasNoGet) {
  taskctx::Context c = taskctx::copy_context();
  c.get(user);
}

// J92
// error: has no member named 'set' | no member named 'set'
TEST(ContextErrors, AContextHasNoSet) {
  taskctx::Context c = taskctx::copy_context();
  c.set(user, "x");
}

// J92
// error: filtered() takes a function of a const ContextEntry& that returns bool
TEST(ContextErrors, AFilterTakesEntries) {
  (void)taskctx::copy_context().filtered([](int) { return true; });
}

// J92
// warning: ignoring return value of
TEST(ContextErrors, ADroppedCopyIsWarnedOf) { taskctx::copy_context(); }

// J92
// error: update() takes a function that changes the value: [](T& value)
TEST(ContextErrors, AnUpdateTakesTheValue) {
  taskctx::Shared<int> shared;
  shared.update([](const std::string&) {});
}

// J93
// error: write bind(function, arguments...), and std::move() what has no copy
TEST(BindErrors, ANumberIsNotCalled) {
  auto b = taskctx::bind(3);
  b();
}

// J93
// error: no match for call to | no matching function for call to object of type
// lines: 62
TEST(BindErrors, ArgumentsFit) {
  auto b = taskctx::bind([](int) {});
  b("x");
}

// J93
// error: std::function target must be copy-constructible
// lines: 40
TEST(BindErrors, AStdFunctionNeedsACopy) {
  std::function<void()> b = taskctx::bind([p = std::make_unique<int>(1)] {});
}

// J93
// error: std::thread arguments must be invocable after conversion to rvalues
// lines: 49
TEST(BindErrors, AThreadGivesAllArguments) {
  std::thread t(taskctx::bind([](int) {}));
}

// J93
// warning: ignoring return value of
TEST(BindErrors, ADroppedOneIsWarnedOf) {
  taskctx::bind([](int) {});
}

// J93
// error: write bind(function, arguments...), and std::move() what has no copy
TEST(BindErrors, AContextIsNotCalled) {
  auto b = taskctx::bind(taskctx::Context());
  b();
}

// J92
// silent:
TEST(VariableErrors, WhatIsRightIsNotRefused) {
  static constexpr auto add = [](const auto& a, const auto& b) { return a + b; };
  static const taskctx::ContextVar<int> count{
      "count",
      {.default_factory = [] { return 1; },
       .policy = taskctx::policy::copy([](const int& parents) { return parents + 1; }),
       .on_change = [](const taskctx::Change<int>&) {},
       .merge = add}};
  static const taskctx::ContextVar<std::string> name{"name", "nobody"};
  static const taskctx::ContextVar<std::unique_ptr<int>> pointer{"pointer"};
  static const taskctx::ContextVar<std::reference_wrapper<const int>> reference{"reference"};
  auto token = count.set(1);
  count.reset(std::move(token));
  count.reset(count.set(static_cast<short>(2)));
  (void)name.get("otherwise");
  taskctx::Context context = taskctx::copy_context();
  (void)context.run([](int i) { return i; }, 1);
  (void)context.filtered([](const auto& entry) { return entry.name() == "name"; });
  const taskctx::Shared<std::string> shared("shared");
  (void)shared.update([](auto& value) { value += "!"; });
}

// J93
// silent:
TEST(BindErrors, WhatIsRightIsNotRefused) {
  Service service;
  const taskctx::Context context;
  std::thread member(taskctx::bind(&Service::run, &service));
  member.join();
  std::jthread stoppable(taskctx::bind([](const std::stop_token&) {}));
  (void)taskctx::bind(&Service::add, std::ref(service), 1)(2);
  (void)taskctx::bind(&Service::number, service)();
  (void)taskctx::bind(context, &Service::add, service)(1, 2);
  (void)taskctx::bind([](const taskctx::Context& given) { return given.size(); }, context)();
  (void)taskctx::bind(
      context, [](const taskctx::Context& given) { return given.size(); }, context)();
  (void)taskctx::bind([](std::unique_ptr<int> p) { return *p; }, std::make_unique<int>(1))();
  const std::function<int(int)> copied = taskctx::bind([](int i) { return i; });
  std::packaged_task<int()> task(taskctx::bind([] { return 1; }));
  static_assert(!std::is_invocable_v<decltype(taskctx::bind([](int) {})), std::string>);
}
