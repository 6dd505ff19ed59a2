// SPDX-License-Identifier: Apache-2.0
//
// A program and two shared libraries, each linked with the core: there is one current context per
// thread all the same, one registry of variables, and one source of ids.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/shared_libraries/library.h"

// Asked for by AddressSanitizer: here the core is meant to be there three times.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_odr_violation=0"; }  // NOLINT

namespace {

using namespace taskctx;

// P24
TEST(SharedLibraries, SeeOneCurrentContext) {
  const Scope scope{shared_number, 1};
  EXPECT_EQ(library_one().get_number(), 1);
  EXPECT_EQ(library_two().get_number(), 1);
  library_one().set_number(2);
  EXPECT_EQ(shared_number.get(), 2);
  EXPECT_EQ(library_two().get_number(), 2);
  std::thread([] { EXPECT_EQ(library_one().get_number(), -1); }).join();
}

// F-A1: slots are given once, whoever asks for them.
TEST(SharedLibraries, HaveVariablesOfTheirOwn) {
  const Scope scope{shared_number, 1, library_one().own_text, "one", library_two().own_text, "two"};
  EXPECT_EQ(library_one().own_text.get(), "one");
  EXPECT_EQ(library_two().own_text.get(), "two");
  EXPECT_EQ(shared_number.get(), 1);
  EXPECT_EQ(library_one().snapshot().size(), 3U);
  EXPECT_EQ(library_one().snapshot(), library_two().snapshot());
}

// P11: ids are never given twice.
TEST(SharedLibraries, RefuseEachOthersTokensInOtherContexts) {
  Context context;
  auto token = context.run([] { return library_one().own_text.set("inside"); });
  library_two().set_number(3);
  EXPECT_EQ(library_one().own_text.check(token), taskctx::TokenError::Kind::other_context);
  shared_number.unset();
}

}  // namespace
