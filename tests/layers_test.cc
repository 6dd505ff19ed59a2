// SPDX-License-Identifier: Apache-2.0
//
// Overlays and dictionaries over generations of tasks: what is seen is right, and no more is kept
// and looked through than can be seen.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/dict.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using taskctx::internal::layers_of_dict;

constexpr int kGenerations = 20'000;

// M36: generations that end one after another, each of which sets something every `period`.
TEST(Layers, OfGenerationsDoNotGrow) {
  for (const int period : {1, 2, 3, 7, kGenerations}) {
    Overlay<Tracked> last(Tracked(0));
    int expected = 0;
    for (int i = 1; i <= kGenerations; ++i) {
      last = Overlay<Tracked>::inherited(last);
      ASSERT_EQ(last.load().value(), expected);
      if (i % period == 0) {
        last.store(Tracked(expected = i));
      }
      ASSERT_LE(layers_from(last), 2u);
      ASSERT_LE(Tracked::alive(), 2);
    }
    EXPECT_EQ(last.load().value(), expected);
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// M36: what ends in between is seen where it was seen before, and what it hid stays hidden.
TEST(Layers, ThatHaveEndedAreStillSeenWhereTheyWere) {
  const Overlay<std::string> root("root's");
  std::optional<Overlay<std::string>> middle(Overlay<std::string>::inherited(root));
  const auto top = Overlay<std::string>::inherited(*middle);
  const auto other = Overlay<std::string>::inherited(*middle);
  middle->store("middle's");
  top.store("top's");
  middle.reset();
  root.store("root's later");
  EXPECT_EQ(top.load(), "top's");
  EXPECT_EQ(other.load(), "middle's");
  top.clear();
  EXPECT_EQ(top.load(), "middle's");
  top.clear();
  EXPECT_EQ(top.load(), "middle's");
}

// M36: a layer that had nothing of its own leaves its place to those above.
TEST(Layers, ThatHadNothingLeaveTheParentsInSight) {
  const Overlay<std::string> root("root's");
  auto top = Overlay<std::string>::inherited(Overlay<std::string>::inherited(root));
  root.store("root's later");
  EXPECT_EQ(top.load(), "root's later");
  EXPECT_EQ(layers_from(top), 2u);
}

// A task that submits itself again in `pool`, `generations` times, and calls `function` each time.
void submit_again(JobPool& pool, int generation, int generations,
                  const std::function<void(int)>& function, Latch& done) {
  function(generation);
  if (generation == generations) {
    done.open();
    return;
  }
  pool.post([&pool, generation, generations, &function, &done] {
    submit_again(pool, generation + 1, generations, function, done);
  });
}

// M36: a task that submits itself again looks no further than its first generation did. (The one
// before may not have ended yet, nor the one before that.)
TEST(Layers, OfATaskThatSubmitsItselfDoNotGrow) {
  const ContextVar<Overlay<Tracked>> variable("variable");
  for (const int threads : {1, 2, 4}) {
    for (const bool stores : {false, true}) {
      std::atomic<std::size_t> most = 0;
      JobPool pool{{.concurrency = threads}};
      const taskctx::Scope scope{variable, Overlay<Tracked>(Tracked(-1))};
      const std::function<void(int)> look = [&](int generation) {
        const int seen = variable.get().load().value();
        EXPECT_EQ(seen, stores ? generation - 1 : -1);
        if (stores) {
          variable.get().store(Tracked(generation));
        }
        most = std::max(most.load(), layers_from(variable.get()));
      };
      Latch done;
      pool.post([&] { submit_again(pool, 0, kGenerations, look, done); });
      done.wait();
      pool.drain();
      EXPECT_LE(most, static_cast<std::size_t>(threads) + 3);
    }
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// M37: likewise with dictionaries.
TEST(LayersOfDictionaries, OfATaskThatSubmitsItselfDoNotGrow) {
  for (const int threads : {1, 2, 4}) {
    for (const bool sets : {false, true}) {
      std::atomic<std::size_t> most = 0;
      JobPool pool{{.concurrency = threads, .context_factory = taskctx::dict::overlay}};
      const std::function<void(int)> look = [&](int generation) {
        if (generation == 0) {
          taskctx::dict::set("first", std::string("first"));
        }
        EXPECT_EQ(taskctx::dict::get<std::string>("first"), "first");
        if (sets) {
          EXPECT_EQ(taskctx::dict::get("last", generation - 1), generation - 1);
          taskctx::dict::set("last", generation);
          taskctx::dict::set("key " + std::to_string(generation % 5), Tracked(generation));
        }
        most = std::max(most.load(), layers_of_dict());
      };
      Latch done;
      pool.post([&] { submit_again(pool, 0, kGenerations, look, done); });
      done.wait();
      pool.drain();
      EXPECT_LE(most, 2 * static_cast<std::size_t>(threads) + 4);
    }
  }
  EXPECT_EQ(Tracked::alive(), 0);
}

// What a family would be if nothing were ever let go.
struct Plain {
  const Plain* below;
  std::map<std::string, int> own;

  [[nodiscard]] std::optional<int> find(const std::string& key) const {
    for (const Plain* at = this; at != nullptr; at = at->below) {
      if (const auto place = at->own.find(key); place != at->own.end()) {
        return place->second;
      }
    }
    return std::nullopt;
  }
};

// M36, M37: whatever is done in whatever order, all see what they would if nothing were let go; and
// there are at most twice as many layers below as there are handles.
TEST(Layers, RandomFamiliesAgreeWithPlainOnes) {
  struct Member {
    Plain* plain;
    Overlay<int> overlay;
    Context dictionary;
  };
  const std::vector<std::string> keys{"a", "b", "c"};
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](std::size_t bound) {
      return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
    };
    std::vector<std::unique_ptr<Plain>> plains;
    std::vector<Member> members;
    const auto add = [&](const Plain* parent, Overlay<int> overlay, Context dictionary) {
      plains.push_back(std::make_unique<Plain>(Plain{parent, {}}));
      members.push_back({plains.back().get(), std::move(overlay), std::move(dictionary)});
    };
    add(nullptr, Overlay<int>(0), taskctx::dict::overlay(nullptr));
    plains.back()->own["overlay"] = 0;
    for (int step = 0; step < 600; ++step) {
      const std::size_t which = below(members.size());
      Member& member = members[which];
      const int value = step + 1;
      switch (below(10)) {
        case 0:
        case 1:
        case 2:
          add(member.plain, Overlay<int>::inherited(member.overlay),
              taskctx::dict::overlay(&member.dictionary));
          break;
        case 3:
        case 4:
        case 5:
          if (members.size() > 1) {
            std::swap(member, members.back());
            members.pop_back();
          }
          break;
        case 6:
        case 7:
          member.overlay.store(value);
          member.plain->own["overlay"] = value;
          break;
        case 8: {
          const std::string& key = keys[below(keys.size())];
          member.dictionary.run([&] { taskctx::dict::set(key, value); });
          member.plain->own[key] = value;
          break;
        }
        default: {
          member.overlay.clear();
          member.dictionary.run([] { taskctx::dict::clear(); });
          const auto kept =
              member.plain->below == nullptr ? member.plain->find("overlay") : std::nullopt;
          member.plain->own.clear();
          if (kept.has_value()) {
            member.plain->own["overlay"] = *kept;
          }
        }
      }
      for (Member& each : members) {
        ASSERT_EQ(each.overlay.load(), each.plain->find("overlay")) << seed << ' ' << step;
        ASSERT_LE(layers_from(each.overlay), 2 * members.size());
        each.dictionary.run([&] {
          for (const std::string& key : keys) {
            ASSERT_EQ(taskctx::dict::get<int>(key), each.plain->find(key)) << seed << ' ' << step;
          }
          ASSERT_LE(layers_of_dict(), 2 * members.size());
        });
      }
    }
  }
}

// M36, M37: threads that inherit, store, look and end at once disturb each other in nothing.
TEST(Layers, OfManyThreadsAreRight) {
  const Overlay<int> root(-1);
  const Context dictionary = taskctx::dict::share(nullptr);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&root, &dictionary, thread] {
      Overlay<int> last = Overlay<int>::inherited(root);
      Context context = taskctx::dict::overlay(&dictionary);
      for (int i = 0; i < 3000; ++i) {
        last.store(thread);
        last = Overlay<int>::inherited(last);
        const auto top = Overlay<int>::inherited(last);
        ASSERT_EQ(top.load(), thread);
        root.store(-2 - i);
        context.run([&] { taskctx::dict::set("key", thread); });
        context = taskctx::dict::overlay(&context);
        context.run([&] {
          ASSERT_EQ(taskctx::dict::get<int>("key"), thread);
          ASSERT_THAT(taskctx::dict::keys(), testing::Contains("key"));
        });
        Context(dictionary).run([&] { taskctx::dict::set("other", i); });
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(layers_from(root), 1u);
}

}  // namespace
