// SPDX-License-Identifier: Apache-2.0
//
// Edges and ports of a graph, and sets of nodes that get edges together. Part of
// taskctx/tbb/flow_graph.h, which says what it is about.
//
//   flow::make_edge(parse, flow::input_port<0>(join));
//   flow::make_edge(flow::output_port<1>(split), log);
//   flow::function_node<Line, int> count(flow::follows(parse), flow::unlimited, count_words);

#ifndef TASKCTX_TBB_FLOW_EDGES_H_
#define TASKCTX_TBB_FLOW_EDGES_H_

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/tbb/flow/graph.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A node of this library: oneTBB has functions of the same names, for its own. (What is asked of
// it here makes these functions more constrained than those, so a call that finds both is clear.)
template <typename Node>
concept FlowNode = std::is_base_of_v<tbb::flow::graph_node, Node>;
// A node of plain oneTBB.
template <typename Node>
concept NativeNode = std::is_base_of_v<native::graph_node, Node>;

}  // namespace internal
namespace tbb::flow {

// Returns a port of a node that has several: its reference is valid as long as the node.
template <std::size_t N, typename Node>
  requires internal::FlowNode<Node>
auto& input_port(Node& node) {
  return std::get<N>(node.input_ports());
}
template <std::size_t N, typename Node>
  requires internal::FlowNode<Node>
auto& output_port(Node& node) {
  return std::get<N>(node.output_ports());
}

// Make an edge: messages of `from` go to `to`. Of a node that has several ports, the first one is
// meant. Thread-safe; also while the graph runs.
template <typename T>
void make_edge(sender<T>& from, receiver<T>& to) {
  using internal::FlowAccess;
  FlowAccess::count_edge(to, 1);
  try {
    internal::native::make_edge(FlowAccess::native(from), FlowAccess::native(to));
  } catch (...) {
    FlowAccess::count_edge(to, -1);
    throw;
  }
}
template <typename T, typename V, typename = typename T::output_ports_type,
          typename = typename V::input_ports_type>
  requires internal::FlowNode<T>
void make_edge(T& from, V& to) {
  flow::make_edge(std::get<0>(from.output_ports()), std::get<0>(to.input_ports()));
}
template <typename T, typename R, typename = typename T::output_ports_type>
void make_edge(T& from, receiver<R>& to) {
  flow::make_edge(std::get<0>(from.output_ports()), to);
}
template <typename S, typename V, typename = typename V::input_ports_type>
void make_edge(sender<S>& from, V& to) {
  flow::make_edge(from, std::get<0>(to.input_ports()));
}

// Refused: an edge to, or from, a node of plain oneTBB.
template <typename A, typename B>
  requires(internal::NativeNode<A> != internal::NativeNode<B>)
__attribute__((
    unavailable("messages of plain oneTBB's nodes have no contexts: take taskctx::tbb::flow "
                "for both ends of an edge"))) internal::Refused
make_edge(A& /*from*/, B& /*to*/) {
  return {};
}

// Remove an edge, likewise.
template <typename T>
void remove_edge(sender<T>& from, receiver<T>& to) {
  using internal::FlowAccess;
  internal::native::remove_edge(FlowAccess::native(from), FlowAccess::native(to));
  FlowAccess::count_edge(to, -1);
}
template <typename T, typename V, typename = typename T::output_ports_type,
          typename = typename V::input_ports_type>
  requires internal::FlowNode<T>
void remove_edge(T& from, V& to) {
  flow::remove_edge(std::get<0>(from.output_ports()), std::get<0>(to.input_ports()));
}
template <typename T, typename R, typename = typename T::output_ports_type>
void remove_edge(T& from, receiver<R>& to) {
  flow::remove_edge(std::get<0>(from.output_ports()), to);
}
template <typename S, typename V, typename = typename V::input_ports_type>
void remove_edge(sender<S>& from, V& to) {
  flow::remove_edge(from, std::get<0>(to.input_ports()));
}

// Returns a copy of a node's body, as it is now. The graph must be idle. Throws std::bad_cast if
// the body is of another type.
template <typename Body, typename Node>
  requires internal::FlowNode<Node>
Body copy_body(Node& node) {
  return node.template copy_function_object<Body>();
}

// Sets of nodes, for constructors and make_edges(). They hold references.
namespace order {
struct undefined {};
struct following {};
struct preceding {};
}  // namespace order

template <typename Order, typename... Nodes>
struct node_set {
  using order_type = Order;

  explicit node_set(Nodes&... its_nodes) : nodes(its_nodes...) {}
  explicit node_set(const std::tuple<Nodes&...>& its_nodes) : nodes(its_nodes) {}

  // Returns the graph of the first node.
  [[nodiscard]] graph& graph_reference() const {
    return internal::FlowAccess::graph(std::get<0>(nodes));
  }

  std::tuple<Nodes&...> nodes;
};

template <internal::FlowNode Node, internal::FlowNode... Nodes>
node_set<order::undefined, Node, Nodes...> make_node_set(Node& first, Nodes&... others) {
  return node_set<order::undefined, Node, Nodes...>(first, others...);
}
// Say that a node that is made gets an edge from each of these nodes, ...
template <internal::FlowNode Node, internal::FlowNode... Nodes>
node_set<order::following, Node, Nodes...> follows(Node& first, Nodes&... others) {
  return node_set<order::following, Node, Nodes...>(first, others...);
}
template <typename... Nodes>
node_set<order::following, Nodes...> follows(node_set<order::undefined, Nodes...>& set) {
  return node_set<order::following, Nodes...>(set.nodes);
}
// ... or to each of them. If it has several ports, the n-th one goes with the n-th node.
template <internal::FlowNode Node, internal::FlowNode... Nodes>
node_set<order::preceding, Node, Nodes...> precedes(Node& first, Nodes&... others) {
  return node_set<order::preceding, Node, Nodes...>(first, others...);
}
template <typename... Nodes>
node_set<order::preceding, Nodes...> precedes(node_set<order::undefined, Nodes...>& set) {
  return node_set<order::preceding, Nodes...>(set.nodes);
}

}  // namespace tbb::flow
namespace internal {

// Returns the port that the n-th node of a set goes with, or the node itself if it has no ports.
template <std::size_t N, typename Node>
auto& nth_input(Node& node) {
  if constexpr (requires { node.input_ports(); }) {
    return std::get<N>(node.input_ports());
  } else {
    return node;
  }
}
template <std::size_t N, typename Node>
auto& nth_output(Node& node) {
  // (An async_node has one port, and is a sender, too.)
  if constexpr (
      requires { node.output_ports(); } && !requires { typename Node::gateway_type; }) {
    return std::get<N>(node.output_ports());
  } else {
    return node;
  }
}

}  // namespace internal
namespace tbb::flow {

// Make an edge from each node of the set to `node`, ...
template <typename Node, typename Order, typename... Nodes>
void make_edges(const node_set<Order, Nodes...>& set, Node& node) {
  [&]<std::size_t... N>(std::index_sequence<N...>) {
    (flow::make_edge(std::get<N>(set.nodes), internal::nth_input<N>(node)), ...);
  }(std::index_sequence_for<Nodes...>());
}
// ... or from `node` to each node of it.
template <typename Node, typename Order, typename... Nodes>
void make_edges(Node& node, const node_set<Order, Nodes...>& set) {
  [&]<std::size_t... N>(std::index_sequence<N...>) {
    (flow::make_edge(internal::nth_output<N>(node), std::get<N>(set.nodes)), ...);
  }(std::index_sequence_for<Nodes...>());
}

}  // namespace tbb::flow
namespace internal {

template <typename Node, typename... Nodes>
void make_edges_in_order(const tbb::flow::node_set<tbb::flow::order::following, Nodes...>& set,
                         Node& node) {
  tbb::flow::make_edges(set, node);
}
template <typename Node, typename... Nodes>
void make_edges_in_order(const tbb::flow::node_set<tbb::flow::order::preceding, Nodes...>& set,
                         Node& node) {
  tbb::flow::make_edges(node, set);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_FLOW_EDGES_H_
