// SPDX-License-Identifier: Apache-2.0
//
// parallel_pipeline: each token carries its context through all filters.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/tbb_algorithms.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// T7, F-F2: each token has a context of its own, which all filters see and may change.
TEST_P(Algorithms, EachTokenOfAPipelineCarriesItsOwnContextThroughAllFilters) {
  constexpr int kTokens = 500;
  const ContextVar<int> token("token");
  const ContextVar<int> square("square");
  thread_local int thread_token = 0;  // What people use instead.
  std::atomic<int> local_wrong{0};
  std::atomic<int> tokens{0};
  AllThreads all(GetParam());
  Latch second;
  run([&] {
    int next = 0;
    ctbb::parallel_pipeline(
        64,
        ctbb::make_filter<void, std::unique_ptr<int>>(
            ctbb::filter_mode::serial_in_order,
            [&](ctbb::flow_control& control) {
              look();
              wrong += static_cast<int>(token.get(-1) != -1);  // Not the last token's.
              if (next == kTokens) {
                control.stop();
                return std::unique_ptr<int>();
              }
              token.set(next);
              thread_token = next;
              return std::make_unique<int>(next++);
            }),
        ctbb::make_filter<std::unique_ptr<int>, int>(
            ctbb::filter_mode::parallel,
            [&](std::unique_ptr<int> number) {
              all.take_part();
              look();
              wrong += static_cast<int>(token.get(-1) != *number);
              if (*number == 1) {
                second.open();
              } else if (*number == 0 && GetParam() > 1) {
                second.wait();  // The second waits for the first before the last filter, then.
              }
              square.set(*number * *number);
              return *number;
            }) &
            ctbb::make_filter<int, int>(ctbb::filter_mode::serial_out_of_order,
                                        [&](int number) {
                                          wrong += static_cast<int>(token.get(-1) != number);
                                          token.set(-number);
                                          return number;
                                        }),
        ctbb::make_filter<int, void>(ctbb::filter_mode::serial_in_order, [&](int number) {
          look();
          wrong += static_cast<int>(token.get(1) != -number);
          wrong += static_cast<int>(square.get(-1) != number * number);
          wrong += static_cast<int>(tokens++ != number);
          local_wrong += static_cast<int>(thread_token != number);
        }));
    EXPECT_EQ(token.find(), nullptr);
  });
  EXPECT_EQ(tokens, kTokens);
  EXPECT_EQ(all.count(), static_cast<std::size_t>(GetParam()));
  if (GetParam() > 1) {
    EXPECT_GT(local_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
}

// T7, F-F1: the context is that of the run, not of the filter's making.
TEST_P(Algorithms, AFilterMayBeMadeElsewhereAndRunByManyAtOnce) {
  std::atomic<int> served{0};
  const ctbb::filter source(ctbb::filter_mode::serial_in_order,
                            [](ctbb::flow_control& control) -> int {
                              static thread_local int calls = 0;
                              if (++calls % 8 == 0) {
                                control.stop();
                              }
                              return std::stoi(request_id.get("0"));
                            });
  static_assert(std::is_same_v<decltype(source), const ctbb::filter<void, int>>);
  const ctbb::filter sink(ctbb::filter_mode::parallel, [&](int number) {
    ++served;
    wrong += static_cast<int>(request_id.get("0") != std::to_string(number));
  });
  static_assert(std::is_same_v<decltype(sink), const ctbb::filter<int, void>>);
  ctbb::filter<void, void> chain;
  chain = source & sink;
  run([&] {
    ctbb::parallel_for(1, 50, [&](int id) {
      const Scope scope{request_id, std::to_string(id)};
      ctbb::task_group_context group;
      ctbb::parallel_pipeline(4, chain);
      ctbb::parallel_pipeline(4, chain, group);
      ctbb::parallel_pipeline(4, source, sink, group);
      wrong += static_cast<int>(request_id.get() != std::to_string(id));
    });
  });
  chain.clear();
  EXPECT_GT(served, 0);
}

// F-F1: an exception ends the pipeline; a context of the user's is cancelled with it, and cancels.
TEST_P(Algorithms, APipelinesGroupContextCancelsAndIsCancelled) {
  run([&] {
    std::atomic<int> values{0};
    const auto endless = [&](ctbb::task_group_context& group, auto at_tenth) {
      int next = 0;
      // One token at a time: where more wait for their turn, oneTBB may lose them when it cancels.
      ctbb::parallel_pipeline(1,
                              ctbb::make_filter<void, std::shared_ptr<std::atomic<int>>>(
                                  ctbb::filter_mode::serial_in_order,
                                  [&](ctbb::flow_control&) {
                                    ++values;
                                    ++next;
                                    return std::shared_ptr<std::atomic<int>>(
                                        &values, [](std::atomic<int>* count) {
                                          look();
                                          --*count;
                                        });
                                  }),
                              ctbb::make_filter<std::shared_ptr<std::atomic<int>>, void>(
                                  ctbb::filter_mode::serial_in_order,
                                  [&](const std::shared_ptr<std::atomic<int>>&) {
                                    if (next >= 10) {
                                      at_tenth();
                                    }
                                  }),
                              group);
    };
    ctbb::task_group_context throwing;
    EXPECT_THROW(endless(throwing, [] { throw std::runtime_error("from a filter"); }),
                 std::runtime_error);
    EXPECT_TRUE(throwing.is_group_execution_cancelled());
    ctbb::task_group_context cancelled;
    endless(cancelled, [&] { cancelled.cancel_group_execution(); });
    EXPECT_EQ(values, 0) << "what was on its way is destroyed";
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, Algorithms, testing::Values(1, 2, 4, 8));

}  // namespace
