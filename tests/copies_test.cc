// SPDX-License-Identifier: Apache-2.0
//
// A program and a plugin that each have a copy of the library, as unlucky links have it: what one
// copy has made is never taken for something else by the other.

#include <gtest/gtest.h>

#include <cstddef>
#include <list>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/plugins/load.h"
#include "tests/plugins/own_copy.h"
#include "tests/support.h"

// Asked for by AddressSanitizer: here the library is meant to be there twice.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_odr_violation=0"; }  // NOLINT

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> request{"request"};
const ContextVar<int> retries{"retries"};

// What the program hears when the plugin is loaded.
std::vector<std::string> reports;

const OwnCopy& plugin() {
  static const OwnCopy* const own_copy = [] {
    const MisuseRecorder recorder;
    static const Plugin plugin("libplugin_own_copy.so");
    reports = MisuseRecorder::messages();
    return plugin.call<const OwnCopy*()>("plugin_own_copy")();
  }();
  return *own_copy;
}

std::string print(const Context& context) {
  std::ostringstream text;
  text << context;
  return std::move(text).str();
}

// V10
TEST(TwoCopies, AreReportedToTheProgramWithTheModulesNames) {
  (void)plugin();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_NE(reports[0].find("cannot share contexts with module '"), std::string::npos);
  EXPECT_NE(reports[0].find("libplugin_own_copy.so'"), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("second copy of taskctx"), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("the program"), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("-rdynamic"), std::string::npos) << reports[0];
}

// V10
TEST(TwoCopies, ReadEachOthersValuesAsNotSet) {
  const Scope scope{request, "of the program", retries, 3};
  EXPECT_EQ(plugin().read(request), "<not set>");
  EXPECT_TRUE(plugin().set(request));
  EXPECT_EQ(plugin().read(request), "of the plugin");
  EXPECT_EQ(request.get(), "of the program");
  EXPECT_EQ(retries.get(), 3);
  EXPECT_EQ(copy_context().size(), 2U);
  plugin().unset(request);
}

// V10: also where both have written, and whoever was first.
TEST(TwoCopies, FindInEachOthersContextsWhatIsThereAndNothingElse) {
  const Scope scope{request, "of the program", retries, 3};
  const Context snapshot = copy_context();
  EXPECT_FALSE(plugin().has_own(snapshot));
  EXPECT_EQ(plugin().print(snapshot), print(snapshot));

  Context both(snapshot);
  EXPECT_TRUE(plugin().set_in(both, request));
  EXPECT_TRUE(plugin().has_own(both));
  EXPECT_EQ(*both.find(request), "of the plugin");
  EXPECT_EQ(*both.find(retries), 3);
  EXPECT_EQ(both.size(), 4U);
  EXPECT_EQ(print(both), plugin().print(both));
  EXPECT_NE(print(both).find("number=7"), std::string::npos) << print(both);
  EXPECT_EQ(*snapshot.find(request), "of the program");
  EXPECT_EQ(snapshot.size(), 2U);
}

// V10
TEST(TwoCopies, CompareAndMergeEachOthersContexts) {
  const Scope scope{request, "of the program", retries, 3};
  const Context snapshot = copy_context();
  Context both(snapshot);
  EXPECT_TRUE(plugin().set_in(both, request));
  EXPECT_FALSE(snapshot == both);
  EXPECT_FALSE(plugin().equal(both, snapshot));
  EXPECT_TRUE(plugin().equal(both, Context(both)));
  EXPECT_EQ(diff(snapshot, both).size(), 3U);
  EXPECT_EQ(plugin().count_changes(snapshot, both), 3U);

  const Context merged_there = plugin().overlaid(both, snapshot);
  const Context merged_here = overlaid(both, snapshot);
  EXPECT_TRUE(merged_here == merged_there);
  EXPECT_EQ(*merged_there.find(request), "of the program");
  EXPECT_TRUE(plugin().has_own(merged_there));
  EXPECT_EQ(both.without(request, retries).size(), 2U);
}

// V10: ids, too, are drawn once for all copies.
TEST(TwoCopies, RefuseEachOthersTokens) {
  Context context;
  auto token = context.run([] { return request.set("inside"); });
  std::thread([&] {  // Its first id is the first one of a block.
    (void)plugin().set(request);
    EXPECT_TRUE(plugin().is_refused(request, token));
    plugin().unset(request);
  })
      .join();
}

// V10: a variable belongs to the copy that it was made with, whoever sets and destroys it.
TEST(TwoCopies, MayUseAndDestroyEachOthersVariables) {
  for (int i = 0; i < 100; ++i) {
    auto ours = std::make_unique<ContextVar<std::string>>("ours");
    auto theirs = plugin().make("theirs");
    EXPECT_TRUE(plugin().set(*ours));
    EXPECT_EQ(ours->get("<not set>"), "<not set>");
    const Scope scope{*theirs, "set here", retries, i};
    EXPECT_EQ(theirs->get(), "set here");
    EXPECT_EQ(plugin().read(*theirs), "<not set>");
    const Context held = copy_context();
    plugin().unset(*ours);
    plugin().destroy(std::move(ours));
    EXPECT_EQ(held.size(), 2U);
  }
  Context context;
  {
    const auto theirs = plugin().make("theirs");
    context.run([&] { theirs->set("left behind"); });
    const auto ours = std::make_unique<ContextVar<std::string>>("ours");
    (void)plugin().set_in(context, *ours);
  }
  EXPECT_NE(print(context).find("left behind"), std::string::npos) << print(context);
}

// V10: nodes of all shapes may come from either copy.
TEST(TwoCopies, WriteInEachOthersContextsOfAnyWidth) {
  for (const int count : {1, 61, 62, 200, 5000}) {
    Context ours;
    std::list<ContextVar<int>> variables;
    ours.run([&] {
      for (int i = 0; i < count; ++i) {
        variables.emplace_back("one of many").set(i);
      }
    });
    const Context wide = plugin().widen(ours, count);
    EXPECT_EQ(wide.size(), 2U * static_cast<std::size_t>(count));
    EXPECT_EQ(ours.size(), static_cast<std::size_t>(count));
    Context again(wide);
    again.run([&] {
      int i = 0;
      for (const ContextVar<int>& variable : variables) {
        EXPECT_EQ(variable.get(), i++);
        variable.set(-i);
      }
    });
    EXPECT_EQ(plugin().count_changes(wide, again), static_cast<std::size_t>(count));
    EXPECT_EQ(again.size(), wide.size());
  }
}

// V10: the context in which nothing is set is another node in each.
TEST(TwoCopies, ShareEmptyContexts) {
  for (int i = 0; i < 1000; ++i) {
    Context empty = plugin().overlaid(Context(), Context());
    EXPECT_TRUE(plugin().equal(empty, Context()));
    EXPECT_TRUE(plugin().set_in(empty, request));
    EXPECT_EQ(empty.size(), 3U);
  }
}

}  // namespace
