// SPDX-License-Identifier: Apache-2.0
//
// Messages of several requests for flow graphs, and who checks that each has its own context.

#ifndef TESTS_FLOW_GRAPHS_H_
#define TESTS_FLOW_GRAPHS_H_

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"
#include "tests/stealing.h"

namespace taskctx_test {

namespace flow = taskctx::tbb::flow;

inline const taskctx::ContextVar<int> flow_request("request");
// What the bodies on the way of a message have written.
inline const taskctx::ContextVar<std::string> flow_trail("trail");
// What people use instead: a thread_local that is set before each put.
inline thread_local int thread_request = -1;

inline constexpr int kRequests = 8;

// A message that knows whose it is.
struct Item {
  int request = -1;
  int number = 0;  // From 0, over all requests.

  friend auto operator<=>(const Item& a, const Item& b) { return a.number <=> b.number; }
  friend bool operator==(const Item& a, const Item& b) { return a.number == b.number; }
};

// Looks at the context of each message that arrives.
class Arrivals {
 public:
  // In a body: the message is one of `request`, and `trail` was written on its way.
  void arrive(int request, const std::string& trail = "") {
    seen_.at(static_cast<std::size_t>(request)).fetch_add(1);
    wrong_ += static_cast<int>(flow_request.get(-1) != request || flow_trail.get("") != trail);
    wrong_for_thread_ += static_cast<int>(thread_request != request);
  }

  [[nodiscard]] int wrong() const { return wrong_; }
  // How often the thread_local was wrong.
  [[nodiscard]] int wrong_for_thread() const { return wrong_for_thread_; }
  // Expects that each request has got so many messages, all of them right.
  void expect(int of_each_request) const {
    EXPECT_EQ(wrong_, 0);
    for (const std::atomic<int>& seen : seen_) {
      EXPECT_EQ(seen, of_each_request);
    }
  }

 private:
  std::array<std::atomic<int>, kRequests> seen_{};
  std::atomic<int> wrong_{0};
  std::atomic<int> wrong_for_thread_{0};
};

// Calls `put(item)` for messages of all requests in turn, each in the context of its request.
template <typename Put>
void for_each_item(int of_each_request, const Put& put) {
  for (int i = 0; i < of_each_request * kRequests; ++i) {
    const Item item{.request = i % kRequests, .number = i};
    const taskctx::Scope scope(flow_request, item.request);
    thread_request = item.request;
    put(item);
  }
  thread_request = -1;
}

// Appends to the trail, as a body on the way does.
inline void leave_trail(const std::string& step) { flow_trail.set(flow_trail.get("") + step); }

// Runs in an arena of GetParam() threads.
class FlowTest : public testing::TestWithParam<int> {
 protected:
  template <typename F>
  void run(const F& function) {
    arena_->execute(function);
  }

 private:
  StealingArena arena_{GetParam()};
};

}  // namespace taskctx_test

#endif  // TESTS_FLOW_GRAPHS_H_
