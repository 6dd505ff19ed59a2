// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of flow graphs, and what the compiler says of them (compile_errors_test.py).

#include <oneapi/tbb/flow_graph.h>

#include <functional>
#include <tuple>

#include "taskctx/task.h"
#include "taskctx/tbb/flow_graph.h"

#define TEST(suite, name) void suite##_##name()

namespace flow = taskctx::tbb::flow;

// T6
// error: messages of plain oneTBB's nodes have no contexts: take taskctx::tbb::flow for both ends
TEST(FlowErrors, AnEdgeToAPlainNodeIsRefused) {
  flow::graph graph;
  oneapi::tbb::flow::graph plain;
  flow::queue_node<int> ours(graph);
  oneapi::tbb::flow::queue_node<int> theirs(plain);
  flow::make_edge(ours, theirs);
}

// T6
// error: messages of plain oneTBB's nodes have no contexts
TEST(FlowErrors, AnEdgeFromAPlainNodeIsRefusedAlsoIfTheNodesSayWhoseFunctionItIs) {
  flow::graph graph;
  oneapi::tbb::flow::graph plain;
  flow::queue_node<int> ours(graph);
  oneapi::tbb::flow::queue_node<int> theirs(plain);
  make_edge(theirs, ours);
}

// T6
// error: a body that is a coroutine would never run: wait for the task in the body
// lines: 45
TEST(FlowErrors, ABodyIsNotACoroutine) {
  flow::graph graph;
  flow::function_node<int> node(graph, flow::unlimited, [](int) -> taskctx::Task<> { co_return; });
}
