// SPDX-License-Identifier: Apache-2.0
//
// Joins and continue nodes of a flow graph: whose context wins, and what becomes of tuples that
// nobody takes; and how often messages are copied.

#include <gtest/gtest.h>

#include <atomic>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"
#include "tests/flow_graphs.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

class FlowPorts : public FlowTest {};

// T6: joins and continue nodes have one context of several, or what the user makes of them.
TEST_P(FlowPorts, MergeContextsAsTheUserSays) {
  run([] {
    const ContextVar<std::string> names("names");
    const auto merge = [&](std::span<const Context> contexts) {
      std::string all;
      for (const Context& context : contexts) {
        const std::string* name = context.find(names);
        all += name != nullptr ? *name : "-";
      }
      Context merged = contexts.front();
      merged.run([&] { names.set(all); });
      return merged;
    };
    std::vector<std::string> seen;
    flow::graph graph;
    flow::join_node<std::tuple<int, int, int>> join(graph);
    join.merge_contexts(merge);
    flow::function_node<std::tuple<int, int, int>> joined(
        graph, flow::serial, [&](const auto&) { seen.push_back(names.get("none")); });
    flow::make_edge(join, joined);
    flow::continue_node<int> all(graph, 2, [&](const flow::continue_msg&) {
      seen.push_back(names.get("none"));
      return 0;
    });
    all.merge_contexts(merge);
    const auto put = [&](const char* name, const auto& function) {
      const Scope scope(names, name);
      function();
    };
    put("b", [&] { flow::input_port<1>(join).try_put(1); });
    put("a", [&] { flow::input_port<0>(join).try_put(1); });
    flow::input_port<2>(join).try_put(1);
    graph.wait_for_all();
    put("x", [&] { all.try_put({}); });
    put("y", [&] { all.try_put({}); });
    graph.wait_for_all();
    EXPECT_EQ(seen, (std::vector<std::string>{"ab-", "xy"}));
  });
}

// T6: a join whose successors reject its tuples keeps them, and they are got from it later.
template <typename Policy, typename... Functions>
void join_before_a_busy_node(const Functions&... functions) {
  constexpr int kOfEach = 100;
  using Pair = std::tuple<Item, Item>;
  flow::graph graph;
  Arrivals arrivals;
  flow::queue_node<Item> first(graph);
  flow::queue_node<Item> second(graph);
  flow::join_node<Pair, Policy> join(graph, functions...);
  const auto arrive = [&](const Pair& pair) {
    EXPECT_EQ(std::get<0>(pair).number, std::get<1>(pair).number);
    arrivals.arrive(std::get<0>(pair).request);
  };
  flow::function_node<Pair, flow::continue_msg, flow::rejecting> busy(graph, flow::serial, arrive);
  flow::make_edge(first, flow::input_port<0>(join));
  flow::make_edge(second, flow::input_port<1>(join));
  flow::make_edge(join, busy);
  const auto put_all = [&] {
    for_each_item(kOfEach, [&](const Item& item) {
      EXPECT_TRUE(first.try_put(item));
      EXPECT_TRUE(second.try_put(item));
    });
    graph.wait_for_all();
  };
  put_all();
  arrivals.expect(kOfEach);
  graph.reset();
  put_all();
  arrivals.expect(2 * kOfEach);
  graph.reset(flow::rf_clear_edges);
  flow::make_edge(first, flow::input_port<0>(join));
  flow::make_edge(second, flow::input_port<1>(join));
  put_all();
  flow::make_edge(join, busy);  // The tuples are waiting.
  graph.wait_for_all();
  arrivals.expect(3 * kOfEach);
  flow::remove_edge(join, busy);
  first.try_put({.request = 0});
  second.try_put({.request = 0});
  graph.wait_for_all();
  arrivals.expect(3 * kOfEach);
  Carried<Pair> got;
  EXPECT_TRUE(join.try_get(got));
  EXPECT_FALSE(join.try_get(got));
  graph.wait_for_all();
}
TEST_P(FlowPorts, KeepTuplesThatNobodyTakes) {
  run([] {
    const auto key = [](const Item& item) { return item.number; };
    for (int i = 0; i < 5; ++i) {
      join_before_a_busy_node<flow::queueing>();
      join_before_a_busy_node<flow::reserving>();
      join_before_a_busy_node<flow::key_matching<int>>(key, key);
    }
  });
}

// Counts its copies.
struct Counted {
  Counted() = default;
  explicit Counted(std::atomic<int>& its_copies) : copies(&its_copies) {}
  Counted(const Counted& other) : copies(other.copies) { count(); }
  Counted& operator=(const Counted& other) {
    if (this != &other) {
      copies = other.copies;
      count();
    }
    return *this;
  }
  ~Counted() = default;
  void count() const {
    if (copies != nullptr) {
      ++*copies;
    }
  }

  std::atomic<int>* copies = nullptr;
  std::string text = "too long for a string's own memory";
};

// The names of oneTBB's, and of ours.
struct Plain {
  using graph = oneapi::tbb::flow::graph;
  template <typename... Ts>
  using function_node = oneapi::tbb::flow::function_node<Ts...>;
  template <typename T>
  using queue_node = oneapi::tbb::flow::queue_node<T>;
  template <typename... Ts>
  using join_node = oneapi::tbb::flow::join_node<Ts...>;
};
struct Ours {
  using graph = flow::graph;
  template <typename... Ts>
  using function_node = flow::function_node<Ts...>;
  template <typename T>
  using queue_node = flow::queue_node<T>;
  template <typename... Ts>
  using join_node = flow::join_node<Ts...>;
};

template <typename Names>
int copies_on_the_way() {
  std::atomic<int> copies{0};
  typename Names::graph graph;
  typename Names::template function_node<Counted, Counted> first(
      graph, oneapi::tbb::flow::unlimited, [](const Counted& message) { return message; });
  typename Names::template queue_node<Counted> queue(graph);
  typename Names::template join_node<std::tuple<Counted, Counted>> join(graph);
  typename Names::template function_node<std::tuple<Counted, Counted>> last(
      graph, oneapi::tbb::flow::unlimited, [](const std::tuple<Counted, Counted>&) {});
  make_edge(first, queue);
  make_edge(queue, std::get<0>(join.input_ports()));
  make_edge(join, last);
  const Counted message(copies);
  first.try_put(message);
  std::get<1>(join.input_ports()).try_put(message);
  graph.wait_for_all();
  return copies;
}

// F-F2: a message is not copied more often than in plain oneTBB; only a join moves it once more.
TEST_P(FlowPorts, CopyMessagesAsOftenAsPlainOneTbb) {
  run([] { EXPECT_EQ(copies_on_the_way<Ours>(), copies_on_the_way<Plain>() + 2); });
}

INSTANTIATE_TEST_SUITE_P(Threads, FlowPorts, testing::Values(1, 2, 4, 8));

}  // namespace
