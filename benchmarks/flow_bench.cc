// SPDX-License-Identifier: Apache-2.0
//
// G23: flow graphs beside oneTBB's own, in the same arena: what a message takes more at each node.

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/workers.h"
#include "taskctx/tbb/flow_graph.h"

namespace bench {
namespace {

namespace raw = oneapi::tbb::flow;
namespace ours = taskctx::tbb::flow;

constexpr int kMessages = 1000;
constexpr int kNodes = 8;

// The same names of both.
struct Raw {
  using Graph = raw::graph;
  template <typename... Ts>
  using Function = raw::function_node<Ts...>;
  template <typename T>
  using Queue = raw::queue_node<T>;
  template <typename... Ts>
  using Join = raw::join_node<Ts...>;
};
struct Ours {
  using Graph = ours::graph;
  template <typename... Ts>
  using Function = ours::function_node<Ts...>;
  template <typename T>
  using Queue = ours::queue_node<T>;
  template <typename... Ts>
  using Join = ours::join_node<Ts...>;
};

// A message that nodes pass on, and the number in it.
int number_of(int message) { return message; }
int number_of(const std::string& message) { return static_cast<int>(message.size()); }
template <typename T>
T message_of(int number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return std::string(static_cast<std::size_t>(number % 8 + 40), 'x');
  } else {
    return number % 8 + 40;
  }
}

// Function nodes in a row, the last one counts.
template <typename Names, typename T>
class Chain {
 public:
  Chain() {
    for (int i = 0; i < kNodes - 1; ++i) {
      nodes_.push_back(std::make_unique<typename Names::template Function<T, T>>(
          graph_, raw::unlimited, [](const T& message) { return message; }));
      if (i > 0) {
        make_edge(*nodes_[static_cast<std::size_t>(i) - 1], *nodes_.back());
      }
    }
    make_edge(*nodes_.back(), last_);
  }

  long run() {
    sum_ = 0;
    for (int i = 0; i < kMessages; ++i) {
      nodes_.front()->try_put(message_of<T>(i));
    }
    graph_.wait_for_all();
    return sum_;
  }

  static constexpr int kHops = kMessages * kNodes;

 private:
  std::atomic<long> sum_{0};
  typename Names::Graph graph_;
  std::vector<std::unique_ptr<typename Names::template Function<T, T>>> nodes_;
  typename Names::template Function<T> last_{
      graph_, 1, [this](const T& message) { sum_.store(sum_ + number_of(message)); }};
};

// Two queues, a join, and a function node. The join has two messages for each that it sends.
template <typename Names, typename T>
class Join {
 public:
  Join() {
    make_edge(a_, std::get<0>(join_.input_ports()));
    make_edge(b_, std::get<1>(join_.input_ports()));
    make_edge(join_, last_);
  }

  long run() {
    sum_ = 0;
    for (int i = 0; i < kMessages; ++i) {
      a_.try_put(message_of<T>(i));
      b_.try_put(message_of<T>(i));
    }
    graph_.wait_for_all();
    return sum_;
  }

  static constexpr int kHops = kMessages * 5;

 private:
  std::atomic<long> sum_{0};
  typename Names::Graph graph_;
  typename Names::template Queue<T> a_{graph_};
  typename Names::template Queue<T> b_{graph_};
  typename Names::template Join<std::tuple<T, T>> join_{graph_};
  typename Names::template Function<std::tuple<T, T>> last_{
      graph_, 1,
      [this](const std::tuple<T, T>& pair) { sum_.store(sum_ + number_of(std::get<0>(pair))); }};
};

// Runs both in one arena, and checks first that both have the same answer.
template <template <typename, typename> typename Graph, typename T>
void flow(benchmark::State& state, std::size_t size, int threads) {
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                          static_cast<std::size_t>(threads));
  oneapi::tbb::task_arena arena(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    arena.execute([&] {
      Graph<Ours, T> in_context;
      Graph<Raw, T> in_none;
      if (check(state, in_context.run(), in_none.run())) {
        measure_pairs(
            state, static_cast<std::size_t>(Graph<Ours, T>::kHops),
            [&] { return seconds_of([&] { in_context.run(); }); },
            [&] { return seconds_of([&] { in_none.run(); }); });
      }
    });
  });
}

}  // namespace

void add_flows() {
  for (const int threads : kThreads) {
    add_pairs("G23", "chain", threads, &flow<Chain, int>);
    add_pairs("G23", "chain_of_strings", threads, &flow<Chain, std::string>);
    add_pairs("G23", "join", threads, &flow<Join, int>);
  }
}

}  // namespace bench
