// SPDX-License-Identifier: Apache-2.0
//
// The dictionary of a task, and the three factories that make a task's from its parent's.

#include "taskctx/dict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using testing::ElementsAre;
using testing::IsEmpty;
namespace dict = taskctx::dict;

// A pool whose jobs have dictionaries, and whose jobs' jobs get theirs by `factory`.
class DictPool {
 public:
  explicit DictPool(ContextFactory factory)
      : pool_({.concurrency = 4, .context_factory = std::move(factory)}) {}

  // Runs `function` in a job, and waits for it.
  template <typename F>
  auto run(F function) {
    return pool_.submit(std::move(function)).get();
  }
  JobPool& operator*() { return pool_; }

 private:
  JobPool pool_;
};

std::string value_of(const char* key) { return dict::get(key, "-"); }

// D1: nothing, or the call site's default, whatever the type; also where there is no dictionary.
TEST(Dictionary, AMissingKeyGivesTheDefaultOrNothing) {
  EXPECT_EQ(dict::get<int>("missing"), std::nullopt);
  EXPECT_EQ(dict::get("missing", 3), 3);
  DictPool pool(dict::share);
  pool.run([] {
    EXPECT_EQ(dict::get<std::string>("missing"), std::nullopt);
    EXPECT_EQ(dict::find<std::string>("missing"), nullptr);
    EXPECT_EQ(dict::get("missing", "default"), "default");
    dict::set("there", "value");
    EXPECT_EQ(dict::get("there", "default"), "value");
    EXPECT_EQ(dict::get<std::string>("there"), "value");
    dict::set("there", 5);
    EXPECT_EQ(dict::get("there", 7), 5);
  });
}

// D2: a clear error, which names the key.
TEST(Dictionary, WritingWithoutATaskContextIsAnError) {
  EXPECT_THROW(dict::clear(), ContextError);
  try {
    dict::set("user", 1);
    FAIL();
  } catch (const ContextError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot set key 'user': there is no dictionary here; a factory of taskctx::dict "
                 "makes a task's");
  }
  JobPool plain({.concurrency = 1});
  EXPECT_THROW(plain.submit([] { dict::set("user", 1); }).get(), ContextError);
}

// D4
TEST(Dictionary, TheRootContextStartsEmpty) {
  for (const auto& factory : {dict::share, dict::copy, dict::overlay}) {
    DictPool pool(factory);
    pool.run([] {
      EXPECT_THAT(dict::keys(), IsEmpty());
      dict::set("left", "behind");
    });
    pool.run([] { EXPECT_THAT(dict::keys(), IsEmpty()); });
  }
}

// D5, D10, D8: one dictionary, both ways, and clear() is for both.
TEST(SharingFactory, ParentAndChildUseOneDictionary) {
  DictPool pool(dict::share);
  pool.run([&] {
    dict::set("key", "parent's");
    Latch changed;
    Job<std::string> child = (*pool).submit([&] {
      changed.wait();
      std::string seen = value_of("key");
      dict::set("key", "child's");
      return seen;
    });
    dict::set("key", "parent's later");
    changed.open();
    EXPECT_EQ(child.get(), "parent's later");
    EXPECT_EQ(value_of("key"), "child's");
    (*pool).submit([] { dict::clear(); }).get();
    EXPECT_THAT(dict::keys(), IsEmpty());
  });
}

// D6, D10, D8: copies, isolated both ways.
TEST(CopyingFactory, ParentAndChildHaveCopies) {
  DictPool pool(dict::copy);
  pool.run([&] {
    dict::set("key", "parent's");
    dict::set("list", std::vector<int>{1, 2});
    const auto parents_list = dict::find<std::vector<int>>("list");
    Latch changed;
    Job<std::string> child = (*pool).submit([&] {
      changed.wait();
      EXPECT_NE(dict::find<std::vector<int>>("list"), parents_list);
      EXPECT_EQ(*dict::find<std::vector<int>>("list"), *parents_list);
      std::string seen = value_of("key");
      dict::set("key", "child's");
      return seen;
    });
    dict::set("key", "parent's later");
    changed.open();
    EXPECT_EQ(child.get(), "parent's");
    EXPECT_EQ(value_of("key"), "parent's later");
    (*pool)
        .submit([] {
          dict::clear();
          EXPECT_THAT(dict::keys(), IsEmpty());
        })
        .get();
    EXPECT_THAT(dict::keys(), ElementsAre("key", "list"));
  });
}

// D6: refused at spawn, by name, before anything is scheduled.
TEST(CopyingFactory, AValueThatCannotBeCopiedIsRefusedAtSpawn) {
  DictPool pool(dict::copy);
  pool.run([&] {
    dict::set("copied first", Tracked(1));
    dict::set("pointer", std::make_unique<int>(5));
    std::atomic<bool> has_run = false;
    try {
      (*pool).submit([&] { has_run = true; }).wait();
      FAIL();
    } catch (const ContextError& error) {
      EXPECT_STREQ(error.what(),
                   "cannot copy value of key 'pointer': its type has no copy "
                   "constructor");
    }
    EXPECT_FALSE(has_run);
    EXPECT_EQ(Tracked::alive(), 1);
    EXPECT_EQ(**dict::find<std::unique_ptr<int>>("pointer"), 5);
    // Those that share or overlay don't mind.
    (*pool)
        .submit({.context_factory = dict::overlay},
                [] { EXPECT_EQ(**dict::find<std::unique_ptr<int>>("pointer"), 5); })
        .get();
  });
  EXPECT_EQ(Tracked::alive(), 0);
}

// D7, D10, D8: the child's own layer over the parent's.
TEST(OverlayFactory, TheChildSeesTheParentsUntilItSetsItsOwn) {
  DictPool pool(dict::overlay);
  pool.run([&] {
    dict::set("key", "parent's");
    dict::set("other", 1);
    Latch seen_first;
    Latch changed;
    Job<void> child = (*pool).submit([&] {
      EXPECT_EQ(value_of("key"), "parent's");
      seen_first.open();
      changed.wait();
      EXPECT_EQ(value_of("key"), "parent's later");
      dict::set("key", "child's");
      EXPECT_EQ(value_of("key"), "child's");
      dict::set("own", 2);
      EXPECT_THAT(dict::keys(), ElementsAre("key", "other", "own"));
      dict::clear();
      EXPECT_EQ(value_of("key"), "parent's later");
      EXPECT_THAT(dict::keys(), ElementsAre("key", "other"));
      dict::set("key", "child's");
    });
    seen_first.wait();
    dict::set("key", "parent's later");
    changed.open();
    child.get();
    EXPECT_EQ(value_of("key"), "parent's later");
    EXPECT_THAT(dict::keys(), ElementsAre("key", "other"));
  });
}

// D11: 1,000 tasks, ten waits each: every one keeps its own key.
TEST(Dictionary, AThousandTasksKeepTheirOwnKeys) {
  for (const auto& factory : {dict::copy, dict::overlay}) {
    DictPool pool(factory);
    std::vector<Job<int>> jobs;
    for (int i = 0; i < 1000; ++i) {
      jobs.push_back((*pool).submit([&pool, i] {
        dict::set("id", i);
        int wrong = 0;
        for (int wait = 0; wait < 10; ++wait) {
          wrong += (*pool)
                       .submit([i] {
                         const bool is_right = dict::get("id", -1) == i;
                         dict::set("id", -2);
                         return is_right ? 0 : 1;
                       })
                       .get();
          wrong += dict::get("id", -1) == i ? 0 : 1;
        }
        return wrong;
      }));
    }
    int wrong = 0;
    for (Job<int>& job : jobs) {
      wrong += job.get();
    }
    EXPECT_EQ(wrong, 0);
  }
}

// D5: shared and overlaid dictionaries are written by several threads at once.
TEST(Dictionary, ManyThreadsMayWriteToOne) {
  DictPool pool(dict::share);
  pool.run([&] {
    std::vector<Job<void>> jobs;
    for (int i = 0; i < 8; ++i) {
      jobs.push_back((*pool).submit([i] {
        for (int n = 0; n < 100; ++n) {
          dict::set("key " + std::to_string(i), n);
        }
      }));
    }
    for (Job<void>& job : jobs) {
      job.get();
    }
    EXPECT_EQ(dict::keys().size(), 8U);
    EXPECT_EQ(dict::get("key 7", -1), 99);
  });
}

// D12: once for each task, with the parent or with none; all other bindings are inherited.
TEST(Dictionary, FactoriesMayBeBuiltOnTheseAndAreCalledOncePerTask) {
  const ContextVar<int> variable("variable");
  std::atomic<int> calls = 0;
  std::atomic<int> orphans = 0;
  DictPool pool([&](const Context* parent) {
    ++calls;
    orphans += parent == nullptr ? 1 : 0;
    Context context = dict::overlay(parent);
    context.run([] { dict::set("made by", "factory"); });
    return context;
  });
  pool.run([&] {
    EXPECT_EQ(value_of("made by"), "factory");
    variable.set(5);
    (*pool).submit([&] { EXPECT_EQ(variable.get(), 5); }).get();
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(orphans, 1);
}

// D1: another type is an error that names the key, not a wrong value.
TEST(Dictionary, AskingForAnotherTypeIsALookupError) {
  Context context = dict::share(nullptr);
  context.run([] {
    dict::set("number", 1);
    EXPECT_THROW((void)dict::get<std::string>("number"), taskctx::LookupError);
    EXPECT_THROW((void)dict::get("number", 1.5), taskctx::LookupError);
    EXPECT_EQ(dict::get("number", 0), 1);
  });
}

}  // namespace
