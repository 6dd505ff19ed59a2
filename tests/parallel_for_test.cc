// SPDX-License-Identifier: Apache-2.0
//
// taskctx::tbb::parallel_for stands in for oneTBB's: every overload, its exceptions, and its ways
// of being called.

#include <gtest/gtest.h>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstddef>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/token.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> request_id("request_id");

// A global alias may have any name but tbb, which is oneTBB's own; in a namespace or a function it
// may be tbb.
namespace ctbb = taskctx::tbb;

namespace service {
namespace tbb = taskctx::tbb;
int count(int n) {
  std::atomic<int> calls{0};
  tbb::parallel_for(0, n, [&](int) { ++calls; });
  return calls;
}
}  // namespace service

// The names are imported into a namespace that has functors of its own: oneTBB's calls, whose
// internals look the name up in the functor's namespace, must still compile.
namespace importing {
using taskctx::tbb::parallel_for;
struct IndexFunctor {
  std::atomic<int>* calls;
  void operator()(int /*index*/) const { ++*calls; }
};
struct RangeFunctor {
  std::atomic<int>* calls;
  void operator()(const oneapi::tbb::blocked_range<int>& range) const {
    *calls += static_cast<int>(range.size());
  }
};
int count() {
  std::atomic<int> calls{0};
  const IndexFunctor f{&calls};
  const RangeFunctor r{&calls};
  const oneapi::tbb::blocked_range<int> range(0, 10);
  const oneapi::tbb::auto_partitioner partitioner;
  oneapi::tbb::parallel_for(0, 10, f);
  oneapi::tbb::parallel_for(0, 10, 1, f, partitioner);
  oneapi::tbb::parallel_for(range, r);
  oneapi::tbb::parallel_for(range, r, partitioner);
  parallel_for(0, 10, f);
  parallel_for(range, r, partitioner);
  return calls;
}
}  // namespace importing

// F-F1
TEST(ParallelForNames, TheNamespaceMayStandForOneTbbsEverywhere) {
  namespace tbb = taskctx::tbb;
  std::atomic<int> calls{0};
  tbb::parallel_for(0, 5, [&](int) { ++calls; });
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(service::count(7), 7);
  EXPECT_EQ(importing::count(), 60);
}

void plain_function(int /*index*/) {}

class ParallelFor : public testing::TestWithParam<int> {
 protected:
  // Counts calls in the right context.
  void see() { ++(request_id.get("none") == "r-1" ? right_ : wrong_); }

  template <typename F>
  void run(const F& function) {
    StealingArena arena(GetParam());
    arena->execute([&] {
      const Scope scope{request_id, "r-1"};
      function();
      EXPECT_EQ(request_id.get("none"), "r-1");
    });
    EXPECT_EQ(wrong_, 0);
  }

  std::atomic<int> right_{0};
  std::atomic<int> wrong_{0};
};

// F-F1, T2
TEST_P(ParallelFor, EveryIndexOverloadCallsTheFunctionOncePerIndexInTheCallersContext) {
  run([&] {
    const auto f = [this](int) { see(); };
    const ctbb::simple_partitioner simple;
    const ctbb::auto_partitioner automatic;
    const ctbb::static_partitioner fixed;
    ctbb::affinity_partitioner affinity;
    ctbb::task_group_context group;
    const auto expect = [this](int calls) {
      EXPECT_EQ(right_, calls);
      right_ = 0;
    };
    ctbb::parallel_for(0, 100, f), expect(100);
    ctbb::parallel_for(0, 100, f, simple), expect(100);
    ctbb::parallel_for(0, 100, f, automatic), expect(100);
    ctbb::parallel_for(0, 100, f, fixed), expect(100);
    ctbb::parallel_for(0, 100, f, affinity), expect(100);
    ctbb::parallel_for(0, 100, f, group), expect(100);
    ctbb::parallel_for(0, 100, f, simple, group), expect(100);
    ctbb::parallel_for(0, 100, f, automatic, group), expect(100);
    ctbb::parallel_for(0, 100, f, fixed, group), expect(100);
    ctbb::parallel_for(0, 100, f, affinity, group), expect(100);
    ctbb::parallel_for(0, 100, 3, f), expect(34);
    ctbb::parallel_for(0, 100, 3, f, simple), expect(34);
    ctbb::parallel_for(0, 100, 3, f, ctbb::auto_partitioner()), expect(34);
    ctbb::parallel_for(0, 100, 3, f, fixed), expect(34);
    ctbb::parallel_for(0, 100, 3, f, affinity), expect(34);
    ctbb::parallel_for(0, 100, 3, f, group), expect(34);
    ctbb::parallel_for(0, 100, 3, f, simple, group), expect(34);
    ctbb::parallel_for(0, 100, 3, f, automatic, group), expect(34);
    ctbb::parallel_for(0, 100, 3, f, fixed, group), expect(34);
    ctbb::parallel_for(0, 100, 3, f, affinity, group), expect(34);
    ctbb::parallel_for<std::size_t>(0, 10, [this](std::size_t) { see(); }), expect(10);
    ctbb::parallel_for(5, 5, f), expect(0);
    ctbb::parallel_for(5, 4, f), expect(0);
    ctbb::parallel_for(0, 3, plain_function);
    ctbb::parallel_for(0, 3, &plain_function);
  });
}

// F-F1, T2
TEST_P(ParallelFor, EveryRangeOverloadCoversTheRangeInTheCallersContext) {
  run([&] {
    std::atomic<std::size_t> covered{0};
    const auto body = [&](const ctbb::blocked_range<int>& range) {
      see();
      covered += range.size();
    };
    const ctbb::blocked_range<int> range(0, 1000, 7);
    const ctbb::simple_partitioner simple;
    const ctbb::auto_partitioner automatic;
    const ctbb::static_partitioner fixed;
    ctbb::affinity_partitioner affinity;
    ctbb::task_group_context group;
    ctbb::parallel_for(range, body);
    ctbb::parallel_for(range, body, simple);
    ctbb::parallel_for(range, body, automatic);
    ctbb::parallel_for(range, body, fixed);
    ctbb::parallel_for(range, body, affinity);
    ctbb::parallel_for(range, body, group);
    ctbb::parallel_for(range, body, simple, group);
    ctbb::parallel_for(range, body, automatic, group);
    ctbb::parallel_for(range, body, fixed, group);
    ctbb::parallel_for(range, body, affinity, group);
    EXPECT_EQ(covered, 10'000U);
    EXPECT_GT(right_, 0);
  });
}

// A body whose every part looks at the context. oneTBB copies it for each task, on any thread.
class WatchfulBody {
 public:
  explicit WatchfulBody(std::atomic<int>* wrong) : wrong_(wrong) { look(); }
  WatchfulBody(const WatchfulBody& other) : wrong_(other.wrong_) { look(); }
  WatchfulBody& operator=(const WatchfulBody&) = delete;
  ~WatchfulBody() { look(); }
  void operator()(const ctbb::blocked_range<int>& /*range*/) const { look(); }

 private:
  void look() const { *wrong_ += static_cast<int>(request_id.get("none") != "r-1"); }
  std::atomic<int>* wrong_;
};

// F-F1
TEST_P(ParallelFor, CopiesAndDestructorsOfTheBodyRunInTheContextToo) {
  run([&] {
    ctbb::parallel_for(ctbb::blocked_range<int>(0, 1000, 1), WatchfulBody(&wrong_),
                       ctbb::simple_partitioner());
  });
}

// F-C7
TEST_P(ParallelFor, AnExceptionOfTheBodyComesOutAndTheCallersContextIsBack) {
  run([&] {
    EXPECT_THROW(ctbb::parallel_for(0, 100,
                                    [](int i) {
                                      request_id.set("thrower");
                                      if (i == 50) {
                                        throw std::runtime_error("from a leaf");
                                      }
                                    }),
                 std::runtime_error);
    EXPECT_EQ(request_id.get(), "r-1");
  });
}

// F-F1
TEST_P(ParallelFor, AStepThatIsNotPositiveIsRefusedAsOneTbbDoesIt) {
  run([&] {
    EXPECT_THROW(ctbb::parallel_for(0, 10, 0, plain_function), std::invalid_argument);
    EXPECT_THROW(ctbb::parallel_for(0, 10, -1, plain_function), std::invalid_argument);
  });
}

// F-F1
TEST_P(ParallelFor, IndicesUpToTheGreatestOfTheirTypeWork) {
  run([&] {
    constexpr int kLast = std::numeric_limits<int>::max();
    std::atomic<int> calls{0};
    ctbb::parallel_for(kLast - 10, kLast, 3, [&](int i) {
      EXPECT_GE(i, kLast - 10);
      ++calls;
    });
    EXPECT_EQ(calls, 4);
    ctbb::parallel_for(short{0}, short{100}, short{9}, [&](short) { ++calls; });
    EXPECT_EQ(calls, 16);
  });
}

// P22: what leaves write ends with the leaf.
TEST_P(ParallelFor, ValuesThatLeavesSetEndWithTheLeaf) {
  run([&] {
    const ContextVar<Tracked> tracked("tracked");
    ctbb::parallel_for(0, 1000, [&](int i) { tracked.set(Tracked(i)); });
    EXPECT_EQ(Tracked::alive(), 0);
  });
}

// P11: each index is a context of its own, also on the same thread.
TEST(ParallelForOnOneThread, ATokenOfOneIndexIsRefusedInAnother) {
  StealingArena arena(1);
  arena->execute([&] {
    std::optional<taskctx::Token<std::string>> token;
    std::optional<taskctx::TokenError::Kind> refused;
    ctbb::parallel_for(
        0, 2,
        [&](int) {
          if (token.has_value()) {
            refused = request_id.check(*token);
          } else {
            token.emplace(request_id.set("mine"));
          }
        },
        ctbb::static_partitioner());
    EXPECT_EQ(refused, taskctx::TokenError::Kind::other_context);
  });
}

// F-F1: with nothing set anywhere it still works, and nothing is left behind.
TEST_P(ParallelFor, AnEmptyContextIsCarriedAsEmpty) {
  StealingArena arena(GetParam());
  arena->execute([&] {
    ctbb::parallel_for(0, 100, [&](int) { wrong_ += static_cast<int>(!copy_context().empty()); });
  });
  EXPECT_EQ(wrong_, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelFor, testing::Values(1, 2, 4, 8));

}  // namespace
