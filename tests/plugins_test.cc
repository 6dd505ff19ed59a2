// SPDX-License-Identifier: Apache-2.0
//
// A program that exports its symbols, and a plugin that uses its taskctx: variables that both know
// by a name, and what the plugin leaves behind when it is unloaded.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/plugins/guest.h"
#include "tests/plugins/load.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// In the one nothing is hidden, so that the loader may keep it whatever we do: g++ asks for that.
// In the other, all is hidden but its functions.
class WithGuest : public testing::TestWithParam<const char*> {
 protected:
  static const Guest& guest(const Plugin& plugin) {
    return *plugin.call<const Guest*()>("plugin_guest")();
  }
};

INSTANTIATE_TEST_SUITE_P(All, WithGuest,
                         testing::Values("libplugin_guest.so", "libplugin_hidden_guest.so"),
                         [](const auto& test) {
                           return std::string(test.param).find("hidden") != std::string::npos
                                      ? "Hidden"
                                      : "Visible";
                         });

// V12
TEST_P(WithGuest, VariablesWithASharedNameAreOneInAllModules) {
  const MisuseRecorder recorder;
  const Plugin plugin(GetParam());
  EXPECT_TRUE(MisuseRecorder::messages().empty());  // There is one taskctx.
  const auto& theirs = guest(plugin).shared_text();
  const auto& ours = shared_text("the program's default");
  ASSERT_NE(&theirs, &ours);
  EXPECT_EQ(ours.get(), "the program's default");
  EXPECT_EQ(theirs.get(), "the guest's default");

  const Scope scope{ours, "set here"};
  EXPECT_EQ(theirs.get(), "set here");
  {
    const Scope inner{theirs, "set there"};
    EXPECT_EQ(ours.get(), "set there");
    EXPECT_EQ(*copy_context().find(ours), "set there");
    EXPECT_EQ(copy_context().size(), 1U);
  }
  EXPECT_EQ(theirs.get(), "set here");
  auto token = theirs.set("again");
  ours.reset(std::move(token));
  EXPECT_EQ(ours.get(), "set here");
}

// V12: this is what it is good for.
TEST_P(WithGuest, AHiddenVariableInAHeaderIsOneForEachModule) {
  const Plugin plugin(GetParam());
  const auto& theirs = guest(plugin).hidden_text();
  const Scope scope{hidden_text, "set here"};
  EXPECT_EQ(theirs.find(), nullptr);
  const Scope other{theirs, "set there"};
  EXPECT_EQ(hidden_text.get(), "set here");
  EXPECT_EQ(copy_context().size(), 2U);
}

// V12
TEST_P(WithGuest, ASharedNameForAnotherTypeIsRefusedInWords) {
  const Plugin plugin(GetParam());
  (void)shared_text("the program's default");
  const std::string error = guest(plugin).misuse_shared_name();
  EXPECT_NE(error.find("cannot use variable 'com.example.shared_text': "), std::string::npos)
      << error;
  EXPECT_NE(error.find("Small'"), std::string::npos) << error;
  EXPECT_NE(error.find("basic_string<char"), std::string::npos) << error;
}

std::string print(const Context& context) {
  std::ostringstream text;
  text << context;
  return std::move(text).str();
}

// What a program may do with a context that holds the guest's values.
void use(const Context& context) {
  const std::string text = print(context);
  EXPECT_NE(text.find("animal=the cat"), std::string::npos) << text;
  EXPECT_NE(text.find("small=3"), std::string::npos) << text;
  EXPECT_NE(text.find("followed="), std::string::npos) << text;
  EXPECT_EQ(context.size(), 3U);
  EXPECT_TRUE(context == Context(context));
}

using Unloading = WithGuest;
INSTANTIATE_TEST_SUITE_P(All, Unloading,
                         testing::Values("libplugin_guest.so", "libplugin_hidden_guest.so"),
                         [](const auto& test) {
                           return std::string(test.param).find("hidden") != std::string::npos
                                      ? "Hidden"
                                      : "Visible";
                         });

// V13
TEST_P(Unloading, LeavesTheValuesInContextsAlone) {
  const taskctx_test::Watchdog watchdog("unloading");
  Context fresh;  // For what comes back from jobs.
  const taskctx::ContextScope scope(fresh);
  std::optional<Plugin> plugin(GetParam());
  const Guest& calls = guest(*plugin);
  Context one;
  Context two;
  one.run(calls.set);
  two.run(calls.set);

  taskctx::JobPool pool({.concurrency = 2});
  std::latch set(2);
  std::latch unloaded(1);
  auto job = pool.submit([&] {
    calls.set();
    set.count_down();
    unloaded.wait();
    use(copy_context());
    pool.submit([] { use(copy_context()); }).get();  // Copies by the guest's policy, and merges.
  });
  std::thread thread([&] {
    calls.set();
    set.count_down();
    unloaded.wait();
    use(copy_context());
  });
  set.wait();
  plugin.reset();
  unloaded.count_down();
  job.get();
  thread.join();

  use(one);
  EXPECT_TRUE(one == two);
  EXPECT_TRUE(diff(one, two).empty());
  EXPECT_EQ(overlaid(one, two).size(), 3U);
  one = Context();
  two = Context();
}

// V13
TEST_P(Unloading, LeavesAnInstalledMisuseHandlerAndAComputedDefaultAlone) {
  static std::atomic<int> misuses{0};
  misuses = 0;
  Plugin plugin(GetParam());
  guest(plugin).handle_misuse(misuses);
  const auto variable = guest(plugin).make_with_factory();
  EXPECT_EQ(variable->get(), "by the guest");
  plugin.close();
  EXPECT_TRUE(plugin.is_loaded());
  EXPECT_EQ(variable->get(), "by the guest");
  taskctx::internal::report_misuse("cannot do what is told: this is a test", {});
  EXPECT_EQ(misuses, 1);
  taskctx::set_misuse_handler(nullptr);
}

// Each in a process of its own, as what is kept is kept for good. Exits with 1 if the plugin is
// there when it has been closed, else with 0.
[[noreturn]] void close_after(const char* name, void (*use)(const Guest&)) {
  Plugin plugin(name);
  use(*plugin.call<const Guest*()>("plugin_guest")());
  plugin.close();
  std::exit(plugin.is_loaded() ? 1 : 0);
}

// V13: nothing is kept without need.
TEST(UnloadingDeathTest, KeepsAModuleOnceItMayBeNeeded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr const char* kName = "libplugin_hidden_guest.so";
  const auto exits_with = [](int code) { return testing::ExitedWithCode(code); };
  EXPECT_EXIT(close_after(kName, [](const Guest&) {}), exits_with(0), "");
  EXPECT_EXIT(close_after(kName, [](const Guest& guest) { guest.set(); }), exits_with(1), "");
  EXPECT_EXIT(close_after(kName, [](const Guest& guest) { guest.observe(); }), exits_with(1), "");
  EXPECT_EXIT(close_after(kName, [](const Guest& guest) { guest.shared_text(); }), exits_with(1),
              "");
}

}  // namespace
