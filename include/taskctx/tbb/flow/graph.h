// SPDX-License-Identifier: Apache-2.0
//
// The graph, what its nodes are, and edges between them. Part of taskctx/tbb/flow_graph.h, which
// says what it is about.
//
//   namespace flow = taskctx::tbb::flow;
//   flow::graph graph;
//   flow::make_edge(parse, count);  // two nodes of the graph
//   parse.try_put(line);            // with the context here
//   graph.wait_for_all();

#ifndef TASKCTX_TBB_FLOW_GRAPH_GRAPH_H_
#define TASKCTX_TBB_FLOW_GRAPH_GRAPH_H_

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/spin_mutex.h>

#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/carried.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/call_link.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/tbb/task_group.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct FlowAccess;

}  // namespace internal
namespace tbb::flow {

using internal::native::continue_msg;
using internal::native::no_priority;
using internal::native::node_priority_t;
using internal::native::reset_flags;
using internal::native::rf_clear_edges;
using internal::native::rf_reset_bodies;
using internal::native::rf_reset_protocol;
using internal::native::serial;
using internal::native::tag_value;
using internal::native::unlimited;
// The policies of nodes.
using internal::native::key_matching;
using internal::native::lightweight;
using internal::native::queueing;
using internal::native::queueing_lightweight;
using internal::native::rejecting;
using internal::native::rejecting_lightweight;
using internal::native::reserving;
using internal::native::tag_matching;

class graph;

// The base of all nodes. A node is made in a graph, which must outlive it.
class graph_node {
 public:
  graph_node(const graph_node&) = delete;
  graph_node& operator=(const graph_node&) = delete;
  virtual ~graph_node();

 protected:
  explicit graph_node(graph& its_graph);

  // Does what is to be done for the node after oneTBB has reset the graph.
  virtual void reset_node(reset_flags /*flags*/) {}

  graph& my_graph;

 private:
  friend class graph;
  template <typename Node>
  friend class graph_iterator;
  friend struct internal::FlowAccess;

  graph_node* previous_ = nullptr;
  graph_node* next_ = nullptr;
};

// An iterator over the nodes of a graph, in the order in which they were made. Valid as long as its
// node.
template <typename Node>
class graph_iterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = Node;
  using difference_type = std::ptrdiff_t;
  using size_type = std::size_t;
  using pointer = Node*;
  using reference = Node&;
  using const_reference = const Node&;

  graph_iterator() = default;

  [[nodiscard]] reference operator*() const noexcept { return *node_; }
  [[nodiscard]] pointer operator->() const noexcept { return node_; }
  graph_iterator& operator++() noexcept {
    if (node_ != nullptr) {
      node_ = node_->next_;
    }
    return *this;
  }
  graph_iterator operator++(int) noexcept {
    const graph_iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const graph_iterator& a, const graph_iterator& b) = default;

 private:
  friend class graph;
  explicit graph_iterator(Node* node) noexcept : node_(node) {}

  Node* node_ = nullptr;
};

// A graph: runs the bodies of its nodes as tasks, and waits for them. Has the members of oneTBB's.
class graph {
  using Native = internal::native::graph;

 public:
  using iterator = graph_iterator<graph_node>;
  using const_iterator = graph_iterator<const graph_node>;

  // Makes a graph. Its bodies run in the arena in which this is called, or in that of the latest
  // reset(). If it is made in a job or cancel scope, that cancels the graph.
  graph() { construct(nullptr); }
  // Runs the tasks in `context`, which must outlive the graph. Likewise; `context` is cancelled
  // then.
  explicit graph(task_group_context& context) { construct(&context); }
  graph(const graph&) = delete;
  graph& operator=(const graph&) = delete;
  // Waits for all tasks.
  ~graph() {
    const internal::Hidden hidden;
    native_.~Native();
    internal::forget_thrown(&place_);
  }

  // Waits for all tasks, and until release_wait() was called as often as reserve_wait(). The
  // caller's context is back when this returns, or throws: what a body has thrown, or Cancelled, if
  // the caller is to stop. Messages on their way are lost then, as in oneTBB.
  void wait_for_all() {
    {
      const internal::BodiesCall call(&place_);
      const internal::Hidden hidden;
      native_.wait_for_all();
    }
    if (listener_) [[unlikely]] {
      listener_->settle();
    }
    internal::check_stopping("finish graph");
  }
  // Let wait_for_all() wait for something outside of the graph. Thread-safe.
  void reserve_wait() { native_.reserve_wait(); }
  void release_wait() { native_.release_wait(); }

  // Lets no more bodies begin, until wait_for_all() has returned. Thread-safe.
  void cancel() { native_.cancel(); }
  // Tell how the latest wait_for_all() has ended.
  [[nodiscard]] bool is_cancelled() { return native_.is_cancelled(); }
  [[nodiscard]] bool exception_thrown() { return native_.exception_thrown(); }

  // Brings all nodes into their first state, as oneTBB does: with `flags` also their bodies, or
  // without their edges. The bodies run in the arena in which this is called from then on. Not
  // thread-safe; the graph must be idle.
  void reset(reset_flags flags = rf_reset_protocol) {
    native_.reset(flags);
    find_executor();
    for (graph_node* node = first_; node != nullptr; node = node->next_) {
      node->reset_node(flags);
    }
  }

  // The nodes. Not thread-safe.
  [[nodiscard]] iterator begin() noexcept { return iterator(first_); }
  [[nodiscard]] iterator end() noexcept { return {}; }
  [[nodiscard]] const_iterator begin() const noexcept { return const_iterator(first_); }
  [[nodiscard]] const_iterator end() const noexcept { return {}; }
  [[nodiscard]] const_iterator cbegin() const noexcept { return begin(); }
  [[nodiscard]] const_iterator cend() const noexcept { return end(); }

 private:
  friend class graph_node;
  friend struct internal::FlowAccess;

  void construct(task_group_context* context) {
    find_executor();
    if (link_.get() != nullptr && context == nullptr) {
      context = &context_.emplace(task_group_context::isolated);
    }
    if (context == nullptr) {
      ::new (static_cast<void*>(&native_)) Native;
      return;
    }
    ::new (static_cast<void*>(&native_)) Native(*context);
    if (link_.get() != nullptr) {
      listener_.emplace(link_, place_.executor, *context);
    }
  }
  void find_executor() {
    place_.executor = internal::current_activation()->origin.executor();
    executor_.emplace(place_.executor);
  }

  void add(graph_node& node) {
    const std::lock_guard lock(mutex_);
    node.previous_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = &node;
    last_ = &node;
  }
  void remove(graph_node& node) noexcept {
    const std::lock_guard lock(mutex_);
    (node.previous_ != nullptr ? node.previous_->next_ : first_) = node.next_;
    (node.next_ != nullptr ? node.next_->previous_ : last_) = node.previous_;
  }

  const internal::LinkRef link_ = internal::capture_link();
  std::optional<internal::ExecutorRef> executor_;
  internal::GraphPlace place_{.executor = nullptr, .link = link_.get()};
  std::mutex mutex_;  // Of the list.
  graph_node* first_ = nullptr;
  graph_node* last_ = nullptr;
  std::optional<task_group_context> context_;  // If no other one is there that the link cancels.
  union {  // Its destructor waits, so it is called with the context hidden.
    Native native_;
  };
  std::optional<internal::GroupListener> listener_;
};

inline graph_node::graph_node(graph& its_graph) : my_graph(its_graph) { my_graph.add(*this); }
inline graph_node::~graph_node() { my_graph.remove(*this); }

// What messages of type T can be put to: a node, or a port of one. Valid as long as that.
template <typename T>
class receiver {
  using Native = internal::native::receiver<internal::Message<T>>;

 public:
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;
  virtual ~receiver() = default;

  // Puts a message, with the current context. Returns false if it is rejected. Costs what oneTBB's
  // costs, and two atomic increments. Thread-safe. Throws std::bad_alloc, and what copying `value`
  // throws.
  bool try_put(const T& value) { return native_->try_put(internal::Message<T>::lend(value)); }
  // Likewise, with the context that `carried` has.
  template <std::same_as<Carried<T>> C>
  bool try_put(const C& carried) {
    return native_->try_put(
        internal::Message<T>::lend(carried.value(), internal::CarriedAccess::maker(carried)));
  }
#if defined(__TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT) && __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
  // Puts a message, and waits until all that came of it has been done. The caller's context is back
  // when this returns.
  bool try_put_and_wait(const T& value) {
    const internal::Message<T> message = internal::Message<T>::lend(value);
    const internal::Hidden hidden;
    return native_->try_put_and_wait(message);
  }
#endif

 protected:
  receiver() = default;
  explicit receiver(Native& native) noexcept : native_(&native) {}
  void set_native(Native& native) noexcept { native_ = &native; }

  // Says how many edges to this there are more, or less.
  virtual void count_edge(int /*change*/) {}

 private:
  friend struct internal::FlowAccess;

  Native* native_ = nullptr;
};

// What messages of type T come from: a node, or a port of one. Valid as long as that.
template <typename T>
class sender {
  using Native = internal::native::sender<internal::Message<T>>;

 public:
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;
  virtual ~sender() = default;

  // Gets a message, if there is one. Thread-safe. Throws what assigning to `value` throws.
  bool try_get(T& value) {
    return get(value, [&](auto& message) { return native_->try_get(message); });
  }
  // Likewise, with its context.
  template <std::same_as<Carried<T>> C>
  bool try_get(C& carried) {
    return get(carried, [&](auto& message) { return native_->try_get(message); });
  }
  // Reserves a message, if there is one: it stays here until it is released or consumed.
  bool try_reserve(T& value) {
    return get(value, [&](auto& message) { return native_->try_reserve(message); });
  }
  template <std::same_as<Carried<T>> C>
  bool try_reserve(C& carried) {
    return get(carried, [&](auto& message) { return native_->try_reserve(message); });
  }
  bool try_release() { return native_->try_release(); }
  bool try_consume() { return native_->try_consume(); }

 protected:
  sender() = default;
  explicit sender(Native& native) noexcept : native_(&native) {}
  void set_native(Native& native) noexcept { native_ = &native; }

 private:
  friend struct internal::FlowAccess;

  template <typename Get>
  bool get(T& value, const Get& get) {
    auto message = internal::Message<T>::want(value);
    if (!get(message)) {
      return false;
    }
    message.deliver(value);
    return true;
  }
  template <typename Get>
  bool get(Carried<T>& carried, const Get& get) {
    auto message = internal::Message<T>::want(carried.value());
    if (!get(message)) {
      return false;
    }
    message.deliver(carried.value());
    internal::CarriedAccess::set_maker(carried, message.maker().get());
    return true;
  }

  Native* native_ = nullptr;
};

}  // namespace tbb::flow

namespace internal {

struct FlowAccess {
  static native::graph& native(tbb::flow::graph& graph) noexcept { return graph.native_; }
  static const GraphPlace& place(const tbb::flow::graph& graph) noexcept { return graph.place_; }
  static tbb::flow::graph& graph(const tbb::flow::graph_node& node) noexcept {
    return node.my_graph;
  }
  template <typename T>
  static auto& native(tbb::flow::receiver<T>& receiver) noexcept {
    return *receiver.native_;
  }
  template <typename T>
  static auto& native(tbb::flow::sender<T>& sender) noexcept {
    return *sender.native_;
  }
  template <typename T>
  static void count_edge(tbb::flow::receiver<T>& receiver, int change) {
    receiver.count_edge(change);
  }
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_FLOW_GRAPH_GRAPH_H_
