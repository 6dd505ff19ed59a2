// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of carried values and of executors, and what the compiler says of them
// (compile_errors_test.py).

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_executor.h"
#include "taskctx/task.h"

#define TEST(suite, name) void suite##_##name()

namespace {

struct Pool {
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  void add(const std::function<void()>& work) const { work(); }
};

struct Arena {
  void enqueue(const std::function<void()>& work) { work(); }
};

[[maybe_unused]] taskctx::Task<> task() { co_return; }

}  // namespace

// J103
// error: Carried<T> has a T of its own: take a pointer, or std::reference_wrapper, for a reference
TEST(CarriedErrors, AReferenceIsNotCarried) {
  int n = 0;
  const taskctx::Carried<int&> c(n);
}

// J103
// error: Carried<T> has a T of its own
// lines: 40
TEST(CarriedErrors, NothingIsNotCarried) { const taskctx::Carried<void> c; }

// J103
// error: run(f, args...) calls f(value, args...), with the value as value() returns it: that is not
TEST(CarriedErrors, TheFunctionTakesTheValue) {
  taskctx::Carried<int> c(1);
  c.run([](const std::string&) {});
}

// J103
// error: run(f, args...) calls f(value, args...), with the value as value() returns it: that is not
TEST(CarriedErrors, AConstantIsNotChanged) {
  const taskctx::Carried<int> c(1);
  c.run([](int& value) { ++value; });
}

// J103, J94
// error: a Task runs in its awaiter's context: pool.spawn({.context = item.context()}, task)
TEST(CarriedErrors, ACoroutineIsNotRun) {
  taskctx::Carried<int> c(1);
  c.run([](int) { return task(); });
}

// J103
// error: cannot convert | no viable conversion from
TEST(CarriedErrors, AValueDoesNotLoseItsContextUnnoticed) {
  const taskctx::Carried<int> c(1);
  const int i = c;
  (void)i;
}

// J103
// error: use of deleted function | call to implicitly-deleted copy constructor | call to deleted
// lines: 40
TEST(CarriedErrors, WhatHasNoCopyIsNotCopied) {
  const taskctx::Carried<std::unique_ptr<int>> c(std::make_unique<int>(1));
  const auto copy = c;
}

// J103
// error: this is no executor: it has none of execute(f), post(f), add(f), enqueue(f) and submit(f)
TEST(ExecutorErrors, ANumberIsNoExecutor) { const taskctx::ContextExecutor e{3}; }

// J103
// error: this is no executor: it has none of execute(f), post(f), add(f), enqueue(f) and submit(f)
TEST(ExecutorErrors, AFunctionOfSomethingElseIsNone) {
  const taskctx::ContextExecutor e{[](int) {}};
}

// J103
// error: the functions of this executor are not const: give it by std::ref(executor), or by a
TEST(ExecutorErrors, ACopyWouldBeAnotherArena) {
  Arena arena;
  const taskctx::ContextExecutor e{arena};
}

// J103
// error: this executor can't be moved: give it by std::ref(executor), or by a pointer
// lines: 40
TEST(ExecutorErrors, WhatHasNoCopyIsGivenByReference) {
  Pool pool;
  const taskctx::ContextExecutor e{pool};
}

// J103, J94
// error: a Task runs in its awaiter's context: spawn it
// lines: 40
TEST(ExecutorErrors, ACoroutineIsNotGiven) {
  const Pool pool;
  taskctx::ContextExecutor{&pool}.add(task);
}

// J103
// error: std::function target must be copy-constructible
// lines: 50
TEST(ExecutorErrors, WhatTheExecutorCopiesHasACopy) {
  const Pool pool;
  taskctx::ContextExecutor{&pool}.add([owner = std::make_unique<int>(1)] { (void)owner; });
}

// J103
// silent:
TEST(CarriedErrors, WhatIsRightIsNotRefused) {
  std::priority_queue<taskctx::Carried<int>> queue;
  queue.push(1);
  queue.emplace(2);
  (void)queue.top().run([](const int& value) { return value; });
  taskctx::Carried moved(std::make_unique<int>(1));
  (void)std::move(moved).run([](std::unique_ptr<int> value) { return value; });
  std::vector<taskctx::Carried<std::string>> batch(2);
  batch.push_back("text");
  batch.push_back({taskctx::Context(), "text"});
  for (auto& item : batch) {
    (void)item.run(&std::string::size);
    item.run([](std::string& text, int more) { text += static_cast<char>(more); }, 1);
  }
  const Pool pool;
  Arena arena;
  const taskctx::ContextExecutor by_pointer{&pool};
  by_pointer.add([] {});
  taskctx::ContextExecutor{std::ref(arena)}.enqueue([] {});
  const auto inline_executor = taskctx::ContextExecutor{[](auto f) { return f(); }};
  (void)(inline_executor([] { return 1; }) + 1);
}
