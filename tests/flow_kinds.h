// SPDX-License-Identifier: Apache-2.0
//
// Each kind of node of a flow graph, with each of its policies, as a list: a test that lets
// messages pass through all of them is a loop.

#ifndef TESTS_FLOW_KINDS_H_
#define TESTS_FLOW_KINDS_H_

#include <gtest/gtest.h>
#include <oneapi/tbb/concurrent_queue.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/carried.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"
#include "tests/flow_graphs.h"

namespace taskctx_test::flow_kinds {

inline constexpr int kOfEach = 60;

// A graph through which messages pass, and whose last node is `sink`.
struct Passage {
  flow::graph graph;
  Arrivals arrivals;
  std::string trail;  // What the node itself writes.
  flow::function_node<Item> sink{
      graph, flow::unlimited, [this](const Item& item) { arrivals.arrive(item.request, trail); }};

  // Puts all messages to `node`, and waits.
  void put_all(flow::receiver<Item>& node) {
    for_each_item(kOfEach, [&](const Item& item) { EXPECT_TRUE(node.try_put(item)); });
    graph.wait_for_all();
  }
  // Likewise from a queue, for a node that rejects messages.
  template <typename Node>
  void pass_all(Node& node) {
    flow::queue_node<Item> queue(graph);
    flow::make_edge(queue, node);
    put_all(queue);
  }
};

struct Kind {
  const char* name;
  void (*pass)(Passage& passage);
  // Whether the body runs when another message has been put: a thread_local is wrong then.
  bool is_later = true;

  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

template <typename Policy, bool kRejects = false>
void pass_function(Passage& passage, std::size_t concurrency) {
  flow::function_node<Item, Item, Policy> node(passage.graph, concurrency,
                                               [](const Item& item) noexcept {
                                                 leave_trail("f");
                                                 return item;
                                               });
  passage.trail = "f";
  flow::make_edge(node, passage.sink);
  if constexpr (kRejects) {
    passage.pass_all(node);
  } else {
    passage.put_all(node);
  }
}

template <typename Policy>
void pass_multifunction(Passage& passage, std::size_t concurrency) {
  using Node = flow::multifunction_node<Item, std::tuple<Item, Item>, Policy>;
  Node node(passage.graph, concurrency,
            [](const Item& item, typename Node::output_ports_type& ports) noexcept {
              leave_trail("m");
              if (item.number % 2 == 0) {
                std::get<0>(ports).try_put(item);
              } else {
                std::get<1>(ports).try_put(item);
              }
              leave_trail("too late");  // Not for what was sent.
            });
  passage.trail = "m";
  flow::make_edge(flow::output_port<0>(node), passage.sink);
  flow::make_edge(flow::output_port<1>(node), passage.sink);
  passage.pass_all(node);
}

// The messages have no value: what arrives must be known by its context alone.
template <typename Policy>
void pass_continue(Passage& passage) {
  using Node = flow::continue_node<Item, Policy>;
  Node node(passage.graph, [](const flow::continue_msg& /*message*/) noexcept {
    leave_trail("c");
    return Item{.request = flow_request.get(0)};
  });
  passage.trail = "c";
  flow::make_edge(node, passage.sink);
  for_each_item(kOfEach,
                [&](const Item& /*item*/) { EXPECT_TRUE(node.try_put(flow::continue_msg())); });
  passage.graph.wait_for_all();
}

// Something outside of the graph, with a thread of its own, that answers some time later.
template <typename Work>
class Outside {
 public:
  Outside() = default;
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() {
    queue_.push(nullptr);
    thread_.join();
  }
  void post(Work work) { queue_.push(std::make_shared<Work>(std::move(work))); }

 private:
  oneapi::tbb::concurrent_bounded_queue<std::shared_ptr<Work>> queue_;
  std::thread thread_{[this] {
    std::shared_ptr<Work> work;
    for (queue_.pop(work); work != nullptr; queue_.pop(work)) {
      (*work)();
    }
  }};
};

// The answer is put by a bound callback, or with what was carried to the other thread.
template <typename Policy, bool kIsBound>
void pass_async(Passage& passage) {
  using Node = flow::async_node<Item, Item, Policy>;
  Outside<std::function<void()>> outside;
  Node node(passage.graph, flow::unlimited,
            [&](const Item& item, typename Node::gateway_type& gateway) {
              leave_trail("a");
              gateway.reserve_wait();
              if constexpr (kIsBound) {
                outside.post(taskctx::bind([item, &gateway] {
                  gateway.try_put(item);
                  gateway.release_wait();
                }));
              } else {
                outside.post([carried = taskctx::Carried<Item>(item), &gateway] {
                  gateway.try_put(carried);
                  gateway.release_wait();
                });
              }
            });
  passage.trail = "a";
  flow::make_edge(node, passage.sink);
  passage.put_all(node);
}

template <typename Pair, typename Join>
void pass_join(Passage& passage, Join& join) {
  flow::queue_node<Item> first(passage.graph);
  flow::queue_node<Item> second(passage.graph);
  flow::function_node<Pair, Item> choose(passage.graph, flow::unlimited, [&](const Pair& pair) {
    EXPECT_EQ(std::get<0>(pair).number, std::get<1>(pair).number);
    return std::get<0>(pair);
  });
  flow::make_edge(first, flow::input_port<0>(join));
  flow::make_edge(second, flow::input_port<1>(join));
  flow::make_edge(join, choose);
  flow::make_edge(choose, passage.sink);
  // The context of the first port's message wins.
  for_each_item(kOfEach, [&](const Item& item) { EXPECT_TRUE(first.try_put(item)); });
  for (int i = 0; i < kOfEach * kRequests; ++i) {
    EXPECT_TRUE(second.try_put({.request = i % kRequests, .number = i}));
  }
  passage.graph.wait_for_all();
}
template <typename Policy>
void pass_join(Passage& passage) {
  using Pair = std::tuple<Item, Item>;
  flow::join_node<Pair, Policy> join(passage.graph);
  pass_join<Pair>(passage, join);
}
template <typename Policy, typename Key>
void pass_matching_join(Passage& passage) {
  using Pair = std::tuple<Item, Item>;
  // The function runs in the context of its message; that of the second port has none.
  const auto key_of_first = [](const Item& item) -> Key {
    EXPECT_EQ(flow_request.get(-1), item.request);
    return static_cast<Key>(item.number);
  };
  const auto key_of_second = [](const Item& item) -> Key {
    EXPECT_EQ(flow_request.get(-1), -1);
    return static_cast<Key>(item.number);
  };
  flow::join_node<Pair, Policy> join(passage.graph, key_of_first, key_of_second);
  pass_join<Pair>(passage, join);
}

template <typename Node>
void pass_store(Passage& passage) {
  Node node(passage.graph);
  flow::make_edge(node, passage.sink);
  passage.put_all(node);
}

inline void pass_split(Passage& passage) {
  using Pair = std::tuple<int, Item>;
  flow::function_node<Item, Pair> pair(passage.graph, flow::unlimited, [](const Item& item) {
    leave_trail("p");
    return Pair(1, item);
  });
  flow::split_node<Pair> split(passage.graph);
  flow::queue_node<int> numbers(passage.graph);
  passage.trail = "p";
  flow::make_edge(pair, split);
  flow::make_edge(flow::output_port<0>(split), numbers);
  flow::make_edge(flow::output_port<1>(split), passage.sink);
  passage.put_all(pair);
  int found = 0;
  for (taskctx::Carried<int> number; numbers.try_get(number); ++found) {
    number.run([](int) { EXPECT_EQ(flow_trail.get(""), "p"); });
  }
  EXPECT_EQ(found, kOfEach * kRequests);
}

inline void pass_indexer(Passage& passage) {
  using Indexer = flow::indexer_node<Item, std::string>;
  Indexer indexer(passage.graph);
  flow::function_node<Indexer::output_type, Item> choose(
      passage.graph, flow::unlimited, [](const Indexer::output_type& message) {
        return message.tag() == 0 ? flow::cast_to<Item>(message)
                                  : Item{.request = std::stoi(flow::cast_to<std::string>(message))};
      });
  flow::make_edge(indexer, choose);
  flow::make_edge(choose, passage.sink);
  for_each_item(kOfEach, [&](const Item& item) {
    if (item.number / kRequests % 2 == 0) {
      EXPECT_TRUE(flow::input_port<0>(indexer).try_put(item));
    } else {
      EXPECT_TRUE(flow::input_port<1>(indexer).try_put(std::to_string(item.request)));
    }
  });
  passage.graph.wait_for_all();
}

inline void pass_sequencer(Passage& passage) {
  flow::sequencer_node<Item> node(passage.graph, [](const Item& item) {
    EXPECT_EQ(flow_request.get(-1), item.request);  // In the context of the message.
    return static_cast<std::size_t>(item.number);
  });
  flow::make_edge(node, passage.sink);
  passage.put_all(node);
}

// Each message lets the next one in.
template <typename DecrementType>
void pass_limiter(Passage& passage) {
  flow::queue_node<Item> queue(passage.graph);
  flow::limiter_node<Item, DecrementType> limiter(passage.graph, 2);
  flow::function_node<Item, DecrementType> let_in(passage.graph, flow::unlimited,
                                                  [&](const Item& item) {
                                                    passage.arrivals.arrive(item.request);
                                                    return DecrementType(1);
                                                  });
  flow::make_edge(queue, limiter);
  flow::make_edge(limiter, let_in);
  flow::make_edge(let_in, limiter.decrementer());
  passage.put_all(queue);
}
inline void pass_limiter_of_signals(Passage& passage) {
  flow::queue_node<Item> queue(passage.graph);
  flow::limiter_node<Item> limiter(passage.graph, 2);
  flow::function_node<Item> let_in(passage.graph, flow::unlimited, [&](const Item& item) {
    passage.arrivals.arrive(item.request);
  });
  flow::make_edge(queue, limiter);
  flow::make_edge(limiter, let_in);
  flow::make_edge(let_in, limiter.decrementer());
  passage.put_all(queue);
}

// Keeps one message; who gets it, gets its context.
template <typename Node>
void pass_single(Passage& passage) {
  Node node(passage.graph);
  for_each_item(kOfEach, [&](const Item& item) {
    node.clear();
    EXPECT_TRUE(node.try_put(item));
    taskctx::Carried<Item> got;
    const taskctx::Scope other(flow_request, 100);
    EXPECT_TRUE(node.try_get(got));
    got.run([&](const Item& it) { passage.arrivals.arrive(it.request); });
    EXPECT_TRUE(node.is_valid());
  });
}

inline void pass_input(Passage& passage) {
  passage.trail = "i";
  std::vector<std::unique_ptr<flow::input_node<Item>>> inputs;
  for (int request = 0; request < kRequests; ++request) {
    inputs.push_back(std::make_unique<flow::input_node<Item>>(
        passage.graph, [request, left = kOfEach](taskctx::tbb::flow_control& control) mutable {
          EXPECT_EQ(flow_trail.get(""), "");  // Not the last call's.
          leave_trail("i");
          if (left-- == 0) {
            control.stop();
          }
          return Item{.request = request};
        }));
    flow::make_edge(*inputs.back(), passage.sink);
    const taskctx::Scope scope(flow_request, request);
    inputs.back()->activate();
  }
  passage.graph.wait_for_all();
}

class Inner : public flow::composite_node<std::tuple<Item>, std::tuple<Item>> {
  using Base = flow::composite_node<std::tuple<Item>, std::tuple<Item>>;

 public:
  explicit Inner(flow::graph& graph)
      : Base(graph),
        first_(graph, flow::unlimited,
               [](const Item& item) {
                 leave_trail("1");
                 return item;
               }),
        second_(graph, flow::serial, [](const Item& item) {
          leave_trail("2");
          return item;
        }) {
    flow::make_edge(first_, second_);
    Base::set_external_ports(Base::input_ports_type(first_), Base::output_ports_type(second_));
  }

 private:
  flow::function_node<Item, Item> first_;
  flow::function_node<Item, Item> second_;
};
inline void pass_composite(Passage& passage) {
  Inner inner(passage.graph);
  passage.trail = "12";
  flow::make_edge(flow::output_port<0>(inner), passage.sink);
  passage.put_all(flow::input_port<0>(inner));
}

inline const std::vector<Kind> kKinds = {
    {"function_serial",
     [](Passage& passage) { pass_function<flow::queueing>(passage, flow::serial); }},
    {"function_2", [](Passage& passage) { pass_function<flow::queueing>(passage, 2); }},
    {"function_unlimited",
     [](Passage& passage) { pass_function<flow::queueing>(passage, flow::unlimited); }},
    {"function_rejecting",
     [](Passage& passage) { pass_function<flow::rejecting, true>(passage, 2); }},
    {"function_lightweight",
     [](Passage& passage) { pass_function<flow::lightweight>(passage, flow::unlimited); }},
    {"function_queueing_lightweight",
     [](Passage& passage) { pass_function<flow::queueing_lightweight>(passage, 2); }},
    {"function_rejecting_lightweight",
     [](Passage& passage) {
       pass_function<flow::rejecting_lightweight, true>(passage, flow::serial);
     }},
    {"multifunction_serial",
     [](Passage& passage) { pass_multifunction<flow::queueing>(passage, flow::serial); }},
    {"multifunction_unlimited",
     [](Passage& passage) { pass_multifunction<flow::queueing>(passage, flow::unlimited); }},
    {"multifunction_rejecting",
     [](Passage& passage) { pass_multifunction<flow::rejecting>(passage, 2); }},
    {"multifunction_lightweight",
     [](Passage& passage) { pass_multifunction<flow::lightweight>(passage, flow::unlimited); }},
    {"continue", &pass_continue<flow::queueing>},
    {"continue_lightweight", &pass_continue<flow::lightweight>},
    {"input", &pass_input},
    {"async_bound", &pass_async<flow::queueing, true>},
    {"async_carried", &pass_async<flow::queueing, false>},
    {"async_rejecting", &pass_async<flow::rejecting, false>},
    {"async_lightweight", &pass_async<flow::queueing_lightweight, true>},
    {"join_queueing", &pass_join<flow::queueing>},
    {"join_reserving", &pass_join<flow::reserving>},
    {"join_key_matching", &pass_matching_join<flow::key_matching<int>, int>},
    {"join_tag_matching", &pass_matching_join<flow::tag_matching, flow::tag_value>},
    {"split", &pass_split},
    {"indexer", &pass_indexer},
    {"broadcast", &pass_store<flow::broadcast_node<Item>>},
    {"buffer", &pass_store<flow::buffer_node<Item>>},
    {"queue", &pass_store<flow::queue_node<Item>>},
    {"priority_queue", &pass_store<flow::priority_queue_node<Item>>},
    {"sequencer", &pass_sequencer},
    {"limiter", &pass_limiter<int>},
    {"limiter_of_signals", &pass_limiter_of_signals},
    {"overwrite", &pass_single<flow::overwrite_node<Item>>, false},
    {"write_once", &pass_single<flow::write_once_node<Item>>, false},
    {"composite", &pass_composite},
};

}  // namespace taskctx_test::flow_kinds

#endif  // TESTS_FLOW_KINDS_H_
