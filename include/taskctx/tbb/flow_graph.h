// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's flow graph, where each message carries the context in which it was put.
//
//   namespace flow = taskctx::tbb::flow;  // in place of oneapi::tbb::flow
//   flow::graph graph;
//   flow::function_node<Line, int> count(graph, flow::unlimited, [](const Line& line) {
//     log("line of ", request_id.get());       // whoever has put the line
//     return count_words(line);
//   });
//   flow::function_node<int> sum(graph, flow::serial, &add);
//   flow::make_edge(count, sum);
//   taskctx::Scope scope{request_id, "r-1"};
//   count.try_put(line);                       // with the context here
//   graph.wait_for_all();
//
// Nodes, constructors, policies, priorities, deduction guides, edges, sets of nodes, cancellation
// and exceptions are oneTBB's, in the version that is installed. The parts are in
// taskctx/tbb/flow/.
//
// Isolation: each call of a body starts with the values of its message. What it sets goes on with
//            what it sends after that, and nowhere else. The context in which the graph was made,
//            or is waited for, does not matter.
// Who wins:  function_node, multifunction_node, split_node, indexer_node and all that keep messages
//            pass a message's context on. A tuple of a join_node has that of the message from the
//            first port, and the body of a continue_node that of the last message that came;
//            merge_contexts(f) of these nodes makes another one of all. An input_node's body has
//            that of activate(). What an async_node's gateway is given has that of the code that
//            gives it: bind() the callback, or keep a Carried (taskctx/carried.h).
// Carried:   try_put(carried), of nodes, ports and gateways, puts a message with the context that
//            `carried` has; try_get(carried) and try_reserve(carried) tell a message's.
// Whose:     a message is the work of the job or cancel scope that has put it: this_job and
//            cancelled() answer so in bodies. A body runs nevertheless if that is cancelled, as a
//            message must not get lost. Cancelled, as any exception that leaves a body, cancels the
//            graph: a body of a graph with messages of several jobs catches it. A graph that is
//            made in a job or scope is cancelled with it.
// Covered:   calls of bodies, and of functions that a sequencer_node or a join_node asks about a
//            message. Not covered: copies and destructors of messages and bodies, and comparisons
//            in a priority_queue_node.
// Cost:      oneTBB's; for each message and node an atomic increment and decrement, and a guard of
//            two words (17 to 19 ns, G23 of the benchmarks); 16 bytes for each message, 24 if it is not
//            small and plain. It is copied as often as in plain oneTBB, and moved once at a join.
// Threads:   as oneTBB's: try_put(), try_get() and edges are thread-safe; graph::reset() is not.
// Blocking:  wait_for_all() and try_put_and_wait(), see taskctx/tbb.h.
// Lifetime:  a message keeps its context's values alive until it has been taken, and the last body
//            that gets it has returned. As in oneTBB, the graph must outlive its nodes, and these
//            its tasks: call wait_for_all() before they end. (A queue has tasks also if there was
//            no message: at its first edge, and when somebody gets or releases one.)
// Errors:    oneTBB's own: what a body throws cancels the graph, and comes out of wait_for_all().
//            Functions that are asked about messages must not throw, nor may copies of messages in
//            queues and joins: oneTBB's locks would stay closed. A variable's policy::copy must not
//            throw in a lightweight body that says noexcept: the program would end.
// Not here:  edges to nodes of plain oneTBB; senders and receivers that the user derives from
//            oneTBB's (which oneTBB does not document), and their register_successor(), ...;
//            profiling::set_name() of nodes.

#ifndef TASKCTX_TBB_FLOW_GRAPH_H_
#define TASKCTX_TBB_FLOW_GRAPH_H_

#include "taskctx/tbb/flow/buffering_nodes.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/functional_nodes.h"
#include "taskctx/tbb/flow/graph.h"
#include "taskctx/tbb/flow/joining_nodes.h"
#include "taskctx/tbb/flow/resource_limited_node.h"

#endif  // TASKCTX_TBB_FLOW_GRAPH_H_
