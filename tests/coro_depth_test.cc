// SPDX-License-Identifier: Apache-2.0
//
// Coroutines in one another, as deep as memory allows: they end on a small stack, however they end,
// the innermost first.

#include <gtest/gtest.h>
#include <pthread.h>

#include <coroutine>
#include <exception>
#include <functional>
#include <latch>
#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/task.h"
#include "tests/foreign.h"
#include "tests/manual.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr int kDeep = 1'000'000;

const ContextVar<std::string> request{"request", "none"};

// Runs a function on a thread with a stack of 256 KiB.
void on_small_stack(std::function<void()> function) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread{};
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &function), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

enum class Bottom { suspends, returns, throws, yields };

Task<int> nested(int levels, Bottom bottom) {
  if (levels > 0) {
    co_return 1 + co_await nested(levels - 1, bottom);
  }
  if (bottom == Bottom::suspends) {
    co_await std::suspend_always();
  } else if (bottom == Bottom::yields) {
    while (true) {
      co_await taskctx::yield();
    }
  } else if (bottom == Bottom::throws) {
    throw std::runtime_error("bottom");
  }
  co_return 0;
}

// Each was given the one that it awaits.
Task<int> one_more(Task<int> inner) { co_return 1 + co_await inner; }
Task<int> given(int levels, Bottom bottom) {
  Task<int> task = nested(0, bottom);
  for (int i = 0; i < levels; ++i) {
    task = one_more(std::move(task));
  }
  return task;
}

taskctx::AsyncGenerator<int> generators(int levels) {
  if (levels == 0) {
    co_await std::suspend_always();
    co_return;  // Never: but clang would warn of a recursion without end.
  }
  auto inner = generators(levels - 1);
  while (const int* value = co_await inner.next()) {
    co_yield *value;
  }
}
Task<int> first_of(taskctx::AsyncGenerator<int> generator) { co_return *co_await generator.next(); }

template <typename T>
Plain awaits(Task<T> task) {
  co_await task;
}
Manual awaits_in_its_context(Task<int> task) { co_await task; }

// J81
TEST(Depth, SuspendedTasksAreDestroyedOnASmallStack) {
  on_small_stack([] {
    const Plain awaited_in_place = awaits(nested(kDeep, Bottom::suspends));
    const Plain awaited_as_given = awaits(given(kDeep, Bottom::suspends));
    Manual in_its_context = awaits_in_its_context(nested(kDeep, Bottom::suspends));
    in_its_context.resume();
  });
}

// J81
TEST(Depth, TasksThatHaveNotBegunAreDestroyedOnASmallStack) {
  on_small_stack([] {
    { const Task<int> dropped = given(kDeep, Bottom::returns); }
    JobPool pool{{.concurrency = 1}};
    std::latch busy(1);
    pool.post([&busy] { busy.wait(); });
    auto job = pool.spawn(given(kDeep, Bottom::returns));
    EXPECT_TRUE(job.cancel());
    busy.count_down();
    pool.shutdown();
    EXPECT_THROW((void)pool.spawn(given(kDeep, Bottom::returns)), taskctx::JobError);
    EXPECT_THROW(
        taskctx::sync_wait([](JobPool& closed) -> Task<> { co_await closed.schedule(); }(pool)),
        taskctx::JobError);
  });
}

// J81
TEST(Depth, TasksReturnAndThrowThroughAllLevelsOnASmallStack) {
  on_small_stack([] {
    for (auto* make : {&nested, &given}) {
      EXPECT_EQ(taskctx::sync_wait(make(kDeep, Bottom::returns)), kDeep);
      EXPECT_THROW(taskctx::sync_wait(make(kDeep / 10, Bottom::throws)), std::runtime_error);
    }
  });
}

// J81
TEST(Depth, ACancelledJobEndsThroughAllLevels) {
  const Watchdog watchdog("ACancelledJobEndsThroughAllLevels");
  JobPool pool{{.concurrency = 1}};
  for (auto* make : {&nested, &given}) {
    Job<int> job = pool.spawn(make(kDeep / 10, Bottom::yields));
    job.cancel();
    EXPECT_THROW(job.get(), taskctx::JobCancelled);
  }
}

// J81
TEST(Depth, GeneratorsThatAreAtWorkAreDestroyedOnASmallStack) {
  on_small_stack([] { const Plain awaiting = awaits(first_of(generators(kDeep / 10))); });
}

struct Log {
  ~Log() { text += name + " in " + request.get() + "\n"; }
  std::string& text;
  std::string name;
};

Task<> innermost(std::string& text, const Log& outer) {
  const Scope scope{request, "innermost"};
  const Log log{text, "innermost, within " + outer.name};
  co_await std::suspend_always();
}
taskctx::AsyncGenerator<int> middle(std::string& text, const Log& outer) {
  const Scope scope{request, "middle"};
  const Log log{text, "middle, within " + outer.name};
  co_await innermost(text, log);
  co_yield 1;
}
Task<> outermost(std::string& text) {
  const Scope scope{request, "outermost"};
  const Log log{text, "outermost"};
  auto generator = middle(text, log);
  co_await generator.next();
}

// J82
TEST(Depth, TheInnermostEndsFirstEachInItsContext) {
  const taskctx_test::MisuseRecorder recorder;
  const Scope scope{request, "mine"};
  std::string text;
  { const Plain awaiting = awaits(outermost(text)); }
  EXPECT_EQ(text,
            "innermost, within middle, within outermost in innermost\n"
            "middle, within outermost in middle\n"
            "outermost in outermost\n");
  EXPECT_EQ(request.get(), "mine");
  EXPECT_TRUE(recorder.messages().empty());
}

Task<> holds(Tracked /*tracked*/) { co_await std::suspend_always(); }
Task<> awaits_from_outside(Task<>& task, Tracked /*tracked*/) { co_await task; }

// J82: who is destroyed takes with it what it awaits, and nothing else.
TEST(Depth, ATaskInTheMiddleMayBeDestroyedOrMoved) {
  {
    Task<> inner = holds(Tracked(1));
    {
      const Plain awaiting = awaits(awaits_from_outside(inner, Tracked(2)));
      Task<> moved = std::move(inner);
      inner = std::move(moved);
      EXPECT_EQ(Tracked::alive(), 2);
    }
    EXPECT_EQ(Tracked::alive(), 0);
  }
  {
    Task<> inner = holds(Tracked(1));
    const Plain awaiting = awaits(awaits_from_outside(inner, Tracked(2)));
    inner = Task<>();
    EXPECT_EQ(Tracked::alive(), 1);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

Task<int> gives_away(Task<int> task, Task<int>& to) {
  to = std::move(task);
  co_return 1;
}

// J82
TEST(Depth, ATaskThatWasGivenAwayIsLeftAlone) {
  Task<int> kept;
  EXPECT_EQ(taskctx::sync_wait(gives_away(nested(2, Bottom::returns), kept)), 1);
  EXPECT_EQ(taskctx::sync_wait(std::move(kept)), 2);
}

}  // namespace
