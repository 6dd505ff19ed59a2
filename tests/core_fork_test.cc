// SPDX-License-Identifier: Apache-2.0
//
// A process that is forked while other threads use contexts: everything works in the child,
// whatever those threads were doing.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/core/loan.h"
#include "lib/core/node_memory.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/dict.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
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
const ContextVar<std::string> title("title");
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

// Copies, changes or destroys `context`, in which `text` is "b" and `title` is "t". Returns whether
// that worked.
bool use(std::unique_ptr<Context> context, int how) {
  if (how == 0) {
    const Context copy(*context);
    return *copy.find(text) == "b" && *copy.find(title) == "t";
  }
  if (how == 1) {
    context->run([] {
      (void)text.set("x");
      (void)title.set("y");
      (void)title.set("z");
      text.unset();
    });
    return context->find(text) == nullptr && *context->find(title) == "z";
  }
  return true;
}

// M38: the first copy of a context changes how it keeps what it has inherited. The thread that
// makes it is in the middle of that.
TEST(ForkOfTheCore, AContextIsWholeInTheChildThatAnotherThreadWasCopying) {
  auto outer = std::make_unique<Context>();
  outer->run([] {
    (void)text.set("a");
    (void)title.set("t");
  });
  auto context = std::make_unique<Context>(*outer);
  internal::Node* node = nullptr;
  context->run([&node] {
    (void)text.set("b");
    node = internal::current_node();
  });
  ASSERT_NE(internal::Loan::of(node).lender(), nullptr);
  ASSERT_TRUE(node->refs.begin_first());  // What copies does this, and then settles.
  for (const bool has_counted : {false, true}) {
    for (int how = 0; how < 3; ++how) {
      const pid_t child = fork();
      if (child == 0) {
        alarm(20);
        if (has_counted) {                 // All is done but the last step.
          internal::keep_no_free_nodes();  // So there is no twin, and `title` is counted.
          const std::uintptr_t before = node->lender.load();
          (void)internal::settle(node);
          node->lender.store(before);
        }
        const bool is_right = use(std::move(context), how);
        outer.reset();
        _exit(is_right ? 0 : 1);
      }
      EXPECT_EQ(status_of(child), 0) << has_counted << how;
    }
  }
  const internal::Loan left = internal::settle(node);
  node->refs.end_first();
  left.release();
  EXPECT_TRUE(use(std::move(context), 0));
}

// M38: a task that has ended on another thread than it began waits until nobody looks at guards.
TEST(ForkOfTheCore, AChildDoesNotWaitForThreadsThatWereLookingAtGuards) {
  if (taskctx_test::kAddressSanitizer || taskctx_test::kThreadSanitizer) {
    GTEST_SKIP() << "a sanitizer does not take its own locks over a fork";
  }
  using internal::Activation;
  const taskctx::MisuseHandler before = taskctx::set_misuse_handler([](const Misuse&) {});
  std::atomic<bool> is_over{false};
  std::thread looker([&is_over] {
    std::vector<Activation> chain(100'000, internal::outermost_activation());
    for (std::size_t i = 1; i < chain.size(); ++i) {
      chain[i].outer = &chain[i - 1];
    }
    while (!is_over) {  // Most of the time it looks for something that is not in the chain.
      Activation ending = internal::outermost_activation();
      internal::set_current(&internal::empty_node, &chain.back());
      internal::leave_crossed(ending, "guard");
      internal::set_current(&internal::empty_node, &internal::no_activation);
    }
  });
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      Activation ending = internal::outermost_activation();
      ending.outer_node = internal::current_node();
      ending.outer = internal::current_activation();
      internal::leave_crossed(ending, "task");  // Its origin does not lead there: it has moved.
      _exit(0);
    }
    EXPECT_EQ(status_of(child), 0);
  }
  is_over = true;
  looker.join();
  taskctx::set_misuse_handler(before);
}

}  // namespace
