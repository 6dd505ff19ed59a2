// SPDX-License-Identifier: Apache-2.0
//
// Jobs, threads and static objects that outlive a variable at the program's end: they read what is
// set where they run, or the variable's own default.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using namespace taskctx;

using testing::ExitedWithCode;

std::string long_text(const char* text) { return std::string(text) + std::string(100, '.'); }

// Opens at its end, or by hand.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { open(); }

  void open() { is_open_ = true; }
  void wait() const {
    while (!is_open_) {
      std::this_thread::yield();
    }
  }

 private:
  std::atomic<bool> is_open_{false};
};

// Static objects end in the opposite order of this one.
struct AtTheEnd {
  ~AtTheEnd() {
    if (what != nullptr) {
      what();
    }
  }
  void (*what)() = nullptr;
};

// Outlives all that follows.
AtTheEnd last;
JobPool& static_pool() {  // Only in the child that wants one.
  static JobPool pool({.concurrency = 2});
  return pool;
}
bool wants_pool() {
  const char* scenario = std::getenv("TASKCTX_EXIT_TEST_POOL");
  if (scenario != nullptr) {
    (void)static_pool();
  }
  return scenario != nullptr;
}
const bool has_pool = wants_pool();
Gate variables_are_gone;

// Each way to have a default, and none.
ContextVar<int> number{"number", 5};
ContextVar<std::string> text{"text", long_text("nobody")};
ContextVar<std::string> bare{"bare"};
ContextVar<std::string> computed{"computed",
                                 {.default_factory = [] { return long_text("computed"); }}};
const ContextVar<taskctx::Shared<std::string>> shared{
    "shared", taskctx::Shared<std::string>(long_text("shared"))};

// Writes what is read where `what` has been set.
void say(const char* who) {
  std::fprintf(stderr, "%s: %d %.3s %.3s %.3s %.3s\n", who, number.get(), text.get().c_str(),
               bare.get("not").c_str(), computed.get().c_str(), shared.get().load().c_str());
}

class ExitDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void end_with_a_static_pool() {
  const taskctx_test::Watchdog watchdog("a static pool at exit");
  const Scope scope{number, 7, text, long_text("ann"), bare, long_text("bob")};
  for (int i = 0; i < 8; ++i) {
    static_pool().post([] {
      variables_are_gone.wait();
      say("a job");
    });
  }
  std::exit(0);
}

// V11, V1
TEST_F(ExitDeathTest, JobsOfAPoolThatIsOlderThanTheVariablesReadWhatTheirSnapshotsHold) {
  if (taskctx_test::kThreadSanitizer) {
    GTEST_SKIP() << "the program has a oneTBB of its own, which is younger than the pool";
  }
  setenv("TASKCTX_EXIT_TEST_POOL", "1", 1);
  EXPECT_EXIT(end_with_a_static_pool(), ExitedWithCode(0), "^(a job: 7 ann bob com sha\n){8}$");
  unsetenv("TASKCTX_EXIT_TEST_POOL");
}

[[noreturn]] void end_with_a_late_reader() {
  last.what = [] {
    number.set(6);
    say("the last one");
    try {
      (void)bare.get();
    } catch (const taskctx::LookupError& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    const auto token = bare.set("set at the end");
    std::fprintf(stderr, "%s, %s\n", bare.get().c_str(), std::string(bare.name()).c_str());
  };
  std::exit(0);
}

// V11: a name is there as well, for what has neither a value nor a default.
TEST_F(ExitDeathTest, AVariableThatIsGoneIsNamedWhereItIsNotSet) {
  EXPECT_EXIT(
      end_with_a_late_reader(), ExitedWithCode(0),
      "the last one: 6 nob not com sha\ncannot get variable 'bare': .*\nset at the end, bare\n");
}

// A variable as style guides want it, and what ends after it.
Gate& function_gate() {
  static Gate gate;
  return gate;
}
ContextVar<std::string>& function_variable() {
  static ContextVar<std::string> variable{"function_variable", long_text("nobody")};
  return variable;
}

[[noreturn]] void end_with_the_default_pool() {
  const taskctx_test::Watchdog watchdog("the default pool at exit");
  JobPool& pool = taskctx::default_pool();
  (void)function_gate();
  const auto job = [] {
    function_gate().wait();
    std::fprintf(stderr, "%.3s\n", function_variable().get().c_str());
  };
  pool.post(job);
  const Scope scope{function_variable(), long_text("ann")};
  pool.post(job);
  std::exit(0);
}

// V11
TEST_F(ExitDeathTest, JobsOfTheDefaultPoolReadAFunctionsVariableThatIsGone) {
  EXPECT_EXIT(end_with_the_default_pool(), ExitedWithCode(0), "^(nob\nann\n|ann\nnob\n)$");
}

[[noreturn]] void end_with_a_running_thread() {
  static std::atomic<int> rounds{0};
  last.what = [] {  // The thread has read all of them when they were gone.
    for (const int seen = rounds; rounds < seen + 1000;) {
      std::this_thread::yield();
    }
    std::fprintf(stderr, "right\n");
  };
  std::thread([] {
    const std::string nobody = long_text("nobody");
    while (true) {
      if (text.get() != nobody || number.get() != 5 || computed.get()[0] != 'c' ||
          function_variable().get() != nobody || shared.get().load()[0] != 's') {
        std::_Exit(3);
      }
      ++rounds;
    }
  }).detach();
  while (rounds == 0) {
    std::this_thread::yield();
  }
  std::exit(0);
}

// V11
TEST_F(ExitDeathTest, AThreadThatStillRunsReadsTheDefault) {
  EXPECT_EXIT(end_with_a_running_thread(), ExitedWithCode(0), "^right\n$");
}

[[noreturn]] void end_with_a_value_set() {
  number.set(7);
  thread_local AtTheEnd of_the_thread;
  of_the_thread.what = [] { say("thread_local"); };
  last.what = [] { say("static"); };
  std::exit(0);
}

// V11: see Lifetime in context_var.h.
TEST_F(ExitDeathTest, WhatTheMainThreadHasSetIsThereForItsThreadLocalObjectsAndNotForStaticOnes) {
  EXPECT_EXIT(end_with_a_value_set(), ExitedWithCode(0),
              "^thread_local: 7 nob not com sha\nstatic: 5 nob not com sha\n$");
}

// V11: what is on the heap or on a stack is destroyed as ever.
TEST(VariableOnTheHeap, IsDestroyedWithItsDefaultAndItsSlotIsGivenAgain) {
  using taskctx_test::Tracked;
  taskctx::Context context;
  for (int i = 0; i < 1000; ++i) {
    const auto heap = std::make_unique<ContextVar<Tracked>>("heap", Tracked(1));
    const ContextVar<Tracked> stack("stack", Tracked(2));
    context.run([&] {
      heap->set(Tracked(3));
      stack.set(Tracked(4));
    });
    EXPECT_EQ(Tracked::alive(), 4);
    EXPECT_EQ(context.size(), 2U);  // Two slots, so that nothing is left of the round before.
  }
  context = taskctx::Context();
  EXPECT_EQ(Tracked::alive(), 0);
  std::thread([&context] {
    thread_local const ContextVar<int> of_a_thread("of_a_thread", 1);  // Is constructed here.
    context.run([] { of_a_thread.set(2); });
  }).join();
  EXPECT_EQ(context.size(), 0U);
}

}  // namespace
