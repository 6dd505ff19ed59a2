// SPDX-License-Identifier: Apache-2.0
//
// A program whose operator new and delete use context variables themselves, as allocators do that
// log or count: they read, set for a moment, and set what stays. Whatever of ours allocates, it
// comes out as if they had not, and what they have set is there.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/attribution.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/coro.h"
#include "taskctx/dict.h"
#include "taskctx/generator.h"
#include "taskctx/job_pool.h"
#include "taskctx/observer.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/suppress_propagation.h"
#include "taskctx/task.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/parallel_reduce.h"
#include "taskctx/when_all.h"
#include "tests/support.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using taskctx::copy_context;
using taskctx::Scope;

// What the program's operator new uses.
inline ContextVar<int> depth{"depth", 0};
inline ContextVar<long> calls{"calls", 0};
inline ContextVar<long> unset_again{"unset_again"};

std::atomic<bool> armed_everywhere{false};
constinit thread_local bool armed = false;
constinit thread_local bool is_at_it = false;
constinit thread_local bool takes_snapshots = false;
constinit thread_local long made_calls = 0;  // While `armed`.
constinit thread_local Context* snapshot = nullptr;
constinit std::atomic<long> wrong_depths{0};

void use_context() {
  if (is_at_it || !(armed || armed_everywhere.load(std::memory_order_relaxed))) {
    return;
  }
  is_at_it = true;
  const int before = depth.get();
  {
    const Scope scope{depth, before + 1, unset_again, 1L};
    wrong_depths += depth.get() == before + 1 ? 0 : 1;
  }
  wrong_depths += depth.get() == before && unset_again.find() == nullptr ? 0 : 1;
  (void)calls.set(calls.get() + 1);
  made_calls += armed ? 1 : 0;
  if (takes_snapshots && snapshot != nullptr) {
    *snapshot = copy_context();
  }
  is_at_it = false;
}

}  // namespace

void* operator new(std::size_t size) {
  use_context();
  if (void* memory = std::malloc(size != 0 ? size : 1)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  use_context();
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }

namespace {

// Arms operator new on this thread for a block.
class Armed {
 public:
  Armed() { armed = true; }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
  ~Armed() { armed = false; }
};

inline ContextVar<int> number{"number", 1};
inline ContextVar<std::string> text{"text"};
inline ContextVar<int> third{"third", 3};

const std::string kLong(40, 'x');  // Has memory of its own.
const std::string kOther(50, 'y');

// How many variables there are beside: so that the context is one leaf, a wide node or a tree.
std::vector<std::unique_ptr<ContextVar<int>>> variables(int count) {
  std::vector<std::unique_ptr<ContextVar<int>>> made;
  for (int i = 0; i < count; ++i) {
    made.push_back(std::make_unique<ContextVar<int>>("more", -1));
    (void)made.back()->id();
  }
  return made;
}

class OperatorNew : public testing::TestWithParam<int> {
 protected:
  // Runs `body` with that many variables set, on a thread's own, in a context and in a bound call;
  // each with and without a snapshot at each call.
  template <typename F>
  void everywhere(F body) {
    const auto more = variables(GetParam());
    const auto whole = [&] {
      std::vector<std::optional<Scope<int>>> scopes(more.size());
      for (std::size_t i = 0; i<more.size(); i += more.size()> 1000 ? 61 : 1) {
        scopes[i].emplace(*more[i], static_cast<int>(i));
      }
      const auto check = [&] {
        for (std::size_t i = 0; i<more.size(); i += more.size()> 1000 ? 61 : 1) {
          ASSERT_EQ(more[i]->get(), static_cast<int>(i));
        }
      };
      Context kept;
      snapshot = &kept;
      for (const bool takes : {false, true}) {
        takes_snapshots = takes;
        body();
        check();
      }
      takes_snapshots = false;
      snapshot = nullptr;
      while (!scopes.empty()) {
        scopes.pop_back();
      }
    };
    std::thread(whole).join();
    Context().run(whole);
    Context().run(taskctx::bind(whole));
    EXPECT_EQ(wrong_depths, 0);
  }

  template <typename F>
  static void armed_for(F body) {
    const Armed arm;
    body();
  }

  // Likewise for a `body` that stays in this context, and tells whether all that operator new has
  // set meanwhile is there.
  template <typename F>
  static void exactly(F body) {
    const taskctx::Token<long> start = calls.set(0);
    made_calls = 0;
    {
      const Armed arm;
      body();
    }
    EXPECT_EQ(calls.get(), made_calls);
  }
};

// M39
TEST_P(OperatorNew, SetUnsetAndReset) {
  everywhere([] {
    exactly([] {
      auto first = number.set(2);
      auto second = text.set(kLong);
      const Context kept = copy_context();
      auto third_token = number.set(3);
      auto fourth = text.set(kOther);
      EXPECT_EQ(number.get(), 3);
      EXPECT_EQ(text.get(), kOther);
      EXPECT_EQ(*kept.find(number), 2);
      EXPECT_EQ(*kept.find(text), kLong);
      const Context again = copy_context();
      auto fifth = text.unset();
      EXPECT_EQ(text.find(), nullptr);
      EXPECT_EQ(*fifth.old_value(), kOther);
      text.reset(std::move(fifth));
      const Context once_more = copy_context();
      text.reset(std::move(fourth));
      number.reset(std::move(third_token));
      EXPECT_EQ(number.get(), 2);
      EXPECT_EQ(text.get(), kLong);
      EXPECT_EQ(*again.find(number), 3);
      EXPECT_EQ(*once_more.find(text), kOther);
      text.reset(std::move(second));
      number.reset(std::move(first));
      EXPECT_EQ(number.get(), 1);
      EXPECT_EQ(text.find(), nullptr);
      EXPECT_EQ(*kept.find(text), kLong);
    });
  });
}

// M39
TEST_P(OperatorNew, Scopes) {
  everywhere([] {
    exactly([] {
      std::optional<Context> inner;
      {
        const Context before = copy_context();
        const Scope scope{number, 5, text, kLong, third, 7};
        const Context kept = copy_context();
        {
          const Scope again{text, kOther, number, taskctx::unset, third, 8};
          inner = copy_context();
          EXPECT_EQ(text.get(), kOther);
          EXPECT_EQ(number.get(), 1);
          EXPECT_EQ(third.get(), 8);
        }
        EXPECT_EQ(number.get(), 5);
        EXPECT_EQ(text.get(), kLong);
        EXPECT_EQ(third.get(), 7);
        EXPECT_EQ(*kept.find(text), kLong);
        EXPECT_FALSE(before.contains(text));
      }
      EXPECT_EQ(*inner->find(third), 8);
      EXPECT_EQ(*inner->find(text), kOther);
      EXPECT_FALSE(inner->contains(number));
      EXPECT_EQ(text.find(), nullptr);
      EXPECT_EQ(number.get(), 1);
      EXPECT_EQ(third.get(), 3);
    });
  });
}

// M39
TEST_P(OperatorNew, Contexts) {
  everywhere([] {
    const Scope outer{number, 5, text, kLong};
    armed_for([] {
      Context context = copy_context();
      context.run([] {
        (void)text.set(kOther);
        (void)third.set(9);
      });
      EXPECT_EQ(*context.find(text), kOther);
      EXPECT_EQ(text.get(), kLong);
      const Context narrow = context.only(text, third);
      EXPECT_EQ(narrow.size(), 2U);
      EXPECT_EQ(*narrow.find(text), kOther);
      const Context wider = context.without(text, number);
      EXPECT_FALSE(wider.contains(text));
      EXPECT_FALSE(wider.contains(number));
      EXPECT_EQ(*wider.find(third), 9);
      const Context both = taskctx::overlaid(wider, narrow);
      EXPECT_EQ(*both.find(text), kOther);
      EXPECT_EQ(*both.find(third), 9);
      const Context filtered = context.filtered([](const auto& entry) { return entry.is(text); });
      EXPECT_TRUE(filtered == context.only(text));
      EXPECT_EQ(taskctx::diff(narrow, filtered).size(), 1U);
      (void)context.run([&context] {
        // These read a context that operator new writes in.
        EXPECT_EQ(context.only(text, number, third).size(), 3U);
        EXPECT_FALSE(context.without(text).contains(text));
        EXPECT_EQ(*context.filtered([](const auto&) { return true; }).find(text), kOther);
        EXPECT_EQ(*taskctx::overlaid(context, context).find(number), 5);
        std::size_t count = 0;
        for (const auto& entry : context) {
          count += entry.value().empty() ? 1 : 1;
        }
        EXPECT_GE(count, 3U);
        return 0;
      });
    });
  });
}

// M39
TEST_P(OperatorNew, BoundCalls) {
  everywhere([] {
    const Scope outer{number, 5, text, kLong};
    armed_for([] {
      const auto change = [](const std::string& to) {
        (void)number.set(number.get() + 1);
        (void)text.set(text.get() + to);
        return text.get();
      };
      const std::function<std::string(std::string)> bound = taskctx::bind(change);
      EXPECT_EQ(bound(kOther), kLong + kOther);
      EXPECT_EQ(bound(kOther), kLong + kOther);
      EXPECT_EQ(taskctx::bind(Context(), [] { return number.get(); })(), 1);
      EXPECT_EQ(number.get(), 5);
      EXPECT_EQ(text.get(), kLong);
    });
  });
}

// M39
TEST_P(OperatorNew, Layers) {
  everywhere([] {
    static const ContextVar<taskctx::Shared<std::string>> shared{"shared"};
    static const ContextVar<taskctx::Overlay<std::string>> overlay{"overlay"};
    armed_for([] {
      const Scope scope{shared, taskctx::Shared<std::string>(kLong), overlay,
                        taskctx::Overlay<std::string>(kLong)};
      taskctx::bind([] {
        shared.get().store(kOther);
        overlay.get().store(kOther);
        EXPECT_EQ(overlay.get().update([](std::string& value) { value += "!"; }), kOther + "!");
        overlay.get().clear();
        EXPECT_EQ(overlay.get().load(), kLong);
        overlay.get().store(kOther);
      })();
      EXPECT_EQ(shared.get().load(), kOther);
      EXPECT_EQ(overlay.get().load(), kLong);
    });
    armed_for([] {
      for (const auto factory :
           {taskctx::dict::share, taskctx::dict::copy, taskctx::dict::overlay}) {
        Context parent = copy_context();
        Context context = taskctx::dict::share(&parent);
        context.run([&] {
          taskctx::dict::set("a", kLong);
          taskctx::dict::set("b", 1);
          const Context here = copy_context();
          Context child = factory(&here);
          child.run([] {
            EXPECT_EQ(taskctx::dict::get<std::string>("a"), kLong);
            taskctx::dict::set("a", kOther);
            EXPECT_EQ(taskctx::dict::get<std::string>("a"), kOther);
            EXPECT_EQ(taskctx::dict::keys().size(), 2U);
          });
          EXPECT_EQ(taskctx::dict::get<std::string>("a"),
                    factory == taskctx::dict::share ? kOther : kLong);
          taskctx::dict::clear();
          EXPECT_TRUE(taskctx::dict::keys().empty());
        });
      }
    });
  });
}

int changes = 0;
inline ContextVar<std::string> watched{"watched",
                                       {.on_change = [](const taskctx::Change<std::string>&) {
                                         ++changes;
                                         delete new int(1);
                                       }}};

// M39
TEST_P(OperatorNew, Observers) {
  everywhere([] {
    armed_for([] {
      int switches = 0;
      {
        const taskctx::SwitchObserver first([&switches](const Context&, const Context&) {
          ++switches;
          delete new int(1);
        });
        const taskctx::SwitchObserver second([](const Context&, const Context&) {});
        taskctx::bind([] { (void)number.set(2); })();
      }
      EXPECT_GE(switches, 2);
      const int before = changes;
      {
        const Scope scope{watched, kLong};
        EXPECT_EQ(watched.get(), kLong);
      }
      EXPECT_EQ(changes, before + 2);
    });
  });
}

inline ContextVar<std::string> copied{
    "copied",
    {.policy = taskctx::policy::copy([](const std::string& value) { return value + "'"; })}};
inline ContextVar<std::string> never{"never", {.policy = taskctx::policy::never}};
inline ContextVar<std::string> computed{"computed",
                                        {.default_factory = [] { return std::string(50, 'c'); }}};
inline ContextVar<std::string> joined{
    "joined",
    {.policy = taskctx::policy::copy([](const std::string&) { return std::string(); }),
     .merge = [](const std::string& left, const std::string& right) { return left + right; }}};

// M39
TEST_P(OperatorNew, Policies) {
  everywhere([] {
    armed_for([] {
      const Scope scope{copied, kLong, never, kLong};
      auto call = taskctx::bind([] {
        EXPECT_EQ(never.find(), nullptr);
        return copied.get();
      });
      EXPECT_EQ(call(), kLong + "'");
      EXPECT_EQ(computed.get(), std::string(50, 'c'));
      const taskctx::SuppressPropagation suppress;
      EXPECT_EQ(taskctx::bind([] { return copied.find(); })(), nullptr);
    });
  });
}

// M39
TEST_P(OperatorNew, NewVariables) {
  everywhere([] {
    exactly([] {
      for (int i = 0; i < 20; ++i) {
        const ContextVar<std::string> fresh{kLong, {.policy = taskctx::policy::never}};
        const ContextVar<int> named{taskctx::SharedName(kLong)};
        const ContextVar<int> same{taskctx::SharedName(kLong)};
        const Scope scope{fresh, kOther, named, i};
        EXPECT_EQ(fresh.get(), kOther);
        EXPECT_EQ(same.get(), i);
      }
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Variables, OperatorNew, testing::Values(0, 100, 9000));

// M39: the first of all, nothing of ours is there yet.
TEST(OperatorNewAtFirst, MayBeTheFirstThatUsesTheLibrary) {
  static const auto first = [] {
    armed = true;
    const Scope scope{text, kLong};
    armed = false;
    return text.get();
  };
  std::thread([] { EXPECT_EQ(first(), kLong); }).join();
}

// Jobs

taskctx::Task<int> inner(int value) {
  const Scope scope{number, value, text, kLong};
  co_await taskctx::yield();
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_return number.get();
}
taskctx::Task<int> outer_task() {
  const Scope scope{number, 20, text, kOther};
  const int first = co_await inner(21);
  auto [left, right] = co_await taskctx::when_all(inner(22), inner(23));
  EXPECT_EQ(number.get(), 20);
  EXPECT_EQ(text.get(), kOther);
  co_return first + left + right;
}
taskctx::Task<> writing() {
  (void)number.set(8);
  (void)text.set(kOther);
  co_return;
}

// Everything that waits or hands over, with operator new armed on this thread, or on all.
void work(taskctx::JobPool& pool) {
  const Scope scope{number, 7, text, kLong, joined, kLong};
  const Context kept = copy_context();
  taskctx::sync_wait(writing());
  EXPECT_EQ(number.get(), 8);
  EXPECT_EQ(text.get(), kOther);
  EXPECT_EQ(taskctx::sync_wait(outer_task()), 66);
  EXPECT_EQ(pool.spawn(outer_task()).get(), 66);
  const auto set_and_get = [] {
    const std::string before = text.get();
    (void)text.set(before + "!");
    (void)joined.set(joined.get() + "!");
    return text.get();
  };
  auto job = pool.submit(set_and_get);
  EXPECT_EQ(job.get(), kOther + "!");
  EXPECT_EQ(joined.get(), kLong + "!");
  auto named = pool.submit({.name = kLong, .keep_context = true}, set_and_get);
  auto then = named.then([](const std::string& value) { return value + text.get(); });
  EXPECT_EQ(then.get(), kOther + "!" + kOther);
  EXPECT_EQ(joined.get(), kLong + "!!");
  pool.submit_bulk(std::vector<int>(10), [](int) { (void)joined.set("b"); }).get();
  EXPECT_EQ(joined.get(), kLong + "!!bbbbbbbbbb");
  auto later = pool.submit_after(absl::Microseconds(10), set_and_get);
  auto much_later = pool.submit_after(absl::Hours(1), set_and_get);
  EXPECT_EQ(later.get(), kOther + "!");
  EXPECT_TRUE(much_later.cancel());
  pool.post([] { (void)text.set(kLong); });
  taskctx::SharedJob<int> shared = pool.submit([] { return number.get(); }).shared();
  EXPECT_EQ(shared.get(), 8);
  std::atomic<int> sum{0};
  taskctx::tbb::parallel_for(0, 100, [&sum](int) {
    sum += number.get();
    (void)text.set(text.get() + "?");
  });
  EXPECT_EQ(sum, 800);
  EXPECT_EQ(text.get(), kOther);
  (void)pool.stats();
  EXPECT_EQ(*kept.find(number), 7);
  EXPECT_EQ(*kept.find(text), kLong);
}

// M39
TEST(OperatorNewOfJobs, OfTheThreadThatWaits) {
  const taskctx_test::Watchdog watchdog("operator new of a thread that waits");
  taskctx::Attribution<std::string> account{text};
  taskctx::JobPool pool{{.concurrency = 2, .attribution = account}};
  for (int i = 0; i < 10; ++i) {
    const Armed arm;
    work(pool);
    EXPECT_TRUE(pool.drain());
    (void)account.totals();
  }
  EXPECT_EQ(wrong_depths, 0);
}

// M39
TEST(OperatorNewOfJobs, OfAllThreads) {
  const taskctx_test::Watchdog watchdog("operator new of all threads");
  armed_everywhere = true;
  for (int i = 0; i < 5; ++i) {
    taskctx::Attribution<std::string> account{text};
    taskctx::JobPool pool{{.concurrency = 2, .attribution = account}};
    work(pool);
    pool.submit([&pool] { work(pool); }).get();
    std::thread([&pool] { work(pool); }).join();
    EXPECT_TRUE(pool.drain());
    (void)account.totals();
  }
  armed_everywhere = false;
  EXPECT_EQ(wrong_depths, 0);
}

}  // namespace
