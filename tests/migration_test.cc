// SPDX-License-Identifier: Apache-2.0
//
// A function that is suspended on one thread and goes on on another reads its new thread's context.
// Compilers take the thread for fixed within a function: this one is compiled with optimization and
// -fPIC, where they keep a thread_local's address over the suspension.

#include <gtest/gtest.h>
#include <ucontext.h>

#include <array>
#include <thread>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/sanitizers.h"

namespace {

using namespace taskctx;

const ContextVar<int> variable("variable", 0);

ucontext_t function_state;
ucontext_t caller_state;
std::array<int, 4> seen;

// Reads, is suspended, and reads again: in one function, with and without a branch in between.
void migrate() {
  seen[0] = variable.get();
  variable.set(seen[0] + 10);
  seen[1] = variable.get();
  swapcontext(&function_state, &caller_state);
  seen[2] = variable.get();
  if (seen[2] != 0) {
    variable.set(seen[2] + 10);
    seen[3] = variable.get();
  }
  swapcontext(&function_state, &caller_state);
}

// F-G4
TEST(Migration, AFunctionThatGoesOnOnAnotherThreadReadsThatThreadsContext) {
  if (taskctx_test::kAddressSanitizer || taskctx_test::kThreadSanitizer) {
    GTEST_SKIP() << "sanitizers know nothing of this kind of suspension";
  }
  static std::array<char, 262'144> stack;
  std::thread([] {
    const Scope scope{variable, 1};
    getcontext(&function_state);
    function_state.uc_stack = {.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
    makecontext(&function_state, &migrate, 0);
    swapcontext(&caller_state, &function_state);
    EXPECT_EQ(variable.get(), 11);
  }).join();
  std::thread([] {
    const Scope scope{variable, 2};
    swapcontext(&caller_state, &function_state);
    EXPECT_EQ(variable.get(), 12);
  }).join();
  EXPECT_EQ(seen, (std::array<int, 4>{1, 11, 2, 12}));
  EXPECT_EQ(variable.get(), 0);
}

}  // namespace
