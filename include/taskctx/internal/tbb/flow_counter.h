// SPDX-License-Identifier: Apache-2.0
//
// MessageCounter: lets one signal through for each round of them, one from each predecessor: what a
// continue_node does before its body, and a limiter_node's decrementer.
//
//   MessageCounter counter(graph, 0);
//   native::make_edge(counter.outlet(), node);
//   counter.count_edge(1);  // for each edge to counter.inlet()

#ifndef TASKCTX_INTERNAL_TBB_FLOW_COUNTER_H_
#define TASKCTX_INTERNAL_TBB_FLOW_COUNTER_H_

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/spin_mutex.h>

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes one context of those of several messages.
using MergeContexts = std::function<Context(std::span<const Context>)>;

// Thread-safe, but for reset() and merge_contexts().
class MessageCounter {
 public:
  using Signal = Message<native::continue_msg>;

  // `predecessors`: how many count in addition to edges.
  MessageCounter(native::graph& graph, int predecessors)
      : graph_(graph),
        more_predecessors_(predecessors),
        predecessors_(predecessors),
        inlet_(graph, *this) {}
  // Makes one without edges.
  MessageCounter(const MessageCounter& other)
      : MessageCounter(other.graph_, other.more_predecessors_) {
    merge_ = other.merge_;
  }
  MessageCounter& operator=(const MessageCounter&) = delete;
  ~MessageCounter() = default;

  [[nodiscard]] native::receiver<Signal>& inlet() noexcept { return inlet_; }
  // Sends the last signal of each round.
  [[nodiscard]] native::sender<Signal>& outlet() noexcept { return outlet_; }

  void count_edge(int change) {
    const onetbb::spin_mutex::scoped_lock lock(mutex_);
    predecessors_ += change;
  }
  // Gives the signal that is sent the context that `merge` makes of the round's, in the order in
  // which they came.
  void merge_contexts(MergeContexts merge) { merge_ = std::move(merge); }

  // After oneTBB has reset the graph.
  void reset(native::reset_flags flags) {
    round_ = {};
    if ((flags & native::rf_clear_edges) != 0) {
      predecessors_ = more_predecessors_;
    }
  }

 private:
  friend class Inlet<Signal, MessageCounter>;

  struct Round {
    int count = 0;
    std::vector<Context> contexts;  // If they are to be merged.
#if defined(__TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT) && __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    void add(const native_detail::message_metainfo& more) { info.merge(more); }
    native_detail::message_metainfo info;  // Who waits for its signals.
#endif
    void add() noexcept {}
  };

  graph_task* receive(const Signal& signal) {
    Round round;
    return add(signal, round) ? send(signal, round) : native_detail::SUCCESSFULLY_ENQUEUED;
  }
#if defined(__TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT) && __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
  graph_task* receive(const Signal& signal, const native_detail::message_metainfo& info) {
    for (auto* waiter : info.waiters()) {
      waiter->reserve(1);  // Until the round is over.
    }
    Round round;
    if (!add(signal, round, info)) {
      return native_detail::SUCCESSFULLY_ENQUEUED;
    }
    graph_task* const task = send(signal, round, round.info);
    for (auto* waiter : round.info.waiters()) {
      waiter->release(1);
    }
    return task;
  }
#endif

  // Counts a signal. If it is the last of its round, returns true, and the round.
  template <typename... Info>
  bool add(const Signal& signal, Round& round, const Info&... info) {
    const onetbb::spin_mutex::scoped_lock lock(mutex_);
    if (merge_) {
      round_.contexts.push_back(ContextAccess::make(signal.maker().get().node));
    }
    round_.add(info...);
    if (++round_.count < predecessors_) {
      return false;
    }
    std::swap(round, round_);
    return true;
  }
  template <typename... Info>
  graph_task* send(const Signal& signal, const Round& round, const Info&... info) {
    graph_task* const task =
        merge_ ? outlet_.put(Signal::make([] { return native::continue_msg(); },
                                          [&] {
                                            return MessageMaker(
                                                {ContextAccess::node(merge_(round.contexts)),
                                                 signal.maker().get().link});
                                          }),
                             info...)
               : outlet_.put(signal, info...);
    return task != nullptr ? task : native_detail::SUCCESSFULLY_ENQUEUED;
  }

  native::graph& graph_;
  const int more_predecessors_;
  onetbb::spin_mutex mutex_;  // Of these.
  int predecessors_;
  Round round_;
  MergeContexts merge_;
  Outlet<Signal> outlet_;
  Inlet<Signal, MessageCounter> inlet_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_COUNTER_H_
