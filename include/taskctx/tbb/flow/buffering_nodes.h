// SPDX-License-Identifier: Apache-2.0
//
// Nodes that keep messages, or pass them on: broadcast, buffer, queue, priority queue, sequencer,
// overwrite, write-once, limiter. Messages keep their contexts. Part of taskctx/tbb/flow_graph.h,
// which says what it is about.
//
//   flow::queue_node<Line> lines(graph);
//   flow::limiter_node<Line> at_most(graph, 8);
//   flow::make_edge(lines, at_most);

#ifndef TASKCTX_TBB_FLOW_BUFFERING_NODES_H_
#define TASKCTX_TBB_FLOW_BUFFERING_NODES_H_

#include <oneapi/tbb/flow_graph.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/flow_bodies.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/internal/tbb/flow_ports.h"
#include "taskctx/internal/tbb/flow_types.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/graph.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A node that is one of oneTBB's, for messages with contexts.
template <typename T, typename Native>
class FlowStore : public tbb::flow::graph_node,
                  public tbb::flow::receiver<T>,
                  public tbb::flow::sender<T> {
 public:
  using input_type = T;
  using output_type = T;

 protected:
  FlowStore(tbb::flow::graph& graph, std::unique_ptr<Native> native)
      : graph_node(graph), native_(std::move(native)) {
    tbb::flow::receiver<T>::set_native(*native_);
    tbb::flow::sender<T>::set_native(*native_);
  }

  [[nodiscard]] Native& native() const noexcept { return *native_; }

 private:
  const std::unique_ptr<Native> native_;
};

}  // namespace internal
namespace tbb::flow {

// Passes each message on to all successors, and keeps none.
template <typename T>
class broadcast_node
    : public internal::FlowStore<T, internal::native::broadcast_node<internal::Message<T>>> {
  using Native = internal::native::broadcast_node<internal::Message<T>>;

 public:
  explicit broadcast_node(graph& its_graph)
      : internal::FlowStore<T, Native>(
            its_graph, std::make_unique<Native>(internal::FlowAccess::native(its_graph))) {}
  template <typename... Set>
  explicit broadcast_node(const node_set<Set...>& nodes) : broadcast_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  broadcast_node(const broadcast_node& other) : broadcast_node(other.my_graph) {}
};

// Keeps messages, and passes each on to one successor, in any order.
template <typename T>
class buffer_node
    : public internal::FlowStore<T, internal::native::buffer_node<internal::Message<T>>> {
  using Native = internal::native::buffer_node<internal::Message<T>>;

 public:
  explicit buffer_node(graph& its_graph)
      : buffer_node(its_graph, std::make_unique<Native>(internal::FlowAccess::native(its_graph))) {}
  template <typename... Set>
  explicit buffer_node(const node_set<Set...>& nodes) : buffer_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  // Makes an empty node, without edges.
  buffer_node(const buffer_node& other) : buffer_node(other.my_graph) {}

 protected:
  buffer_node(graph& its_graph, std::unique_ptr<Native> native)
      : internal::FlowStore<T, Native>(its_graph, std::move(native)) {}
};

// Likewise, in the order in which they came.
template <typename T>
class queue_node : public buffer_node<T> {
  using Native = internal::native::queue_node<internal::Message<T>>;

 public:
  explicit queue_node(graph& its_graph)
      : queue_node(its_graph, std::make_unique<Native>(internal::FlowAccess::native(its_graph))) {}
  template <typename... Set>
  explicit queue_node(const node_set<Set...>& nodes) : queue_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  queue_node(const queue_node& other) : queue_node(other.my_graph) {}

 protected:
  queue_node(graph& its_graph, std::unique_ptr<Native> native)
      : buffer_node<T>(its_graph, std::move(native)) {}
};

// Likewise, in the order of the numbers that `sequencer(message)` gives them, from 0, each once. It
// runs in the context of the message, and must not throw.
template <typename T>
  requires std::copyable<T>
class sequencer_node : public queue_node<T> {
  using Native = internal::native::sequencer_node<internal::Message<T>>;

 public:
  template <internal::SequencerFunction<T> Sequencer>
  sequencer_node(graph& its_graph, const Sequencer& sequencer)
      : queue_node<T>(its_graph, std::make_unique<Native>(
                                     internal::FlowAccess::native(its_graph),
                                     internal::MessageFunction<T, Sequencer>(
                                         internal::FlowAccess::place(its_graph), sequencer))) {}
  template <internal::SequencerFunction<T> Sequencer, typename... Set>
  sequencer_node(const node_set<Set...>& nodes, const Sequencer& sequencer)
      : sequencer_node(nodes.graph_reference(), sequencer) {
    internal::make_edges_in_order(nodes, *this);
  }
  sequencer_node(const sequencer_node& other)
      : queue_node<T>(other.my_graph,
                      std::make_unique<Native>(static_cast<Native&>(other.native()))) {}
};

// Likewise, the largest one first. `Compare` must not throw, and should not depend on the context:
// it may run for another thread's message.
template <typename T, typename Compare = std::less<T>>
class priority_queue_node : public buffer_node<T> {
  // Compares messages.
  class ByValue {
   public:
    ByValue() = default;
    explicit ByValue(const Compare& compare) : compare_(compare) {}

    bool operator()(const internal::Message<T>& a, const internal::Message<T>& b) {
      return compare_(a.value(), b.value());
    }

   private:
    Compare compare_;
  };
  using Native = internal::native::priority_queue_node<internal::Message<T>, ByValue>;

 public:
  explicit priority_queue_node(graph& its_graph, const Compare& compare = Compare())
      : buffer_node<T>(its_graph, std::make_unique<Native>(internal::FlowAccess::native(its_graph),
                                                           ByValue(compare))) {}
  template <typename... Set>
  explicit priority_queue_node(const node_set<Set...>& nodes, const Compare& compare = Compare())
      : priority_queue_node(nodes.graph_reference(), compare) {
    internal::make_edges_in_order(nodes, *this);
  }
  priority_queue_node(const priority_queue_node& other)
      : buffer_node<T>(other.my_graph,
                       std::make_unique<Native>(static_cast<Native&>(other.native()))) {}
};

// Keeps the latest message, and gives a copy of it to whoever asks.
template <typename T>
class overwrite_node
    : public internal::FlowStore<T, internal::native::overwrite_node<internal::Message<T>>> {
  using Native = internal::native::overwrite_node<internal::Message<T>>;

 public:
  explicit overwrite_node(graph& its_graph)
      : overwrite_node(its_graph,
                       std::make_unique<Native>(internal::FlowAccess::native(its_graph))) {}
  template <typename... Set>
  explicit overwrite_node(const node_set<Set...>& nodes) : overwrite_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  overwrite_node(const overwrite_node& other) : overwrite_node(other.my_graph) {}

  [[nodiscard]] bool is_valid() { return this->native().is_valid(); }
  void clear() { this->native().clear(); }

 protected:
  overwrite_node(graph& its_graph, std::unique_ptr<Native> native)
      : internal::FlowStore<T, Native>(its_graph, std::move(native)) {}
};

// Likewise the first message: it takes no other one until clear().
template <typename T>
class write_once_node : public overwrite_node<T> {
  using Native = internal::native::write_once_node<internal::Message<T>>;

 public:
  explicit write_once_node(graph& its_graph)
      : overwrite_node<T>(its_graph,
                          std::make_unique<Native>(internal::FlowAccess::native(its_graph))) {}
  template <typename... Set>
  explicit write_once_node(const node_set<Set...>& nodes)
      : write_once_node(nodes.graph_reference()) {
    internal::make_edges_in_order(nodes, *this);
  }
  write_once_node(const write_once_node& other) : write_once_node(other.my_graph) {}
};

// Passes messages on as long as there are fewer than `threshold` which decrementer() has not been
// told of.
template <typename T, typename DecrementType = continue_msg>
class limiter_node : public internal::FlowStore<
                         T, internal::native::limiter_node<internal::Message<T>, DecrementType>> {
  using Native = internal::native::limiter_node<internal::Message<T>, DecrementType>;

 public:
  limiter_node(graph& its_graph, std::size_t threshold)
      : internal::FlowStore<T, Native>(
            its_graph,
            std::make_unique<Native>(internal::FlowAccess::native(its_graph), threshold)),
        threshold_(threshold),
        decrementer_(internal::FlowAccess::native(its_graph), this->native().decrementer()) {}
  template <typename... Set>
  limiter_node(const node_set<Set...>& nodes, std::size_t threshold)
      : limiter_node(nodes.graph_reference(), threshold) {
    internal::make_edges_in_order(nodes, *this);
  }
  limiter_node(const limiter_node& other) : limiter_node(other.my_graph, other.threshold_) {}

  // Returns what takes a message for each message that is done with, or their number. Valid as long
  // as the node.
  [[nodiscard]] receiver<DecrementType>& decrementer() noexcept { return decrementer_; }

 private:
  void reset_node(reset_flags flags) override { decrementer_.reset(flags); }

  const std::size_t threshold_;
  internal::Decrementer<DecrementType> decrementer_;
};

// Deduction guides: `queue_node lines(follows(read));`

template <typename... Set>
explicit broadcast_node(const node_set<Set...>&)
    -> broadcast_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename... Set>
explicit buffer_node(const node_set<Set...>&)
    -> buffer_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename... Set>
explicit queue_node(const node_set<Set...>&)
    -> queue_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename GraphOrSet, typename Sequencer>
sequencer_node(GraphOrSet&&, Sequencer) -> sequencer_node<internal::BodyInput<Sequencer>>;
template <typename... Set, typename Compare>
priority_queue_node(const node_set<Set...>&, const Compare&)
    -> priority_queue_node<internal::SetMessageOf<node_set<Set...>>, Compare>;
template <typename... Set>
explicit priority_queue_node(const node_set<Set...>&)
    -> priority_queue_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename... Set>
explicit overwrite_node(const node_set<Set...>&)
    -> overwrite_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename... Set>
explicit write_once_node(const node_set<Set...>&)
    -> write_once_node<internal::SetMessageOf<node_set<Set...>>>;
template <typename... Set>
limiter_node(const node_set<Set...>&, std::size_t)
    -> limiter_node<internal::SetMessageOf<node_set<Set...>>>;

}  // namespace tbb::flow
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_FLOW_BUFFERING_NODES_H_
