// SPDX-License-Identifier: Apache-2.0
//
// Messages of eight requests pass each kind of node of a flow graph in turn, and each still has its
// own context; a thread_local has another one.

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "taskctx/context_var.h"
#include "tests/flow_graphs.h"
#include "tests/flow_kinds.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx_test;

using flow_kinds::Kind;

class FlowNodes : public testing::TestWithParam<std::tuple<int, Kind>> {};

// T6, F-F2: each message carries the context in which it was put through each kind of node, with
// each policy, and what a body writes goes on with what it sends, and nowhere else.
TEST_P(FlowNodes, KeepEachMessagesContext) {
  const auto& [threads, kind] = GetParam();
  StealingArena arena(threads);
  arena->execute([&kind = kind] {
    flow_kinds::Passage passage;
    kind.pass(passage);
    passage.arrivals.expect(flow_kinds::kOfEach);
    if (kind.is_later) {
      EXPECT_GT(passage.arrivals.wrong_for_thread(), 0) << "a thread_local would do";
    }
    EXPECT_EQ(flow_request.find(), nullptr);  // Nothing stays behind.
    EXPECT_EQ(flow_trail.find(), nullptr);
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, FlowNodes,
                         testing::Combine(testing::Values(1, 2, 4, 8),
                                          testing::ValuesIn(flow_kinds::kKinds)),
                         [](const auto& its) {
                           return std::string(std::get<1>(its.param).name) + "_on_" +
                                  std::to_string(std::get<0>(its.param));
                         });

}  // namespace
