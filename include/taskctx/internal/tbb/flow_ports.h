// SPDX-License-Identifier: Apache-2.0
//
// Ports of nodes that have several, and what changes messages on their way through them: of
// limiters, indexers and splits.
//
//   Decrementer<int> decrementer(graph, native.decrementer());  // takes Message<int>, gives int

#ifndef TASKCTX_INTERNAL_TBB_FLOW_PORTS_H_
#define TASKCTX_INTERNAL_TBB_FLOW_PORTS_H_

#include <oneapi/tbb/flow_graph.h>

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/flow_counter.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/tbb/flow/graph.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// An input port of a node with several.
template <typename T>
class FlowInputPort final : public tbb::flow::receiver<T> {
 public:
  explicit FlowInputPort(native::receiver<Message<T>>& native) : tbb::flow::receiver<T>(native) {}
};

// An output port, likewise.
template <typename T>
class FlowOutputPort final : public tbb::flow::sender<T> {
 public:
  using output_type = T;

  explicit FlowOutputPort(native::sender<Message<T>>& native) : tbb::flow::sender<T>(native) {}
};

// What takes messages for the decrementer of oneTBB's limiter_node, which takes their values.
template <typename T>
class Decrementer final : public tbb::flow::receiver<T> {
 public:
  Decrementer(native::graph& graph, native::receiver<T>& target) : inlet_(graph, *this) {
    native::make_edge(outlet_, target);
    this->set_native(inlet_);
    if constexpr (kIsCounted) {
      native::make_edge(counter_.emplace(graph, 0).outlet(), inlet_);
      this->set_native(counter_->inlet());
    }
  }

  // After oneTBB has reset the graph.
  void reset(native::reset_flags flags) {
    if (counter_) {
      counter_->reset(flags);
    }
  }

 private:
  friend class Inlet<Message<T>, Decrementer>;

  // As with a continue_node, one message counts for all predecessors.
  static constexpr bool kIsCounted = std::is_same_v<T, native::continue_msg>;

  template <typename... Info>
  graph_task* receive(const Message<T>& message, const Info&... info) {
    return outlet_.put(message.value(), info...);
  }
  void count_edge(int change) override {
    if (counter_) {
      counter_->count_edge(change);
    }
  }

  Outlet<T> outlet_;
  Inlet<Message<T>, Decrementer> inlet_;
  std::optional<MessageCounter> counter_;
};

// Gives the messages of an indexer_node's port its number.
template <std::size_t kNumber, typename T, typename Output>
class NumberedInlet {
 public:
  NumberedInlet(native::graph& graph, Outlet<Message<Output>>& outlet)
      : outlet_(outlet), inlet_(graph, *this) {}

  [[nodiscard]] native::receiver<Message<T>>& inlet() noexcept { return inlet_; }

 private:
  friend class Inlet<Message<T>, NumberedInlet>;

  template <typename... Info>
  graph_task* receive(const Message<T>& message, const Info&... info) {
    return outlet_.put(Message<Output>::make([&] { return Output(kNumber, message.value()); },
                                             [&] { return message.maker(); }),
                       info...);
  }

  Outlet<Message<Output>>& outlet_;
  Inlet<Message<T>, NumberedInlet> inlet_;
};

template <typename Output, typename Numbers, typename... Ts>
class MessageIndexer;
template <typename Output, std::size_t... kNumbers, typename... Ts>
class MessageIndexer<Output, std::index_sequence<kNumbers...>, Ts...>
    : private NumberedInlet<kNumbers, Ts, Output>... {
 public:
  explicit MessageIndexer(native::graph& graph)
      : NumberedInlet<kNumbers, Ts, Output>(graph, outlet_)... {}

  [[nodiscard]] Outlet<Message<Output>>& outlet() noexcept { return outlet_; }
  [[nodiscard]] std::tuple<native::receiver<Message<Ts>>&...> inlets() noexcept {
    return {NumberedInlet<kNumbers, Ts, Output>::inlet()...};
  }

 private:
  Outlet<Message<Output>> outlet_;
};

// Sends the elements of a split_node's tuples, each with the tuple's context.
template <typename... Ts>
class MessageSplitter {
 public:
  using Tuple = std::tuple<Ts...>;

  explicit MessageSplitter(native::graph& graph) : graph_(graph), inlet_(graph, *this) {}

  [[nodiscard]] native::receiver<Message<Tuple>>& inlet() noexcept { return inlet_; }
  [[nodiscard]] std::tuple<Outlet<Message<Ts>>...>& outlets() noexcept { return outlets_; }

 private:
  friend class Inlet<Message<Tuple>, MessageSplitter>;

  template <typename... Info>
  graph_task* receive(const Message<Tuple>& message, const Info&... info) {
    return send(message, std::index_sequence_for<Ts...>(), info...);
  }
  template <std::size_t... kNumbers, typename... Info>
  graph_task* send(const Message<Tuple>& message, std::index_sequence<kNumbers...> /*tag*/,
                   const Info&... info) {
    graph_task* task = native_detail::SUCCESSFULLY_ENQUEUED;  // As nothing is rejected.
    ((task = native_detail::combine_tasks(
          graph_, task,
          std::get<kNumbers>(outlets_).put(
              Message<Ts>::lend(std::get<kNumbers>(message.value()), message.maker()), info...))),
     ...);
    return task;
  }

  native::graph& graph_;
  std::tuple<Outlet<Message<Ts>>...> outlets_;
  Inlet<Message<Tuple>, MessageSplitter> inlet_;
};

// The key of a join_node's policy.
template <typename Policy>
inline constexpr bool kIsKeyMatching = false;
template <typename Key, typename Hash>
inline constexpr bool kIsKeyMatching<native::key_matching<Key, Hash>> = true;
template <typename Policy>
using JoinKey = typename Policy::key_type;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_PORTS_H_
