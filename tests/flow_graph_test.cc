// SPDX-License-Identifier: Apache-2.0
//
// What a flow graph does with contexts beyond passing them on: puts and gets with a Carried, ports
// whose contexts are merged, edges that turn around, nodes that are copied, names.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <vector>

#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"
#include "tests/flow_graphs.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

class FlowGraphs : public FlowTest {};

// T6: the message's context wins over those in which graph, nodes and edges were made, and in which
// somebody waits.
TEST_P(FlowGraphs, AreUsedInOtherContextsThanTheyWereMadeIn) {
  run([] {
    const Scope maker(flow_request, 100);
    flow::graph graph;
    Arrivals arrivals;
    flow::function_node<Item> sink(graph, flow::unlimited,
                                   [&](const Item& item) { arrivals.arrive(item.request); });
    flow::queue_node<Item> queue(graph);
    flow::make_edge(queue, sink);
    for_each_item(20, [&](const Item& item) { queue.try_put(item); });
    const Scope waiter(flow_request, 101);
    graph.wait_for_all();
    arrivals.expect(20);
    EXPECT_EQ(flow_request.get(), 101);
  });
}

// F-N18: what a Carried carries is the message's context, on its way in and out.
TEST_P(FlowGraphs, TakeAndGiveCarriedMessages) {
  run([] {
    flow::graph graph;
    flow::queue_node<std::string> queue(graph);
    Carried<std::string> made;
    {
      const Scope scope(flow_request, 3);
      made = Carried<std::string>("message");
    }
    const Scope other(flow_request, 4);
    EXPECT_TRUE(queue.try_put(made));
    graph.wait_for_all();
    Carried<std::string> got;
    EXPECT_TRUE(queue.try_reserve(got));
    EXPECT_TRUE(queue.try_release());
    EXPECT_TRUE(queue.try_get(got));
    EXPECT_FALSE(queue.try_get(got));
    EXPECT_EQ(got.value(), "message");
    EXPECT_EQ(got.run([](const std::string&) { return flow_request.get(); }), 3);
    EXPECT_EQ(made.value(), "message");
    graph.wait_for_all();  // Whoever releases or gets a message lets the queue look for successors.
  });
}

// T6: threads outside of the graph put at once, each in a context of its own.
TEST_P(FlowGraphs, TakeMessagesOfManyThreadsAtOnce) {
  run([] {
    constexpr int kOfEach = 300;
    flow::graph graph;
    Arrivals arrivals;
    flow::queue_node<Item> queue(graph);
    flow::function_node<Item, Item> pass(graph, flow::unlimited, [](const Item& item) {
      leave_trail("p");
      return item;
    });
    flow::function_node<Item> sink(graph, 2,
                                   [&](const Item& item) { arrivals.arrive(item.request, "p"); });
    flow::make_edge(queue, pass);
    flow::make_edge(pass, sink);
    std::vector<std::thread> threads;
    for (int request = 0; request < kRequests; ++request) {
      threads.emplace_back([&queue, request] {
        const Scope scope(flow_request, request);
        for (int i = 0; i < kOfEach; ++i) {
          EXPECT_TRUE(queue.try_put({.request = request, .number = i}));
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    graph.wait_for_all();
    arrivals.expect(kOfEach);
  });
}

// F-F2: a copy of a node has the same body, an activation and a gateway of its own, and no edges.
TEST_P(FlowGraphs, HaveNodesThatCanBeCopied) {
  run([] {
    flow::graph graph;
    flow::input_node<int> input(graph, [left = 3](taskctx::tbb::flow_control& control) mutable {
      if (left-- == 0) {
        control.stop();
      }
      return flow_request.get(-1);
    });
    flow::input_node<int> other(input);
    flow::async_node<int, int> async(graph, flow::unlimited,
                                     [](int number, auto& gateway) { gateway.try_put(number); });
    flow::async_node<int, int> other_async(async);
    flow::multifunction_node<int, std::tuple<int>> many(
        graph, flow::unlimited,
        [](int number, auto& ports) { std::get<0>(ports).try_put(number); });
    flow::multifunction_node<int, std::tuple<int>> other_many(many);
    flow::queue_node<int> all(graph);
    flow::make_edge(other, other_many);
    flow::make_edge(other_many, other_async);
    flow::make_edge(other_async, all);
    {
      const Scope scope(flow_request, 7);
      other.activate();
    }
    const Scope scope(flow_request, 8);
    input.activate();
    graph.wait_for_all();
    int number = 0;
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(all.try_get(number));
      EXPECT_EQ(number, 7);
    }
    EXPECT_FALSE(all.try_get(number));
    graph.wait_for_all();
  });
}

// F-F2: without edges again, and with the bodies as they were at first.
TEST_P(FlowGraphs, AreReset) {
  run([] {
    flow::graph graph;
    std::vector<int> seen;
    flow::function_node<int, flow::continue_msg> count(
        graph, flow::serial, [&seen, calls = 0](int) mutable { seen.push_back(++calls); });
    flow::continue_node<int> signalled(graph, [&](const flow::continue_msg&) {
      seen.push_back(-1);
      return 0;
    });
    flow::broadcast_node<flow::continue_msg> other(graph);
    flow::make_edge(count, signalled);
    flow::make_edge(other, signalled);
    const auto put = [&] {
      count.try_put(1);
      graph.wait_for_all();
    };
    put();  // One signal of two.
    EXPECT_EQ(seen, std::vector<int>{1});
    flow::remove_edge(other, signalled);
    put();  // One of one, and one too many.
    EXPECT_EQ(seen, (std::vector<int>{1, 2, -1}));
    seen.clear();
    graph.reset(flow::rf_reset_bodies);
    put();
    EXPECT_EQ(seen, (std::vector<int>{1, -1}));
    seen.clear();
    graph.reset(flow::rf_clear_edges);
    put();
    EXPECT_EQ(seen, std::vector<int>{2});
    signalled.try_put({});
    graph.wait_for_all();
    EXPECT_EQ(seen, (std::vector<int>{2, -1}));
  });
}

// F-F2: nodes of a graph are listed; sets of nodes get edges together.
TEST_P(FlowGraphs, HaveSetsOfNodesAndListTheirNodes) {
  run([] {
    flow::graph graph;
    flow::broadcast_node<int> a(graph);
    flow::broadcast_node<int> b(graph);
    flow::join_node pairs(flow::follows(a, b));
    flow::function_node add(
        flow::follows(pairs), flow::unlimited,
        [](const std::tuple<int, int>& pair) { return std::get<0>(pair) + std::get<1>(pair); });
    flow::queue_node<int> first(graph);
    auto set = flow::make_node_set(first);
    flow::broadcast_node out(flow::precedes(set));
    static_assert(std::is_same_v<decltype(out), flow::broadcast_node<int>>);
    flow::make_edges(flow::make_node_set(add), out);
    const Scope scope(flow_request, 5);
    a.try_put(1);
    b.try_put(2);
    graph.wait_for_all();
    Carried<int> got;
    EXPECT_TRUE(first.try_get(got));
    EXPECT_EQ(got.value(), 3);
    graph.wait_for_all();
    EXPECT_EQ(got.run([](int) { return flow_request.get(-1); }), 5);
    std::vector<const flow::graph_node*> nodes;
    for (const flow::graph_node& node : graph) {
      nodes.push_back(&node);
    }
    EXPECT_EQ(nodes, (std::vector<const flow::graph_node*>{&a, &b, &pairs, &add, &first, &out}));
  });
}

// F-F2: values of a context live as long as a message has it, and no longer.
TEST_P(FlowGraphs, LetValuesGoWithTheirMessages) {
  run([] {
    const ContextVar<std::shared_ptr<int>> value("value");
    std::weak_ptr<int> seen;
    flow::graph graph;
    flow::queue_node<int> queue(graph);
    flow::function_node<int, int> pass(graph, flow::unlimited, [&](int number) {
      value.set(std::make_shared<int>(number));
      seen = value.get();
      return number;
    });
    flow::make_edge(pass, queue);
    pass.try_put(1);
    graph.wait_for_all();
    EXPECT_FALSE(seen.expired());
    int number = 0;
    EXPECT_TRUE(queue.try_get(number));
    EXPECT_TRUE(seen.expired());
    graph.wait_for_all();
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, FlowGraphs, testing::Values(1, 2, 4, 8));

// Calls without a namespace find our functions, and not oneTBB's, too.
namespace in_another_namespace {

using namespace taskctx::tbb::flow;

TEST(FlowNames, NeedNoNamespace) {
  graph g;
  multifunction_node<continue_msg, std::tuple<continue_msg, continue_msg>> split(
      g, unlimited, [](const continue_msg& message, auto& ports) {
        std::get<0>(ports).try_put(message);
        std::get<1>(ports).try_put(message);
      });
  join_node<std::tuple<continue_msg, continue_msg>> join(g);
  std::atomic<int> arrived{0};
  function_node<std::tuple<continue_msg, continue_msg>> sink(g, unlimited,
                                                             [&](const auto&) { ++arrived; });
  make_edge(split, join);
  make_edge(output_port<1>(split), input_port<1>(join));
  make_edge(join, sink);
  split.try_put(continue_msg());
  g.wait_for_all();
  remove_edge(split, join);
  EXPECT_EQ(arrived, 1);
}

}  // namespace in_another_namespace

}  // namespace
