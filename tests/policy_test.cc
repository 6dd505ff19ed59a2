// SPDX-License-Identifier: Apache-2.0
//
// What tasks get of their creator's bindings, and the other options of a variable.

#include "taskctx/context_var_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "taskctx/suppress_propagation.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::HasSubstr;
namespace policy = taskctx::policy;

// A variable with options is constant-initialised as well.
constinit const ContextVar<int> at_home{"at_home", {.policy = policy::never}};
constinit const ContextVar<std::string> tagged{
    "tagged", {.default_value = {}, .policy = policy::copy([](const std::string& text) {
                                      return text + "'";
                                    })}};

// F-D6: by default tasks inherit; a variable may say that they don't.
TEST(Policy, NeverLeavesTheVariableOutOfTasks) {
  const ContextVar<int> inherited("inherited");
  const Scope scope{inherited, 1, at_home, 2};
  const auto task = taskctx::bind([&] {
    EXPECT_EQ(inherited.get(), 1);
    EXPECT_EQ(at_home.find(), nullptr);
  });
  task();
  std::thread(task).join();
  EXPECT_EQ(at_home.get(), 2);
}

// F-D5: once for each task, on the thread that creates it.
TEST(Policy, CopyGivesEachTaskAValueOfItsOwn) {
  const Scope scope{tagged, "a"};
  const auto first = taskctx::bind([] { return tagged.get(); });
  const auto second = taskctx::bind([&] { return first() + tagged.get(); });
  EXPECT_EQ(first(), "a'");
  EXPECT_EQ(first(), "a'");  // Bound once, copied once.
  EXPECT_EQ(second(), "a'a'");
  EXPECT_EQ(tagged.get(), "a");
  const auto nested = taskctx::bind([] { return taskctx::bind([] { return tagged.get(); })(); });
  EXPECT_EQ(nested(), "a''");
}

// F-D6: policies are for what inherits. A context that is handed over is taken as it is.
TEST(Policy, DoesNotActOnContextsThatAreHandedOverExplicitly) {
  const Scope scope{at_home, 2, tagged, "a"};
  EXPECT_EQ(*copy_context().find(at_home), 2);
  EXPECT_EQ(taskctx::bind(copy_context(), [] { return at_home.get(); })(), 2);
  EXPECT_EQ(taskctx::bind(copy_context(), [] { return tagged.get(); })(), "a");
}

struct CountedCopies {
  explicit CountedCopies(std::vector<int> initial) : values(std::move(initial)) {}
  static CountedCopies inherited(const CountedCopies& parents) {
    CountedCopies copy = parents;
    copy.values.push_back(static_cast<int>(copy.values.size()));
    return copy;
  }
  std::vector<int> values;
};

// F-D5: the type of the value may say what tasks get.
TEST(Policy, ATypeMayDecideForItself) {
  const ContextVar<CountedCopies> variable("variable");
  const ContextVar<CountedCopies> shared("shared", {.policy = policy::inherit});
  const Scope scope{variable, CountedCopies({7}), shared, CountedCopies({7})};
  taskctx::bind([&] {
    EXPECT_THAT(variable.get().values, ElementsAre(7, 1));
    EXPECT_THAT(shared.get().values, ElementsAre(7));
  })();
}

// F-D5: a copy that fails makes no task, and leaves no trace.
TEST(Policy, WhatCopyingThrowsComesOutAndNothingIsLeft) {
  const ContextVar<Tracked> first("first", {.policy = policy::copy([](const Tracked& parents) {
                                              return Tracked(parents.value() + 1);
                                            })});
  const ContextVar<int> second("second", {.policy = policy::copy([](const int& parents) {
                                            return parents > 0 ? parents
                                                               : throw std::domain_error("no copy");
                                          })});
  {
    const Scope scope{first, Tracked(1), second, 0};
    EXPECT_THROW((void)taskctx::bind([] {}), std::domain_error);
    EXPECT_EQ(Tracked::alive(), 1);
    EXPECT_EQ(first.get().value(), 1);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// P22: a value that is left out is not kept alive by the tasks.
TEST(Policy, NeverKeepsNothingAlive) {
  const ContextVar<Tracked> variable("variable", {.policy = policy::never});
  std::optional<Scope<Tracked>> scope(std::in_place, variable, Tracked(1));
  const auto task = taskctx::bind([] {});
  scope.reset();
  EXPECT_EQ(Tracked::alive(), 0);
}

// F-D6: copying may use the library, and the variable itself.
TEST(Policy, CopyingMayWriteToTheContextThatIsBeingCaptured) {
  static constinit const ContextVar<std::string> self{
      "self", {.policy = policy::copy([](const std::string& parents) {
                 tagged.set("written meanwhile");
                 self.set("another");
                 return parents + " copied";
               })}};
  Context().run([] {
    self.set("one");
    tagged.set("tag");
    const auto task = taskctx::bind([] { return self.get() + ", " + tagged.get(); });
    EXPECT_EQ(task(), "one copied, tag'");
    EXPECT_EQ(self.get(), "another");
  });
}

// F-A9, F-D6: variables with policies come and go as others do.
TEST(Policy, ADeadVariablesPolicyIsGone) {
  for (int i = 0; i < 1000; ++i) {
    const ContextVar<int> variable("variable", {.policy = policy::never});
    variable.set(i);
    taskctx::bind([&] { EXPECT_EQ(variable.find(), nullptr); })();
  }
  const ContextVar<int> successor("successor");
  const Scope scope{successor, 1};
  taskctx::bind([&] { EXPECT_EQ(successor.get(), 1); })();
}

// F-D7: for a block, what is created there starts empty.
TEST(Suppression, TasksOfTheBlockStartEmpty) {
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  {
    const SuppressPropagation block;
    EXPECT_EQ(variable.get(), 1);
    const auto task = taskctx::bind([&] {
      EXPECT_EQ(variable.find(), nullptr);
      // What a task of the block creates inherits from that task.
      const Scope inner{variable, 3};
      EXPECT_EQ(taskctx::bind([&] { return variable.get(); })(), 3);
    });
    task();
    {
      const SuppressPropagation nested;
      EXPECT_TRUE(taskctx::bind([] { return copy_context().empty(); })());
    }
    EXPECT_TRUE(taskctx::bind([] { return copy_context().empty(); })());
    // Explicit contexts win.
    EXPECT_EQ(taskctx::bind(copy_context(), [&] { return variable.get(); })(), 1);
  }
  EXPECT_EQ(taskctx::bind([&] { return variable.get(); })(), 1);
}

// F-D7: the block is over when an exception passes, and is no binding that anybody sees.
TEST(Suppression, EndsWithAnExceptionAndIsNotVisible) {
  const ContextVar<int> variable("variable");
  const Scope scope{variable, 1};
  const Context outside = copy_context();
  try {
    const SuppressPropagation block;
    EXPECT_EQ(copy_context().size(), 1U);
    EXPECT_TRUE(copy_context() == outside);
    throw std::runtime_error("passes");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(taskctx::bind([&] { return variable.get(); })(), 1);
  }
}

// F-D9: bind() captures at creation; what is submitted later does not matter to it.
TEST(CapturePoint, BindCapturesAtCreationAndALambdaWhereItIsHandedOver) {
  const ContextVar<std::string> variable("variable");
  const Scope scope{variable, "creation"};
  const auto function = [&] { return variable.get(); };
  const auto created = taskctx::bind(function);
  const Scope later{variable, "submission"};
  const auto submitted = taskctx::bind([&] { return function() + ", " + created(); });
  EXPECT_EQ(submitted(), "submission, creation");
}

// F-A6: computed when it is needed first, once, and the same for everybody.
TEST(LazyDefault, IsComputedAtTheFirstReadAndOnlyThen) {
  static std::atomic<int> computed = 0;
  computed = 0;
  const ContextVar<std::string> variable("variable", {.default_factory = [] {
                                           ++computed;
                                           return std::string("computed");
                                         }});
  EXPECT_EQ(computed, 0);
  EXPECT_EQ(variable.get("call site"), "call site");
  EXPECT_EQ(computed, 0);
  EXPECT_EQ(variable.get(), "computed");
  const std::string* default_value = variable.find();
  EXPECT_EQ(*default_value, "computed");
  std::thread([&] { EXPECT_EQ(variable.find(), default_value); }).join();
  EXPECT_EQ(computed, 1);
  const Scope scope{variable, "set"};
  EXPECT_EQ(variable.get(), "set");
  EXPECT_FALSE(Context().contains(variable));
}

// F-A6: whoever computes, all get the same object.
TEST(LazyDefault, ThreadsThatReadAtOnceGetOneResult) {
  for (int round = 0; round < 200; ++round) {
    {
      const ContextVar<Tracked> variable("variable",
                                         {.default_factory = [] { return Tracked(1); }});
      std::vector<const Tracked*> seen(4);
      std::vector<std::thread> threads;
      for (const Tracked*& place : seen) {
        threads.emplace_back([&] { place = variable.find(); });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
      EXPECT_THAT(seen, testing::Each(variable.find()));
      EXPECT_EQ(Tracked::alive(), 1);
    }
    EXPECT_EQ(Tracked::alive(), 0);
  }
}

// F-A6: the default is nobody's context's, so its computation sees none, and leaves nothing.
TEST(LazyDefault, IsComputedInAnEmptyContext) {
  static constinit const ContextVar<int> other{"other"};
  const ContextVar<int> variable("variable", {.default_factory = [] {
                                   EXPECT_TRUE(copy_context().empty());
                                   other.set(2);
                                   return other.get("nothing" == nullptr ? 0 : 1) + 40;
                                 }});
  const Scope scope{other, 1};
  EXPECT_EQ(variable.get(), 42);
  EXPECT_EQ(other.get(), 1);
}

constinit const ContextVar<int> circle{"circle", {.default_factory = [] { return circle.get(); }}};
extern const ContextVar<int> ping;
constinit const ContextVar<int> pong{"pong", {.default_factory = [] { return ping.get() + 1; }}};
constinit const ContextVar<int> ping{
    "ping", {.default_factory = [] { return taskctx::bind([] { return pong.get(); })() + 1; }}};
constinit const ContextVar<int> fortunate{
    "fortunate", {.default_factory = [] { return fortunate.find() == nullptr ? 7 : 0; }}};

// F-A6: directly, over another variable and a bound call, and without an exception.
TEST(LazyDefault, RecursionIsALookupErrorThatNamesTheVariable) {
  try {
    (void)circle.get();
    FAIL();
  } catch (const LookupError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot get variable 'circle': its default is being computed from "
                 "itself");
  }
  EXPECT_THROW((void)ping.get(), LookupError);
  EXPECT_EQ(pong.find(), nullptr);
  EXPECT_EQ(fortunate.get(), 7);
}

// F-A6: a failure is nobody's default: the next read tries again.
TEST(LazyDefault, AFailureIsNotKept) {
  static int attempts = 0;
  attempts = 0;
  const ContextVar<int> variable("variable", {.default_factory = []() -> int {
                                   if (++attempts < 3) {
                                     throw std::runtime_error("not yet");
                                   }
                                   return attempts;
                                 }});
  EXPECT_THROW((void)variable.get(), std::runtime_error);
  EXPECT_EQ(variable.find(), nullptr);
  EXPECT_EQ(variable.get(), 3);
}

// F-A4: a default in braces is a default, not options.
TEST(Options, BracesAreADefaultWhereTheyCanBeOne) {
  const ContextVar<std::string> text("text", {"abc"});
  const ContextVar<int> number("number", {});
  const ContextVar<int> optioned("optioned", {.default_value = 3});
  EXPECT_EQ(text.get(), "abc");
  EXPECT_EQ(number.get(), 0);
  EXPECT_EQ(optioned.get(), 3);
}

// F-J9: what the task started with, and what was set since.
TEST(SourceOfABinding, TellsWhatIsInheritedFromWhatIsSetHere) {
  const ContextVar<std::string> text("text");
  const ContextVar<int> number("number", 1);
  EXPECT_EQ(number.source(), Source::nowhere);  // A default is no binding.
  const Scope scope{text, "parent's", number, 2};
  EXPECT_EQ(text.source(), Source::here);
  taskctx::bind([&] {
    EXPECT_EQ(text.source(), Source::inherited);
    EXPECT_EQ(number.source(), Source::inherited);
    {
      const Scope inner{text, "parent's"};
      EXPECT_EQ(text.source(), Source::here);
      EXPECT_EQ(number.source(), Source::inherited);
      taskctx::bind([&] { EXPECT_EQ(text.source(), Source::inherited); })();
    }
    EXPECT_EQ(text.source(), Source::inherited);
    number.set(3);
    EXPECT_EQ(number.source(), Source::here);
    number.unset();
    EXPECT_EQ(number.source(), Source::nowhere);
  })();
  copy_context().run([&] { EXPECT_EQ(text.source(), Source::here); });
}

}  // namespace
