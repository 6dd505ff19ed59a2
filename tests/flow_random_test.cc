// SPDX-License-Identifier: Apache-2.0
//
// Random flow graphs: each message arrives once for each of its paths, and each body sees the
// context of its message, with all that the bodies before it have written. Also after a graph was
// cancelled half-way.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"
#include "tests/any_variable.h"
#include "tests/flow_graphs.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// What a message, and its context, say of the nodes that it has passed.
const ContextVar<std::uint64_t> path_of_context("path");

struct Traveller {
  int request = -1;
  int number = 0;
  std::uint64_t path = 0;
};

// Who looks at all messages, at each node that has a body.
class Audit {
 public:
  // Looks at the message, and lets it, and the context, go on with another path.
  Traveller pass(const Traveller& traveller, std::uint64_t node) {
    passed_.fetch_add(1, std::memory_order_relaxed);
    wrong_.fetch_add(static_cast<int>(flow_request.get(-1) != traveller.request ||
                                      path_of_context.get(0) != traveller.path),
                     std::memory_order_relaxed);
    Traveller next = traveller;
    next.path = traveller.path * 31 + node;
    path_of_context.set(next.path);
    return next;
  }
  void arrive(const Traveller& traveller) {
    pass(traveller, 0);
    arrived_.fetch_add(1, std::memory_order_relaxed);
  }

  // Where the sums of this were at some time.
  [[nodiscard]] long passed() const { return passed_; }
  [[nodiscard]] long arrived() const { return arrived_; }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  std::atomic<long> passed_{0};
  std::atomic<long> arrived_{0};
  std::atomic<int> wrong_{0};
};

// Some nodes with one way in and one way out.
class Section {
 public:
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  virtual ~Section() = default;

  [[nodiscard]] flow::receiver<Traveller>& in() { return *in_; }
  [[nodiscard]] flow::sender<Traveller>& out() { return *out_; }

 protected:
  Section() = default;
  void set(flow::receiver<Traveller>& in, flow::sender<Traveller>& out) {
    in_ = &in;
    out_ = &out;
  }

 private:
  flow::receiver<Traveller>* in_ = nullptr;
  flow::sender<Traveller>* out_ = nullptr;
};

template <typename Policy>
class Function : public Section {
 public:
  Function(flow::graph& graph, Audit& audit, std::uint64_t id, std::size_t concurrency)
      : queue_(graph), node_(graph, concurrency, [&audit, id](const Traveller& it) noexcept {
          return audit.pass(it, id);
        }) {
    flow::make_edge(queue_, node_);
    set(queue_, node_);
  }

 private:
  flow::queue_node<Traveller> queue_;
  flow::function_node<Traveller, Traveller, Policy> node_;
};

class Multifunction : public Section {
 public:
  Multifunction(flow::graph& graph, Audit& audit, std::uint64_t id)
      : node_(graph, flow::unlimited,
              [&audit, id](const Traveller& it, Ports& ports) {
                const Traveller next = audit.pass(it, id);
                if (it.number % 2 == 0) {
                  std::get<0>(ports).try_put(next);
                } else {
                  std::get<1>(ports).try_put(next);
                }
                path_of_context.set(0);
              }),
        both_(graph) {
    flow::make_edge(flow::output_port<0>(node_), both_);
    flow::make_edge(flow::output_port<1>(node_), both_);
    set(node_, both_);
  }

 private:
  using Node = flow::multifunction_node<Traveller, std::tuple<Traveller, Traveller>>;
  using Ports = Node::output_ports_type;
  Node node_;
  flow::broadcast_node<Traveller> both_;
};

// Takes a message apart, and puts it together again. It may have come on several paths.
class SplitAndJoin : public Section {
 public:
  SplitAndJoin(flow::graph& graph, Audit& audit, std::uint64_t id)
      : apart_(graph, flow::serial,
               [&audit, id](const Traveller& it) {
                 const Traveller next = audit.pass(it, id);
                 return Pair(next, key_of(next));
               }),
        split_(graph),
        join_(graph, &key_of, [](const std::uint64_t& key) { return key; }),
        together_(graph, flow::unlimited, [&audit, id](const Pair& pair) {
          EXPECT_EQ(key_of(std::get<0>(pair)), std::get<1>(pair));
          return audit.pass(std::get<0>(pair), id + 1);
        }) {
    flow::make_edge(apart_, split_);
    flow::make_edge(flow::output_port<0>(split_), flow::input_port<0>(join_));
    flow::make_edge(flow::output_port<1>(split_), flow::input_port<1>(join_));
    flow::make_edge(join_, together_);
    set(apart_, together_);
  }

 private:
  using Pair = std::tuple<Traveller, std::uint64_t>;
  static std::uint64_t key_of(const Traveller& it) {
    return it.path * 1'000'003 + static_cast<std::uint64_t>(it.number);
  }

  flow::function_node<Traveller, Pair> apart_;
  flow::split_node<Pair> split_;
  flow::join_node<Pair, flow::key_matching<std::uint64_t>> join_;
  flow::function_node<Pair, Traveller> together_;
};

// At most `threshold` messages are in the function node at once.
class Limited : public Section {
 public:
  Limited(flow::graph& graph, Audit& audit, std::uint64_t id, std::size_t threshold)
      : queue_(graph),
        limiter_(graph, threshold),
        node_(graph, flow::unlimited,
              [&audit, id](const Traveller& it, Ports& ports) {
                const Traveller next = audit.pass(it, id);
                std::get<0>(ports).try_put(next);
                std::get<1>(ports).try_put(flow::continue_msg());
              }),
        out_(graph) {
    flow::make_edge(queue_, limiter_);
    flow::make_edge(limiter_, node_);
    flow::make_edge(flow::output_port<0>(node_), out_);
    flow::make_edge(flow::output_port<1>(node_), limiter_.decrementer());
    set(queue_, out_);
  }

 private:
  using Node = flow::multifunction_node<Traveller, std::tuple<Traveller, flow::continue_msg>>;
  using Ports = Node::output_ports_type;
  flow::queue_node<Traveller> queue_;
  flow::limiter_node<Traveller> limiter_;
  Node node_;
  flow::broadcast_node<Traveller> out_;
};

// Sections in layers: each has an edge to some of the next layer, and the last ones to the end.
class RandomGraph {
 public:
  RandomGraph(Audit& audit, std::mt19937& random) : audit_(audit) {
    const auto choose = [&random](int from, int to) {
      return std::uniform_int_distribution(from, to)(random);
    };
    std::vector<Section*> last;
    std::vector<long> paths_to_last;
    const int layers = choose(2, 5);
    for (int layer = 0; layer < layers; ++layer) {
      std::vector<Section*> here;
      const int width = layer == 0 ? 1 : choose(1, 3);
      for (int i = 0; i < width; ++i) {
        here.push_back(&add(choose(0, 6), static_cast<std::size_t>(choose(0, 3))));
      }
      std::vector<long> paths_to_here(here.size(), layer == 0 ? 1 : 0);
      for (std::size_t from = 0; from < last.size(); ++from) {
        // Each has a successor, so that nothing gets lost.
        const auto first = static_cast<std::size_t>(choose(0, width - 1));
        for (std::size_t to = 0; to < here.size(); ++to) {
          if (to == first || choose(0, 2) == 0) {
            flow::make_edge(last[from]->out(), here[to]->in());
            paths_to_here[to] += paths_to_last[from];
          }
        }
      }
      last = std::move(here);
      paths_to_last = std::move(paths_to_here);
    }
    for (std::size_t i = 0; i < last.size(); ++i) {
      flow::make_edge(last[i]->out(), end_);
      paths_ += paths_to_last[i];
    }
  }

  void put(int messages) {
    for (int i = 0; i < messages; ++i) {
      const Scope scope(flow_request, i % kRequests);
      sections_.front()->in().try_put({.request = i % kRequests, .number = number_++});
    }
  }
  flow::graph& graph() { return graph_; }
  // Returns how often each message arrives.
  [[nodiscard]] long paths() const { return paths_; }

 private:
  Section& add(int kind, std::size_t concurrency) {
    const std::uint64_t id = sections_.size() * 2 + 1;
    const auto made = [&]() -> std::unique_ptr<Section> {
      switch (kind) {
        case 0:
          return std::make_unique<Function<flow::queueing>>(graph_, audit_, id, concurrency);
        case 1:
          return std::make_unique<Function<flow::rejecting>>(graph_, audit_, id, concurrency);
        case 2:
          return std::make_unique<Function<flow::queueing_lightweight>>(graph_, audit_, id,
                                                                        concurrency);
        case 3:
          return std::make_unique<Multifunction>(graph_, audit_, id);
        case 4:
          return std::make_unique<SplitAndJoin>(graph_, audit_, id);
        default:
          return std::make_unique<Limited>(graph_, audit_, id, concurrency + 1);
      }
    };
    sections_.push_back(made());
    return *sections_.back();
  }

  Audit& audit_;
  long paths_ = 0;
  int number_ = 0;
  flow::graph graph_;
  std::vector<std::unique_ptr<Section>> sections_;
  flow::function_node<Traveller> end_{graph_, flow::unlimited,
                                      [this](const Traveller& it) { audit_.arrive(it); }};
};

class RandomFlows : public testing::TestWithParam<int> {};

// T6, F-F2: nothing is lost, and no context is wrong.
TEST_P(RandomFlows, LoseNoMessageAndNoContext) {
  std::mt19937 random_numbers(test_seed());
  Audit audit;
  StealingArena arena(GetParam());
  arena->execute([&] {
    while (audit.passed() < 30'000) {
      RandomGraph random(audit, random_numbers);
      const long before = audit.arrived();
      random.put(200);
      random.graph().wait_for_all();
      ASSERT_EQ(audit.arrived() - before, 200 * random.paths());
    }
  });
  EXPECT_EQ(audit.wrong(), 0);
}

// T6: a graph that was cancelled half-way, and reset, works as a new one.
TEST_P(RandomFlows, WorkAgainWhenTheyWereCancelledHalfWay) {
  std::mt19937 random_numbers(test_seed());
  Audit audit;
  StealingArena arena(GetParam());
  arena->execute([&] {
    for (int i = 0; i < 20; ++i) {
      RandomGraph random(audit, random_numbers);
      random.put(100);
      random.graph().cancel();
      random.put(10);
      random.graph().wait_for_all();
      EXPECT_TRUE(random.graph().is_cancelled());
      random.graph().reset();
      const long before = audit.arrived();
      random.put(100);
      random.graph().wait_for_all();
      ASSERT_EQ(audit.arrived() - before, 100 * random.paths());
    }
  });
  EXPECT_EQ(audit.wrong(), 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, RandomFlows, testing::Values(1, 2, 4, 8));

}  // namespace
