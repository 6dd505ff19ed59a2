// SPDX-License-Identifier: Apache-2.0
//
// Who is told of switches and of changes.

#include "taskctx/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/scope.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::IsEmpty;

constinit const ContextVar<std::string> name{"name"};

std::string name_in(const Context& context) {
  const std::string* found = context.find(name);
  return found != nullptr ? *found : "-";
}

// Writes down who was current, and who is.
class Log {
 public:
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  [[nodiscard]] auto writer() {
    return [this](const Context& from, const Context& to) {
      EXPECT_TRUE(to == copy_context());
      lines_.push_back(name_in(from) + ">" + name_in(to));
    };
  }

 private:
  std::vector<std::string> lines_;
};

// P26, F-J10, F-I2: into a context and out of it, with what was written meanwhile.
TEST(SwitchObserverTest, IsCalledAfterEachSwitchWithBothContexts) {
  Log log;
  Context context;
  context.run([] { name.set("a"); });
  const Scope scope{name, "main"};
  const auto bound = taskctx::bind([] { name.set("c"); });
  {
    const SwitchObserver observer(log.writer());
    context.run([&] {
      name.set("b");
      bound();
    });
  }
  bound();
  EXPECT_THAT(log.lines(), ElementsAre("main>a", "b>main", "c>b", "b>main"));
}

// P26: what is set or read is no switch.
TEST(SwitchObserverTest, IsNotCalledWhereNothingIsSwitched) {
  Log log;
  const SwitchObserver observer(log.writer());
  const Scope scope{name, "main"};
  (void)name.get();
  (void)copy_context();
  (void)taskctx::bind([] {});
  EXPECT_THAT(log.lines(), IsEmpty());
}

// P26: what one throws is reported; it stops neither the switch nor the others.
TEST(SwitchObserverTest, WhatItThrowsIsReportedAndStopsNothing) {
  const MisuseRecorder recorder;
  Log log;
  const SwitchObserver throws([](const Context& /*from*/, const Context& /*to*/) {
    throw std::runtime_error("observer's own fault");
  });
  const SwitchObserver throws_a_number([](const Context& /*from*/, const Context& /*to*/) {
    throw 1;  // NOLINT(hicpp-exception-baseclass)
  });
  const SwitchObserver observer(log.writer());
  EXPECT_EQ(taskctx::bind(Context(), [] { return 5; })(), 5);
  EXPECT_THAT(log.lines(), ElementsAre("->-", "->-"));
  EXPECT_THAT(recorder.messages(),
              ElementsAre("cannot call observer of switches: observer's own fault",
                          "cannot call observer of switches: it has thrown something that is not a "
                          "std::exception",
                          testing::_, testing::_));
}

// P26: by default the program goes on, also in a debug build.
TEST(SwitchObserverTest, WhatItThrowsDoesNotEndTheProgram) {
  const SwitchObserver throws([](const Context& /*from*/, const Context& /*to*/) {
    throw std::runtime_error("observer's own fault");
  });
  testing::internal::CaptureStderr();
  taskctx::bind([] {})();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("observer's own fault"));
}

// P26: an observer may use the library; its own switches are not observed.
TEST(SwitchObserverTest, MayUseTheLibrary) {
  int calls = 0;
  const ContextVar<int> mark("mark");
  const SwitchObserver observer([&](const Context& /*from*/, const Context& to) {
    ++calls;
    Context copy = to;
    copy.run([&] { name.set("the observer's"); });
    mark.set(calls);
    const SwitchObserver inner([](const Context& /*from*/, const Context& /*to*/) {});
  });
  taskctx::bind([&] {
    EXPECT_EQ(mark.get(), 1);
    EXPECT_EQ(name.find(), nullptr);
  })();
  EXPECT_EQ(mark.get(), 2);
  EXPECT_EQ(calls, 2);
  mark.unset();
}

// F-J10: registered and unregistered while others switch.
TEST(SwitchObserverTest, MayComeAndGoWhileOthersSwitch) {
  std::atomic<bool> is_over = false;
  std::atomic<int> calls = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const auto bound = taskctx::bind([] { name.set("x"); });
      while (!is_over) {
        bound();
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    const int before = calls;
    const SwitchObserver observer([&](const Context& /*from*/, const Context& /*to*/) { ++calls; });
    while (calls == before) {
      std::this_thread::yield();
    }
  }
  is_over = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  const int calls_at_end = calls;
  taskctx::bind([] {})();
  EXPECT_EQ(calls, calls_at_end);
}

std::vector<std::string> changes;

std::string text_of(const std::string* value) { return value != nullptr ? *value : "-"; }

constinit const ContextVar<std::string> watched{
    "watched", {.on_change = [](const Change<std::string>& change) {
      EXPECT_EQ(text_of(watched.find()), text_of(change.after));
      changes.push_back(text_of(change.before) + ">" + text_of(change.after) +
                        (change.by_switch ? " by switch" : ""));
    }}};

// F-I3: each change of the one variable, with the value before and after.
TEST(OnChange, IsCalledAfterSetUnsetResetAndScopes) {
  changes.clear();
  auto token = watched.set("a");
  {
    const Scope scope{watched, "b"};
    watched.unset();
    watched.unset();
  }
  watched.reset(std::move(token));
  EXPECT_THAT(changes, ElementsAre("->a", "a>b", "b>-", "->a", "a>-"));
}

// F-I3: and after switches between contexts in which it differs, not after others.
TEST(OnChange, IsCalledAfterSwitchesThatChangeTheVariable) {
  const ContextVar<int> other("other");
  Context context;
  context.run([] { watched.set("inside"); });
  changes.clear();
  context.run([&] { other.set(1); });
  taskctx::bind([&] { other.set(2); })();
  const Scope scope{watched, "main"};
  taskctx::bind([&] { other.set(2); })();
  context.run([] { watched.set("changed"); });
  EXPECT_THAT(changes,
              ElementsAre("->inside by switch", "inside>- by switch", "->main",
                          "main>inside by switch", "inside>changed", "changed>main by switch"));
}

constinit const ContextVar<int> limited{"limited", {.on_change = [](const Change<int>& change) {
                                          if (change.after != nullptr && *change.after > 10) {
                                            limited.set(10);
                                          }
                                        }}};

// F-I3: the notification may set the variable itself.
TEST(OnChange, MaySetTheVariableItself) {
  const Scope scope{limited, 50};
  EXPECT_EQ(limited.get(), 10);
}

// F-I3: what it throws is reported; the change is made.
TEST(OnChange, WhatItThrowsIsReportedAndStopsNothing) {
  const MisuseRecorder recorder;
  const ContextVar<int> variable("variable", {.on_change = [](const Change<int>& /*change*/) {
                                   throw std::runtime_error("not that");
                                 }});
  {
    const Scope scope{variable, 1};
    EXPECT_EQ(variable.get(), 1);
  }
  EXPECT_EQ(variable.find(), nullptr);
  EXPECT_THAT(recorder.messages(),
              ElementsAre("cannot call on_change of variable 'variable': not that",
                          "cannot call on_change of variable 'variable': not that"));
}

// P9, P10: a refused reset changes nothing, so nobody is told.
TEST(OnChange, IsNotCalledWhenNothingChanges) {
  changes.clear();
  Context context;
  auto token = context.run([] { return watched.set("inside"); });
  changes.clear();
  EXPECT_THROW(watched.reset(std::move(token)), taskctx::TokenError);
  EXPECT_THAT(changes, IsEmpty());
}

}  // namespace
