// SPDX-License-Identifier: Apache-2.0
//
// A process that is forked while other threads use contexts: everything works in the child,
// whatever those threads were doing.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/core/node_memory.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/dict.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/observer.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "tests/forking.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<int> number("number", 0);
const ContextVar<std::string> text("text");
const ContextVar<Shared<std::string>> shared("shared");
const ContextVar<Overlay<std::string>> overlay("overlay");

// Takes each lock that there is. Returns 0, or the number of what was wrong.
int use_everything() {
  int step = 0;
  int wrong = 0;
  const auto check = [&](bool ok) {
    ++step;
    wrong = wrong != 0 || ok ? wrong : step;
  };
  const Scope scope{
      number, 1, text, "a", shared, Shared<std::string>("s"), overlay, Overlay<std::string>("o")};
  {  // The registry of variables.
    const ContextVar<std::string> fresh(text.get(), {.policy = taskctx::policy::never});
    const ContextVar<int> named{taskctx::SharedName("name"),
                                {.on_change = [](const taskctx::Change<int>&) {}}};
    const Scope inner{fresh, "f", named, 2};
    check(fresh.get() == "f" && named.get() == 2);                             // 1
    check(taskctx::bind([&] { return fresh.find() == nullptr; })());           // 2
    check(copy_context().without(fresh).size() == copy_context().size() - 1);  // 3
  }
  {  // The observers.
    int switches = 0;
    const taskctx::SwitchObserver observer(
        [&switches](const Context&, const Context&) { ++switches; });
    taskctx::bind([] {})();
    check(switches >= 2);  // 4
  }
  taskctx::bind([] {  // Layers.
    shared.get().update([](std::string& value) { value += "!"; });
    overlay.get().store("mine");
  })();
  check(shared.get().load() == "s!" && overlay.get().load() == "o");  // 5
  Context with_dict = taskctx::dict::share(nullptr);
  with_dict.run([&] {
    taskctx::dict::set("a", 1);
    Context child = taskctx::dict::overlay(&with_dict);
    child.run([] { taskctx::dict::set("a", 2); });
    check(taskctx::dict::get("a", 0) == 1);  // 6
  });
  std::thread([&check] {  // Memory of nodes, and the threads that have some.
    (void)number.set(5);
    const Context kept = copy_context();
    (void)text.set("b");
    check(*kept.find(number) == 5);  // 7
  })
      .join();
  check(taskctx::internal::live_nodes() > 0);     // 8
  check(number.get() == 1 && text.get() == "a");  // 9
  return wrong;
}

// M38
TEST(ForkOfTheCore, EverythingWorksInTheChildWhateverOtherThreadsWereAt) {
  if (taskctx_test::kAddressSanitizer || taskctx_test::kThreadSanitizer) {
    GTEST_SKIP() << "a sanitizer does not take its own locks over a fork";
  }
  const Watchdog watchdog("fork of the core", std::chrono::seconds(200));
  ASSERT_EQ(use_everything(), 0);
  std::atomic<bool> is_over{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&is_over, &wrong] {
      while (!is_over) {
        wrong += use_everything() != 0 ? 1 : 0;
      }
    });
  }
  taskctx_test::fork_often([] {
    alarm(20);
    return use_everything();
  });
  is_over = true;
  for (std::thread& thread : load) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(use_everything(), 0);
}

}  // namespace
