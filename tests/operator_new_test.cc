// SPDX-License-Identifier: Apache-2.0
//
// Contexts where operator new uses context variables: whatever of ours allocates, it comes out as
// if operator new had not used them, and what that has set is there.

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/dict.h"
#include "taskctx/observer.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/suppress_propagation.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/parallel_reduce.h"
#include "taskctx/token.h"
#include "tests/meddling_new.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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

}  // namespace
