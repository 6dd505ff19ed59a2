// SPDX-License-Identifier: Apache-2.0
//
// Nodes with a body: input, function, continue, multifunction, async. Part of
// taskctx/tbb/flow_graph.h, which says what it is about.
//
//   flow::function_node<Line, int> count(graph, flow::unlimited, [](const Line& line) {
//     log("counting");             // in the context of the message
//     return count_words(line);    // goes on with that context, and with what was set here
//   });

#ifndef TASKCTX_TBB_FLOW_FUNCTIONAL_NODES_H_
#define TASKCTX_TBB_FLOW_FUNCTIONAL_NODES_H_

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/spin_mutex.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/internal/tbb/flow_bodies.h"
#include "taskctx/internal/tbb/flow_counter.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/internal/tbb/flow_types.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/graph.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// How a function_node keeps messages, in place of a continue_node with this policy.
template <typename Policy>
using QueueingPolicy =
    std::conditional_t<kIsLightweight<Policy>, native::queueing_lightweight, native::queueing>;

}  // namespace internal
namespace tbb {

using oneapi::tbb::flow_control;

}  // namespace tbb
namespace tbb::flow {

// Makes messages by calling its body, until that calls flow_control::stop(). Each call starts with
// the values that were current at activate().
template <typename Output>
  requires std::copyable<Output>
class input_node : public graph_node, public sender<Output> {
  using Native = internal::native::input_node<internal::Message<Output>>;

 public:
  using output_type = Output;

  template <internal::InputBody<Output> Body>
  input_node(graph& its_graph, Body body)
      : graph_node(its_graph),
        make_([its_body = std::move(body)](input_node& node) {
          return Native(internal::FlowAccess::native(node.my_graph),
                        internal::InputCall<Output, Body>(node.maker_, node.place(), its_body));
        }),
        native_(make_(*this)) {
    this->set_native(native_);
  }
  template <typename... Nodes, internal::InputBody<Output> Body>
  input_node(const node_set<order::preceding, Nodes...>& successors, Body body)
      : input_node(successors.graph_reference(), std::move(body)) {
    make_edges(*this, successors);
  }
  // Makes a node with the same body, as it was at first, and without edges.
  input_node(const input_node& other)
      : graph_node(other.my_graph), sender<Output>(), make_(other.make_), native_(make_(*this)) {
    this->set_native(native_);
  }

  // Lets the node begin. It stays active until the graph is reset.
  void activate() {
    maker_.set(internal::MessageMaker({internal::capture(), internal::capture_link()}));
    native_.activate();
  }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<internal::InputCall<Output, Body>>().body();
  }

 private:
  [[nodiscard]] const internal::GraphPlace& place() const {
    return internal::FlowAccess::place(my_graph);
  }

  internal::SharedMaker maker_;
  const std::function<Native(input_node&)> make_;
  Native native_;
};

// Calls its body for each message, and sends on what that returns.
template <typename Input, typename Output = continue_msg, typename Policy = queueing>
  requires internal::FlowInput<Input> && std::copy_constructible<Output>
class function_node : public graph_node, public receiver<Input>, public sender<Output> {
  using Native =
      internal::native::function_node<internal::Message<Input>, internal::Message<Output>, Policy>;
  template <typename Body>
  using Call = internal::FunctionCall<Input, Output, Body, internal::kIsLightweight<Policy>>;

 public:
  using input_type = Input;
  using output_type = Output;

  template <internal::FunctionBody<Input, Output> Body>
  function_node(graph& its_graph, std::size_t concurrency, Body body, Policy /*policy*/ = Policy(),
                node_priority_t priority = no_priority)
      : graph_node(its_graph),
        native_(internal::FlowAccess::native(its_graph), concurrency,
                Call<Body>(internal::FlowAccess::place(its_graph), std::move(body)), priority) {
    set_natives();
  }
  template <internal::FunctionBody<Input, Output> Body>
  function_node(graph& its_graph, std::size_t concurrency, Body body, node_priority_t priority)
      : function_node(its_graph, concurrency, std::move(body), Policy(), priority) {}
  template <internal::FunctionBody<Input, Output> Body, typename... Set>
  function_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
                Policy policy = Policy(), node_priority_t priority = no_priority)
      : function_node(nodes.graph_reference(), concurrency, std::move(body), policy, priority) {
    internal::make_edges_in_order(nodes, *this);
  }
  template <internal::FunctionBody<Input, Output> Body, typename... Set>
  function_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
                node_priority_t priority)
      : function_node(nodes, concurrency, std::move(body), Policy(), priority) {}
  // Makes a node with the same body, as it was at first, and without edges.
  function_node(const function_node& other)
      : graph_node(other.my_graph), receiver<Input>(), sender<Output>(), native_(other.native_) {
    set_natives();
  }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<Call<Body>>().body();
  }

 private:
  void set_natives() {
    receiver<Input>::set_native(native_);
    sender<Output>::set_native(native_);
  }

  Native native_;
};

// Calls its body when it has got a message from each predecessor, in the context of the last one
// that came, unless merge_contexts() says otherwise.
template <typename Output, typename Policy = internal::native_detail::Policy<void>>
  requires std::copy_constructible<Output>
class continue_node : public graph_node, public receiver<continue_msg>, public sender<Output> {
  using Native =
      internal::native::function_node<internal::Message<continue_msg>, internal::Message<Output>,
                                      internal::QueueingPolicy<Policy>>;
  template <typename Body>
  using Call = internal::FunctionCall<continue_msg, Output, Body, internal::kIsLightweight<Policy>>;

 public:
  using input_type = continue_msg;
  using output_type = Output;

  template <internal::ContinueBody<Output> Body>
  continue_node(graph& its_graph, Body body, Policy policy = Policy(),
                node_priority_t priority = no_priority)
      : continue_node(its_graph, 0, std::move(body), policy, priority) {}
  template <internal::ContinueBody<Output> Body>
  continue_node(graph& its_graph, Body body, node_priority_t priority)
      : continue_node(its_graph, 0, std::move(body), Policy(), priority) {}
  // `number_of_predecessors` counts in addition to edges.
  template <internal::ContinueBody<Output> Body>
  continue_node(graph& its_graph, int number_of_predecessors, Body body,
                Policy /*policy*/ = Policy(), node_priority_t priority = no_priority)
      : graph_node(its_graph),
        counter_(internal::FlowAccess::native(its_graph), number_of_predecessors),
        native_(internal::FlowAccess::native(its_graph), unlimited,
                Call<Body>(internal::FlowAccess::place(its_graph), std::move(body)), priority) {
    connect();
  }
  template <internal::ContinueBody<Output> Body>
  continue_node(graph& its_graph, int number_of_predecessors, Body body, node_priority_t priority)
      : continue_node(its_graph, number_of_predecessors, std::move(body), Policy(), priority) {}
  template <internal::ContinueBody<Output> Body, typename... Set>
  continue_node(const node_set<Set...>& nodes, Body body, Policy policy = Policy(),
                node_priority_t priority = no_priority)
      : continue_node(nodes, 0, std::move(body), policy, priority) {}
  template <internal::ContinueBody<Output> Body, typename... Set>
  continue_node(const node_set<Set...>& nodes, Body body, node_priority_t priority)
      : continue_node(nodes, 0, std::move(body), Policy(), priority) {}
  template <internal::ContinueBody<Output> Body, typename... Set>
  continue_node(const node_set<Set...>& nodes, int number_of_predecessors, Body body,
                Policy policy = Policy(), node_priority_t priority = no_priority)
      : continue_node(nodes.graph_reference(), number_of_predecessors, std::move(body), policy,
                      priority) {
    internal::make_edges_in_order(nodes, *this);
  }
  template <internal::ContinueBody<Output> Body, typename... Set>
  continue_node(const node_set<Set...>& nodes, int number_of_predecessors, Body body,
                node_priority_t priority)
      : continue_node(nodes, number_of_predecessors, std::move(body), Policy(), priority) {}
  // Makes a node with the same body, as it was at first, and without edges.
  continue_node(const continue_node& other)
      : graph_node(other.my_graph),
        receiver<continue_msg>(),
        sender<Output>(),
        counter_(other.counter_),
        native_(other.native_) {
    connect();
  }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<Call<Body>>().body();
  }

  // Lets the body have the context that `merge` returns for those of the messages, in the order in
  // which they came, and the cancellation of the last one. `merge` runs on the thread that puts the
  // last message; what it throws comes out of that put. Not thread-safe: before messages are put.
  void merge_contexts(std::function<Context(std::span<const Context>)> merge) {
    counter_.merge_contexts(std::move(merge));
  }

 private:
  void connect() {
    internal::native::make_edge(counter_.outlet(), native_);
    receiver<continue_msg>::set_native(counter_.inlet());
    sender<Output>::set_native(native_);
  }
  void count_edge(int change) override { counter_.count_edge(change); }
  void reset_node(reset_flags flags) override { counter_.reset(flags); }

  internal::MessageCounter counter_;
  Native native_;
};

// An output port of a node with several.
template <typename T>
class multifunction_output : public sender<T> {
  using Native = internal::native_detail::multifunction_output<internal::Message<T>>;

 public:
  using output_type = T;

  explicit multifunction_output(Native& native) : sender<T>(native), port_(native) {}

  // Sends a message to all successors, with the context here. Returns false if none takes it.
  bool try_put(const T& value) { return port_.try_put(internal::Message<T>::lend(value)); }
  // Likewise, with the context that `carried` has.
  template <std::same_as<Carried<T>> C>
  bool try_put(const C& carried) {
    return port_.try_put(
        internal::Message<T>::lend(carried.value(), internal::CarriedAccess::maker(carried)));
  }

 private:
  Native& port_;
};

// Calls its body for each message, with its output ports, to which the body may put messages.
template <typename Input, typename Output, typename Policy = queueing>
  requires internal::FlowInput<Input>
class multifunction_node;
template <typename Input, typename... Outputs, typename Policy>
  requires internal::FlowInput<Input>
class multifunction_node<Input, std::tuple<Outputs...>, Policy> : public graph_node,
                                                                  public receiver<Input> {
 public:
  using input_type = Input;
  using output_type = internal::native_detail::null_type;
  using output_ports_type = std::tuple<multifunction_output<Outputs>...>;

 private:
  using Native =
      internal::native::multifunction_node<internal::Message<Input>,
                                           std::tuple<internal::Message<Outputs>...>, Policy>;
  template <typename Body>
  using Call =
      internal::MultifunctionCall<Input, output_ports_type, Body, internal::kIsLightweight<Policy>>;

 public:
  template <internal::MultifunctionBody<Input, output_ports_type> Body>
  multifunction_node(graph& its_graph, std::size_t concurrency, Body body,
                     Policy /*policy*/ = Policy(), node_priority_t priority = no_priority)
      : graph_node(its_graph),
        make_([concurrency, its_body = std::move(body), priority](multifunction_node& node) {
          return Native(
              internal::FlowAccess::native(node.my_graph), concurrency,
              Call<Body>(internal::FlowAccess::place(node.my_graph), node.ports_, its_body),
              priority);
        }),
        native_(make_(*this)),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    this->set_native(native_);
  }
  template <internal::MultifunctionBody<Input, output_ports_type> Body>
  multifunction_node(graph& its_graph, std::size_t concurrency, Body body, node_priority_t priority)
      : multifunction_node(its_graph, concurrency, std::move(body), Policy(), priority) {}
  template <internal::MultifunctionBody<Input, output_ports_type> Body, typename... Set>
  multifunction_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
                     Policy policy = Policy(), node_priority_t priority = no_priority)
      : multifunction_node(nodes.graph_reference(), concurrency, std::move(body), policy,
                           priority) {
    internal::make_edges_in_order(nodes, *this);
  }
  template <internal::MultifunctionBody<Input, output_ports_type> Body, typename... Set>
  multifunction_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
                     node_priority_t priority)
      : multifunction_node(nodes, concurrency, std::move(body), Policy(), priority) {}
  // Makes a node with the same body, as it was at first, and without edges.
  multifunction_node(const multifunction_node& other)
      : graph_node(other.my_graph),
        receiver<Input>(),
        make_(other.make_),
        native_(make_(*this)),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    this->set_native(native_);
  }

  [[nodiscard]] output_ports_type& output_ports() noexcept { return ports_; }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<Call<Body>>().body();
  }

 private:
  const std::function<Native(multifunction_node&)> make_;
  Native native_;
  output_ports_type ports_;
};

// Calls its body for each message, with its gateway, to which something outside of the graph may
// put messages later, on any thread. Messages have the context of the call that puts them, or that
// of the Carried: bind() the callback that puts, or keep a Carried of what it belongs to.
template <typename Input, typename Output, typename Policy = queueing_lightweight>
  requires internal::FlowInput<Input>
class async_node : public graph_node, public receiver<Input>, public sender<Output> {
 public:
  using input_type = Input;
  using output_type = Output;
  using gateway_type = internal::FlowGateway<Output>;
  using output_ports_type = std::tuple<multifunction_output<Output>>;

 private:
  using Native =
      internal::native::async_node<internal::Message<Input>, internal::Message<Output>, Policy>;
  template <typename Body>
  using Call = internal::AsyncCall<Input, gateway_type, Body, internal::kIsLightweight<Policy>>;

 public:
  template <internal::AsyncBody<Input, gateway_type> Body>
  async_node(graph& its_graph, std::size_t concurrency, Body body, Policy /*policy*/ = Policy(),
             node_priority_t priority = no_priority)
      : graph_node(its_graph),
        make_([concurrency, its_body = std::move(body), priority](async_node& node) {
          return Native(
              internal::FlowAccess::native(node.my_graph), concurrency,
              Call<Body>(internal::FlowAccess::place(node.my_graph), node.gateway_, its_body),
              priority);
        }),
        native_(make_(*this)),
        gateway_(native_.gateway()),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    set_natives();
  }
  template <internal::AsyncBody<Input, gateway_type> Body>
  async_node(graph& its_graph, std::size_t concurrency, Body body, node_priority_t priority)
      : async_node(its_graph, concurrency, std::move(body), Policy(), priority) {}
  template <internal::AsyncBody<Input, gateway_type> Body, typename... Set>
  async_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
             Policy policy = Policy(), node_priority_t priority = no_priority)
      : async_node(nodes.graph_reference(), concurrency, std::move(body), policy, priority) {
    internal::make_edges_in_order(nodes, *this);
  }
  template <internal::AsyncBody<Input, gateway_type> Body, typename... Set>
  async_node(const node_set<Set...>& nodes, std::size_t concurrency, Body body,
             node_priority_t priority)
      : async_node(nodes, concurrency, std::move(body), Policy(), priority) {}
  // Makes a node with the same body, as it was at first, and without edges.
  async_node(const async_node& other)
      : graph_node(other.my_graph),
        receiver<Input>(),
        sender<Output>(),
        make_(other.make_),
        native_(make_(*this)),
        gateway_(native_.gateway()),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    set_natives();
  }

  [[nodiscard]] gateway_type& gateway() noexcept { return gateway_; }
  [[nodiscard]] output_ports_type& output_ports() noexcept { return ports_; }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<Call<Body>>().body();
  }

 private:
  void set_natives() {
    receiver<Input>::set_native(native_);
    sender<Output>::set_native(std::get<0>(native_.output_ports()));
  }

  const std::function<Native(async_node&)> make_;
  Native native_;
  gateway_type gateway_;
  output_ports_type ports_;
};

// Deduction guides: `function_node count(graph, unlimited, count_words);`

template <typename GraphOrSet, typename Body>
input_node(GraphOrSet&&, Body) -> input_node<internal::BodyOutput<Body>>;

template <typename GraphOrSet, typename Body, typename Policy>
function_node(GraphOrSet&&, std::size_t, Body, Policy, node_priority_t = no_priority)
    -> function_node<internal::BodyInput<Body>, internal::BodyOutput<Body>, Policy>;
template <typename GraphOrSet, typename Body>
function_node(GraphOrSet&&, std::size_t, Body, node_priority_t = no_priority)
    -> function_node<internal::BodyInput<Body>, internal::BodyOutput<Body>, queueing>;

template <typename GraphOrSet, typename Body, typename Policy>
continue_node(GraphOrSet&&, Body, Policy, node_priority_t = no_priority)
    -> continue_node<internal::ContinueOutput<Body>, Policy>;
template <typename GraphOrSet, typename Body, typename Policy>
continue_node(GraphOrSet&&, int, Body, Policy, node_priority_t = no_priority)
    -> continue_node<internal::ContinueOutput<Body>, Policy>;
template <typename GraphOrSet, typename Body>
continue_node(GraphOrSet&&, Body, node_priority_t = no_priority)
    -> continue_node<internal::ContinueOutput<Body>>;
template <typename GraphOrSet, typename Body>
continue_node(GraphOrSet&&, int, Body, node_priority_t = no_priority)
    -> continue_node<internal::ContinueOutput<Body>>;

}  // namespace tbb::flow
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_FLOW_FUNCTIONAL_NODES_H_
