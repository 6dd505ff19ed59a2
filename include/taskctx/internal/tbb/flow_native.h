// SPDX-License-Identifier: Apache-2.0
//
// Inlet, Outlet: nodes of oneTBB's own, for the few places of a flow graph where messages change
// their type: tuples at joins, tags at indexers, counts at continue nodes.
//
//   Outlet<To> outlet;                                // make_edge(outlet, successor)
//   Inlet<From, Owner> inlet(graph, owner);           // make_edge(predecessor, inlet)
//   graph_task* Owner::receive(const From& message, const Info&... info) {
//     return outlet.put(convert(message), info...);   // nullptr if no successor takes it
//   }
//
// The only file that names what oneTBB keeps to itself: the virtual functions of its senders and
// receivers, and its list of a sender's successors.

#ifndef TASKCTX_INTERNAL_TBB_FLOW_NATIVE_H_
#define TASKCTX_INTERNAL_TBB_FLOW_NATIVE_H_

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/version.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/call_link.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace native = ::oneapi::tbb::flow;
#if TBB_INTERFACE_VERSION >= 12140
namespace native_detail = ::tbb::detail::d2;
#else
namespace native_detail = ::tbb::detail::d1;
#endif
using native_detail::graph_task;

// What oneTBB asks of messages and bodies, in its newer versions and with compilers for which it
// says so.
template <typename Input>
concept FlowInput = std::default_initializable<Input> && std::copy_constructible<Input>;

template <typename Body, typename... Args>
concept FlowFunction = std::copy_constructible<Body> && std::invocable<Body&, Args...>;
// What is returned is nothing to a node that sends continue_msg.
template <typename Result, typename Output>
concept FlowResult =
    std::same_as<Output, native::continue_msg> || std::convertible_to<Result, Output>;

template <typename Body, typename Output>
concept InputBody = FlowFunction<Body, onetbb::flow_control&> &&
                    std::convertible_to<std::invoke_result_t<Body&, onetbb::flow_control&>, Output>;
template <typename Body, typename Input, typename Output>
concept FunctionBody = FlowFunction<Body, const Input&> &&
                       FlowResult<std::invoke_result_t<Body&, const Input&>, Output>;
template <typename Body, typename Output>
concept ContinueBody = FunctionBody<Body, native::continue_msg, Output>;
template <typename Body, typename Input, typename Ports>
concept MultifunctionBody = FlowFunction<Body, const Input&, Ports&>;
template <typename Body, typename Input, typename Gateway>
concept AsyncBody = FlowFunction<Body, const Input&, Gateway&>;
template <typename Function, typename T>
concept SequencerFunction =
    FlowFunction<Function, const T&> &&
    std::convertible_to<std::invoke_result_t<Function&, const T&>, std::size_t>;
template <typename Function, typename T, typename Key>
concept KeyFunction =
    FlowFunction<Function, const T&> &&
    std::convertible_to<
        std::invoke_result_t<Function&, const T&>,
        std::conditional_t<std::is_reference_v<Key>, const std::remove_reference_t<Key>&, Key>>;

// A receiver that hands each message to `owner.receive()`, on the thread that puts it.
template <typename From, typename Owner>
class Inlet : public native::receiver<From> {
 public:
  Inlet(native::graph& graph, Owner& owner) : graph_(graph), owner_(owner) {}

 private:
  graph_task* try_put_task(const From& message) override { return owner_.receive(message); }
#if defined(__TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT) && __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
  graph_task* try_put_task(const From& message,
                           const native_detail::message_metainfo& info) override {
    return owner_.receive(message, info);
  }
#endif
  native::graph& graph_reference() const override { return graph_; }

  native::graph& graph_;
  Owner& owner_;
};

// A sender that passes messages on to all of its successors, and has none of its own.
template <typename To>
class Outlet : public native::sender<To> {
 public:
  using successor_type = native::receiver<To>;

  Outlet() : successors_(this) {}

  // Puts a message to all successors. Returns nullptr if none takes it.
  template <typename... Info>
  graph_task* put(const To& message, const Info&... info) {
    return successors_.try_put_task(message, info...);
  }
  void clear() { successors_.clear(); }

  bool register_successor(successor_type& successor) override {
    successors_.register_successor(successor);
    return true;
  }
  bool remove_successor(successor_type& successor) override {
    native_detail::remove_predecessor(successor, *this);  // It may have turned the edge around.
    successors_.remove_successor(successor);
    return true;
  }

 protected:
  [[nodiscard]] bool has_successors() { return !successors_.empty(); }

 private:
  native_detail::broadcast_cache<To> successors_;
};

// A oneTBB sender's messages as messages of another type: what it sends is converted, and so is
// what is got from it. If no successor takes a message, it stays where it was, and can be got there
// later: this keeps nothing.
template <typename From, typename To, typename Convert>
class ConvertedOutlet final : public Outlet<To> {
 public:
  ConvertedOutlet(native::graph& graph, native::sender<From>& source, Convert convert)
      : source_(source),
        convert_(std::move(convert)),
        inlet_(graph, *this),
        turner_(graph, [this](const native::continue_msg& /*message*/) { turn(); }) {}

  // After oneTBB has reset the graph.
  void reset(native::reset_flags flags) {
    native_detail::remove_successor(source_, inlet_);
    is_turned_.store(true, std::memory_order_relaxed);
    if ((flags & native::rf_clear_edges) != 0) {
      this->clear();
    } else if (this->has_successors()) {
      turn();
    }
  }

  bool try_get(To& message) override {
    From from;
    if (!source_.try_get(from)) {
      return false;
    }
    message = convert_(from);
    return true;
  }
  bool register_successor(native::receiver<To>& successor) override {
    Outlet<To>::register_successor(successor);
    turn();
    return true;
  }

 private:
  // The source's only successor.
  class SourceInlet final : public Inlet<From, ConvertedOutlet> {
   public:
    SourceInlet(native::graph& graph, ConvertedOutlet& owner)
        : Inlet<From, ConvertedOutlet>(graph, owner), outlet_(owner) {}

   private:
    // The source asks, when no successor has taken its message: from now on the successors get, and
    // the source does not put.
    bool register_predecessor(native::sender<From>& /*source*/) override {
      outlet_.turn_around();
      return true;
    }

    ConvertedOutlet& outlet_;
  };
  friend class Inlet<From, ConvertedOutlet>;

  template <typename... Info>
  graph_task* receive(const From& message, const Info&... info) {
    // The source's own copy, which it does not use again: it makes a new one for the next message,
    // and if this one is not taken.
    return this->put(convert_(const_cast<From&>(message)), info...);
  }

  // Lets the source put again, if it doesn't.
  void turn() {
    // Both orders of this and turn_around() see what the other did: each first writes, then reads.
    if (is_turned_.exchange(false, std::memory_order_seq_cst)) {
      native_detail::register_successor(source_, inlet_);
    }
  }
  void turn_around() {
    is_turned_.store(true, std::memory_order_seq_cst);
    if (this->has_successors()) {
      // One has turned its edge back meanwhile. Not here: the source is in the middle of a put.
      turner_.try_put(native::continue_msg());
    }
  }

  native::sender<From>& source_;
  Convert convert_;
  SourceInlet inlet_;
  native::continue_node<native::continue_msg> turner_;
  std::atomic<bool> is_turned_{true};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_NATIVE_H_
