// SPDX-License-Identifier: Apache-2.0
//
// Flow graphs, jobs and cancellation: whose work a message is, where bodies are at work, and what
// ends when somebody gives up or throws.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/context.h"
#include "taskctx/context_of.h"
#include "taskctx/context_var_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/tbb/flow_graph.h"
#include "taskctx/this_job.h"
#include "tests/flow_graphs.h"
#include "tests/pools.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

class FlowJobs : public JobPoolTest {};

// T6, F-F2: a body is at work in the pool in which its graph was made: its get() helps.
TEST_P(FlowJobs, HaveBodiesThatAreAtWorkInThePool) {
  const int sum = pool.submit([this] {
                        flow::graph graph;
                        std::atomic<int> all{0};
                        flow::function_node<int> node(graph, flow::unlimited, [&](int number) {
                          all += pool.submit([number] { return number; }).get();
                        });
                        for (int i = 0; i < 100; ++i) {
                          node.try_put(i);
                        }
                        graph.wait_for_all();
                        return all.load();
                      })
                      .get();
  EXPECT_EQ(sum, 4950);
}

// T6: a message belongs to the job that has put it, in whichever graph and however late.
TEST_P(FlowJobs, PutMessagesThatKnowTheirJob) {
  flow::graph graph;
  std::atomic<int> wrong{0};
  std::atomic<int> seen{0};
  flow::function_node<std::uint64_t, std::uint64_t> pass(graph, flow::unlimited,
                                                         [](std::uint64_t id) { return id; });
  flow::queue_node<std::uint64_t> queue(graph);
  flow::function_node<std::uint64_t> look(graph, flow::serial, [&](std::uint64_t id) {
    ++seen;
    wrong += static_cast<int>(this_job::id() != id || this_job::name() != "producer");
  });
  flow::make_edge(pass, queue);
  flow::make_edge(queue, look);
  std::vector<Job<void>> jobs;
  for (int i = 0; i < 20; ++i) {
    jobs.push_back(pool.submit({.name = "producer"}, [&] { pass.try_put(this_job::id()); }));
  }
  for (Job<void>& job : jobs) {
    job.get();
  }
  graph.wait_for_all();
  EXPECT_EQ(seen, 20);
  EXPECT_EQ(wrong, 0);
}

// F-H6, F-N18: a message has its producer's cancellation; it is not lost, and others go on.
TEST_P(FlowJobs, PutMessagesThatAreCancelledWithTheirProducers) {
  flow::graph graph;
  std::atomic<int> stopped{0};
  std::atomic<int> went_on{0};
  std::atomic<int> loops_ended{0};
  flow::queue_node<int> held(graph);
  flow::function_node<int, int> pass(graph, flow::unlimited, [](int number) { return number; });
  flow::function_node<int> look(graph, flow::unlimited, [&](int number) {
    if (!cancelled()) {
      ++went_on;
      EXPECT_EQ(number, 2);
      return;
    }
    ++stopped;
    EXPECT_EQ(number, 1);
    try {
      taskctx::tbb::parallel_for(0, 1000, [](int) {});
    } catch (const Cancelled&) {
      ++loops_ended;
    }
  });
  flow::make_edge(pass, look);
  {
    CancelScope scope;
    held.try_put(1);
    scope.cancel("nobody waits");
  }
  {
    const CancelScope scope;
    held.try_put(2);
    flow::make_edge(held, pass);
    graph.wait_for_all();
  }
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(loops_ended, 1);
  EXPECT_EQ(went_on, 1);
}

// F-H6: a graph that is made in a scope or job is cancelled with that, loops in its bodies, too.
TEST_P(FlowJobs, CancelTheGraphsThatTheyHaveMade) {
  std::atomic<int> calls{0};
  std::atomic<bool> has_job{false};
  Job<void> job = pool.submit([&] {
    has_job.wait(false);
    flow::graph graph;
    flow::function_node<int> node(graph, flow::serial, [&](int /*number*/) {
      if (++calls == 1) {
        taskctx::tbb::parallel_for(0L, 1'000'000'000L, [&](long i) {
          if (i == 0) {
            job.cancel();
          }
        });
      }
    });
    for (int i = 0; i < 1000; ++i) {
      node.try_put(i);
    }
    EXPECT_THROW(graph.wait_for_all(), Cancelled);
    EXPECT_TRUE(cancelled());
    throw std::runtime_error("over");
  });
  has_job = true;
  has_job.notify_one();
  EXPECT_THROW(job.get(), std::runtime_error);
  EXPECT_LT(calls, 1000);
}

// T9, F-F2: what a body throws comes out of wait_for_all(), and the body's context can be asked
// for; the caller's context is back, and the graph works again after reset().
TEST_P(FlowJobs, GetWhatBodiesThrow) {
  pool.submit([] {
        const Scope caller(flow_request, 50);
        flow::graph graph;
        std::atomic<int> after{0};
        flow::function_node<int, int> thrower(graph, flow::unlimited, [](int number) {
          flow_request.set(99);
          if (number == 1) {
            throw std::runtime_error("body");
          }
          return number;
        });
        flow::function_node<int> sink(graph, flow::unlimited, [&](int) { ++after; });
        flow::make_edge(thrower, sink);
        {
          const Scope producer(flow_trail, "of the message");
          thrower.try_put(1);
        }
        try {
          graph.wait_for_all();
          FAIL() << "nothing was thrown";
        } catch (const std::runtime_error&) {
          const Context context = context_of(std::current_exception());
          EXPECT_EQ(*context.find(flow_request), 99);
          EXPECT_EQ(*context.find(flow_trail), "of the message");
        }
        EXPECT_TRUE(graph.exception_thrown());
        EXPECT_EQ(flow_request.get(), 50);
        graph.reset();
        thrower.try_put(2);
        graph.wait_for_all();
        EXPECT_EQ(after, 1);
        EXPECT_FALSE(graph.exception_thrown());
      })
      .get();
}

// T9: likewise of bodies of all kinds.
TEST_P(FlowJobs, GetTheContextsOfBodiesOfAllKindsThatThrow) {
  pool.submit([] {
        flow::graph graph;
        const auto thrower = [](auto&&... /*arguments*/) { throw std::runtime_error("body"); };
        flow::function_node<int> function(graph, flow::unlimited, thrower);
        flow::multifunction_node<int, std::tuple<int>> many(graph, flow::unlimited, thrower);
        flow::async_node<int, int> async(graph, flow::unlimited, thrower);
        flow::continue_node<flow::continue_msg> signalled(graph, thrower);
        flow::input_node<int> input(
            graph, [](taskctx::tbb::flow_control&) -> int { throw std::runtime_error("body"); });
        flow::make_edge(input, function);
        const std::vector<std::function<void()>> begins = {
            [&] { function.try_put(1); }, [&] { many.try_put(1); }, [&] { async.try_put(1); },
            [&] { signalled.try_put({}); }, [&] { input.activate(); }};
        for (std::size_t i = 0; i < begins.size(); ++i) {
          {
            const Scope producer(flow_request, static_cast<int>(i));
            begins[i]();
          }
          try {
            graph.wait_for_all();
            FAIL() << "nothing was thrown";
          } catch (const std::runtime_error&) {
            const Context context = context_of(std::current_exception());
            const int* const request = context.find(flow_request);
            ASSERT_NE(request, nullptr) << i;
            EXPECT_EQ(*request, static_cast<int>(i));
          }
          graph.reset();
        }
      })
      .get();
}

INSTANTIATE_TEST_SUITE_P(Threads, FlowJobs, testing::Values(1, 2, 4, 8));

// T6: a put and each message that a body sends is a hand-over: variables' policies act there.
TEST(FlowPolicies, ActAtEachHandOver) {
  static const ContextVar<int> never("never", {.policy = policy::never});
  static const ContextVar<int> copied(
      "copied", {.policy = policy::copy([](const int& old) { return old + 1; })});
  flow::graph graph;
  std::vector<int> seen;
  flow::function_node<int, int> first(graph, flow::serial, [&](int number) {
    seen.push_back(never.get(-1));
    seen.push_back(copied.get(-1));
    never.set(5);
    return number;
  });
  flow::broadcast_node<int> both(graph);
  flow::function_node<int> last(graph, flow::serial, [&](int) {
    seen.push_back(never.get(-1));
    seen.push_back(copied.get(-1));
  });
  flow::make_edge(first, both);
  flow::make_edge(both, last);
  const Scope scope(never, 1, copied, 10);
  first.try_put(1);
  graph.wait_for_all();
  EXPECT_EQ(seen, (std::vector<int>{-1, 11, -1, 12}));
}

// T6: bodies see no context of the thread that runs them while it waits for something else.
TEST(FlowWaiting, HidesTheWaitersContextFromForeignTasks) {
  oneapi::tbb::task_arena arena(1);
  arena.execute([] {
    const Scope scope(flow_request, 1);
    flow::graph graph;
    graph.reserve_wait();
    int seen = 0;
    oneapi::tbb::this_task_arena::enqueue([&] {
      seen = flow_request.get(-1);
      graph.release_wait();
    });
    graph.wait_for_all();
    EXPECT_EQ(seen, -1);
    EXPECT_EQ(flow_request.get(), 1);
  });
}

}  // namespace
