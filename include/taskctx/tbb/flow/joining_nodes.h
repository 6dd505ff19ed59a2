// SPDX-License-Identifier: Apache-2.0
//
// Nodes with several ports: join, split, indexer, composite. Part of taskctx/tbb/flow_graph.h,
// which says what it is about.
//
//   flow::join_node<std::tuple<Line, int>> join(graph);
//   flow::make_edge(lines, flow::input_port<0>(join));   // the tuple has the line's context
//   flow::make_edge(counts, flow::input_port<1>(join));
//   join.merge_contexts([](std::span<const taskctx::Context> of_ports) { return ...; });  // or not

#ifndef TASKCTX_TBB_FLOW_JOINING_NODES_H_
#define TASKCTX_TBB_FLOW_JOINING_NODES_H_

#include <oneapi/tbb/flow_graph.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/internal/tbb/flow_bodies.h"
#include "taskctx/internal/tbb/flow_counter.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/internal/tbb/flow_ports.h"
#include "taskctx/internal/tbb/flow_types.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/graph.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes a message that is a tuple of messages, one of each port of a join.
template <typename... Ts>
class MessagesToTuple {
 public:
  using From = std::tuple<Message<Ts>...>;
  using To = Message<std::tuple<Ts...>>;

  explicit MessagesToTuple(const MergeContexts& merge) : merge_(&merge) {}

  // Moves what is in the messages.
  To operator()(From& messages) const {
    MessageMaker maker = *merge_ ? merged(messages) : std::move(std::get<0>(messages).maker());
    return To::make(
        [&] {
          return std::apply(
              [](auto&... message) { return std::tuple<Ts...>(std::move(message.value())...); },
              messages);
        },
        [&] { return std::move(maker); });
  }

 private:
  [[nodiscard]] MessageMaker merged(const From& messages) const {
    const auto contexts = std::apply(
        [](const auto&... message) {
          return std::array{ContextAccess::make(message.maker().get().node)...};
        },
        messages);
    return MessageMaker(
        {ContextAccess::node((*merge_)(contexts)), std::get<0>(messages).maker().get().link});
  }

  const MergeContexts* merge_;
};

}  // namespace internal
namespace tbb::flow {

// Makes a tuple of one message from each of its ports; the policy says of which. A tuple has the
// context, and the cancellation, of the message from the first port.
template <typename Output, typename Policy = queueing>
class join_node;
template <typename... Ts, typename Policy>
class join_node<std::tuple<Ts...>, Policy> : public graph_node, public sender<std::tuple<Ts...>> {
  using Convert = internal::MessagesToTuple<Ts...>;
  using Native = internal::native::join_node<typename Convert::From, Policy>;
  template <typename T, typename Function>
  using Key = internal::MessageFunction<T, Function>;

 public:
  using output_type = std::tuple<Ts...>;
  using input_ports_type = std::tuple<internal::FlowInputPort<Ts>...>;

  // (With key_matching only in a preview of oneTBB's: the messages tell their keys.)
  explicit join_node(graph& its_graph)
    requires std::constructible_from<Native, internal::native::graph&>
      : graph_node(its_graph), native_(internal::FlowAccess::native(its_graph)) {
    this->set_native(outlet_);
  }
  // For key_matching and tag_matching: `functions(message)` return the keys of the messages of each
  // port. They run in the contexts of these messages, and must not throw.
  template <typename... Functions>
    requires(internal::kIsKeyMatching<Policy> && sizeof...(Functions) == sizeof...(Ts) &&
             (internal::KeyFunction<Functions, Ts, internal::JoinKey<Policy>> && ...))
  explicit join_node(graph& its_graph, Functions... functions)
      : graph_node(its_graph),
        native_(
            internal::FlowAccess::native(its_graph),
            Key<Ts, Functions>(internal::FlowAccess::place(its_graph), std::move(functions))...) {
    this->set_native(outlet_);
  }
  template <typename... Set>
  explicit join_node(const node_set<Set...>& nodes, Policy /*policy*/ = Policy())
    requires(!internal::kIsKeyMatching<Policy>)
      : join_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  template <typename... Set, typename... Functions>
    requires internal::kIsKeyMatching<Policy>
  explicit join_node(const node_set<Set...>& nodes, Functions... functions)
      : join_node(nodes.graph_reference(), std::move(functions)...) {
    internal::make_edges_in_order(nodes, *this);
  }
  // Makes an empty node, without edges.
  join_node(const join_node& other)
      : graph_node(other.my_graph),
        sender<output_type>(),
        merge_(other.merge_),
        native_(other.native_) {
    this->set_native(outlet_);
  }

  // Lets each tuple have the context that `merge` returns for those of its messages, in the order
  // of the ports. It runs on any thread, in no context, and may be called more than once for a
  // tuple; it must not throw. Not thread-safe: before messages are put.
  void merge_contexts(std::function<Context(std::span<const Context>)> merge) {
    merge_ = std::move(merge);
  }

  [[nodiscard]] input_ports_type& input_ports() noexcept { return ports_; }

 private:
  void reset_node(reset_flags flags) override { outlet_.reset(flags); }

  internal::MergeContexts merge_;
  Native native_;
  internal::ConvertedOutlet<typename Convert::From, typename Convert::To, Convert> outlet_{
      internal::FlowAccess::native(my_graph), native_, Convert(merge_)};
  input_ports_type ports_ = internal::make_ports<input_ports_type>(native_.input_ports());
};

// Sends each element of a tuple to the port of its place. All have the context of the tuple.
template <typename Tuple>
class split_node;
template <typename... Ts>
class split_node<std::tuple<Ts...>> : public graph_node, public receiver<std::tuple<Ts...>> {
 public:
  using input_type = std::tuple<Ts...>;
  using output_ports_type = std::tuple<internal::FlowOutputPort<Ts>...>;

  explicit split_node(graph& its_graph)
      : graph_node(its_graph), splitter_(internal::FlowAccess::native(its_graph)) {
    this->set_native(splitter_.inlet());
  }
  template <typename... Set>
  explicit split_node(const node_set<Set...>& nodes) : split_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  split_node(const split_node& other) : split_node(other.my_graph) {}

  [[nodiscard]] output_ports_type& output_ports() noexcept { return ports_; }

 private:
  void reset_node(reset_flags flags) override {
    if ((flags & rf_clear_edges) != 0) {
      std::apply([](auto&... outlet) { (outlet.clear(), ...); }, splitter_.outlets());
    }
  }

  internal::MessageSplitter<Ts...> splitter_;
  output_ports_type ports_ = internal::make_ports<output_ports_type>(splitter_.outlets());
};

// Passes the messages of all its ports on, each with the number of its port, and its context.
template <typename... Ts>
class indexer_node : public graph_node,
                     public sender<internal::native::tagged_msg<std::size_t, Ts...>> {
 public:
  using output_type = internal::native::tagged_msg<std::size_t, Ts...>;
  using input_ports_type = std::tuple<internal::FlowInputPort<Ts>...>;

  explicit indexer_node(graph& its_graph)
      : graph_node(its_graph), indexer_(internal::FlowAccess::native(its_graph)) {
    this->set_native(indexer_.outlet());
  }
  template <typename... Set>
  explicit indexer_node(const node_set<Set...>& nodes) : indexer_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  indexer_node(const indexer_node& other) : indexer_node(other.my_graph) {}

  [[nodiscard]] input_ports_type& input_ports() noexcept { return ports_; }

 private:
  void reset_node(reset_flags flags) override {
    if ((flags & rf_clear_edges) != 0) {
      indexer_.outlet().clear();
    }
  }

  internal::MessageIndexer<output_type, std::index_sequence_for<Ts...>, Ts...> indexer_;
  input_ports_type ports_ = internal::make_ports<input_ports_type>(indexer_.inlets());
};

using internal::native::cast_to;
using internal::native::is_a;
using internal::native::tagged_msg;

// Makes one node of several: has the ports that set_external_ports() names. Derive from it, with
// the nodes as members.
template <typename Inputs, typename Outputs>
class composite_node;
template <typename... Inputs, typename... Outputs>
class composite_node<std::tuple<Inputs...>, std::tuple<Outputs...>> : public graph_node {
 public:
  using input_ports_type = std::tuple<receiver<Inputs>&...>;
  using output_ports_type = std::tuple<sender<Outputs>&...>;

  explicit composite_node(graph& its_graph) : graph_node(its_graph) {}

  // Sets the ports: tuples of references to receivers, and to senders.
  template <typename In, typename Out>
  void set_external_ports(In&& inputs, Out&& outputs) {
    inputs_.emplace(std::forward<In>(inputs));
    outputs_.emplace(std::forward<Out>(outputs));
  }
  // As oneTBB's, for tools; they do nothing here.
  template <typename... Nodes>
  void add_visible_nodes(const Nodes&... /*nodes*/) {}
  template <typename... Nodes>
  void add_nodes(const Nodes&... /*nodes*/) {}

  // Return the ports, which must have been set.
  [[nodiscard]] input_ports_type& input_ports() noexcept { return *inputs_; }
  [[nodiscard]] output_ports_type& output_ports() noexcept { return *outputs_; }

 private:
  std::optional<input_ports_type> inputs_;
  std::optional<output_ports_type> outputs_;
};
template <typename... Inputs>
class composite_node<std::tuple<Inputs...>, std::tuple<>> : public graph_node {
 public:
  using input_ports_type = std::tuple<receiver<Inputs>&...>;

  explicit composite_node(graph& its_graph) : graph_node(its_graph) {}

  template <typename In>
  void set_external_ports(In&& inputs) {
    inputs_.emplace(std::forward<In>(inputs));
  }
  template <typename... Nodes>
  void add_visible_nodes(const Nodes&... /*nodes*/) {}
  template <typename... Nodes>
  void add_nodes(const Nodes&... /*nodes*/) {}

  [[nodiscard]] input_ports_type& input_ports() noexcept { return *inputs_; }

 private:
  std::optional<input_ports_type> inputs_;
};
template <typename... Outputs>
class composite_node<std::tuple<>, std::tuple<Outputs...>> : public graph_node {
 public:
  using output_ports_type = std::tuple<sender<Outputs>&...>;

  explicit composite_node(graph& its_graph) : graph_node(its_graph) {}

  template <typename Out>
  void set_external_ports(Out&& outputs) {
    outputs_.emplace(std::forward<Out>(outputs));
  }
  template <typename... Nodes>
  void add_visible_nodes(const Nodes&... /*nodes*/) {}
  template <typename... Nodes>
  void add_nodes(const Nodes&... /*nodes*/) {}

  [[nodiscard]] output_ports_type& output_ports() noexcept { return *outputs_; }

 private:
  std::optional<output_ports_type> outputs_;
};

// Deduction guides: `join_node pairs(follows(lines, counts), queueing());`

template <typename... Nodes, typename Policy>
join_node(const node_set<order::following, Nodes...>&, Policy)
    -> join_node<std::tuple<typename Nodes::output_type...>, Policy>;
template <typename Node, typename... Nodes, typename Policy>
join_node(const node_set<order::preceding, Node, Nodes...>&, Policy)
    -> join_node<typename Node::input_type, Policy>;
template <typename... Nodes>
explicit join_node(const node_set<order::following, Nodes...>&)
    -> join_node<std::tuple<typename Nodes::output_type...>>;
template <typename Node, typename... Nodes>
explicit join_node(const node_set<order::preceding, Node, Nodes...>&)
    -> join_node<typename Node::input_type>;
template <typename GraphOrSet, typename Function, typename... Functions>
join_node(GraphOrSet&&, Function, Functions...)
    -> join_node<std::tuple<internal::BodyInput<Function>, internal::BodyInput<Functions>...>,
                 key_matching<internal::FunctionKey<Function>>>;

template <typename... Nodes>
explicit indexer_node(const node_set<order::following, Nodes...>&)
    -> indexer_node<typename Nodes::output_type...>;
template <typename Node, typename... Nodes>
explicit split_node(const node_set<order::following, Node, Nodes...>&)
    -> split_node<typename Node::output_type>;
template <typename... Nodes>
explicit split_node(const node_set<order::preceding, Nodes...>&)
    -> split_node<std::tuple<typename Nodes::input_type...>>;

}  // namespace tbb::flow
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_FLOW_JOINING_NODES_H_
