// SPDX-License-Identifier: Apache-2.0
//
// A job that submits the next one, which submits the next one, and so on: below a scope, below
// none, and with loops and scopes of its own. However long it goes on, nothing grows: neither
// memory, nor what a question or a cancel() costs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>

#include "taskctx/cancel.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_for.h"
#include "tests/fuse.h"
#include "tests/pools.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::CancelScope;

// What each job does before it posts the next one.
enum class Way { nothing, loop, nested_scope, scope_around_post, callback };

constexpr int kBegun = 1'000;  // By then all threads have what they keep.
constexpr int kJobs = 100'000;

class Chain {
 public:
  Chain(taskctx::JobPool& pool, Way way) : pool_(pool), way_(way) {}

  void run() {
    pool_.post([this] { go_on(0); });
    ended_.wait();
    pool_.drain();
  }

  // How many allocations more there were at the end than after the first thousand jobs.
  [[nodiscard]] long growth() const { return last_ - first_; }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] bool was_cancelled() const { return was_cancelled_; }

 private:
  void go_on(int i) {
    count_ = i;
    was_cancelled_ = was_cancelled_ || cancelled();
    if (i == kBegun) {
      first_ = live_allocations();
    } else if (i == kJobs) {
      last_ = live_allocations();
      ended_.open();
      return;
    }
    switch (way_) {
      case Way::loop:
        taskctx::tbb::parallel_for(0, 4, [](int /*index*/) {});
        break;
      case Way::nested_scope: {
        const CancelScope scope;
        pool_.submit([] {}).get();
        break;
      }
      case Way::callback: {
        const taskctx::CancelCallback callback{[] {}};
        break;
      }
      case Way::nothing:
      case Way::scope_around_post:
        break;
    }
    std::optional<CancelScope> around;
    if (way_ == Way::scope_around_post) {
      around.emplace();
    }
    pool_.post([this, i] { go_on(i + 1); });
  }

  taskctx::JobPool& pool_;
  const Way way_;
  Latch ended_;
  std::atomic<int> count_{0};
  std::atomic<bool> was_cancelled_{false};
  std::atomic<long> first_{0};
  std::atomic<long> last_{0};
};

class CancelChain : public testing::TestWithParam<Way> {
 protected:
  const Watchdog watchdog{"a chain of jobs"};
  taskctx::JobPool pool{{.concurrency = 2}};
};

// Some jobs may still be about to go, and oneTBB may have made a few tasks more.
constexpr long kFew = 100;

// F-H1
TEST_P(CancelChain, BelowNoScopeKeepsNothing) {
  Chain chain(pool, GetParam());
  chain.run();
  EXPECT_EQ(chain.count(), kJobs);
  EXPECT_THAT(chain.growth(), testing::Le(kFew));
}

// F-H1
TEST_P(CancelChain, BelowAScopeKeepsNothing) {
  CancelScope scope;
  Chain chain(pool, GetParam());
  chain.run();
  EXPECT_EQ(chain.count(), kJobs);
  EXPECT_THAT(chain.growth(), testing::Le(kFew));
}

// F-H2
TEST_P(CancelChain, BelowADeadlineKeepsNothing) {
  CancelScope scope{{.timeout = absl::Hours(1)}};
  Chain chain(pool, GetParam());
  chain.run();
  EXPECT_EQ(chain.count(), kJobs);
  EXPECT_THAT(chain.growth(), testing::Le(kFew));
}

std::string name_of(const testing::TestParamInfo<Way>& info) {
  switch (info.param) {
    case Way::nothing:
      return "nothing";
    case Way::loop:
      return "loop";
    case Way::nested_scope:
      return "nested_scope";
    case Way::scope_around_post:
      return "scope_around_post";
    case Way::callback:
      return "callback";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Ways, CancelChain,
                         testing::Values(Way::nothing, Way::loop, Way::nested_scope,
                                         Way::scope_around_post, Way::callback),
                         &name_of);

// Posts itself until it is told to stop.
void post_until_cancelled(taskctx::JobPool& pool, std::atomic<int>& count) {
  ++count;
  pool.post([&pool, &count] { post_until_cancelled(pool, count); });
}

// F-H1: the scope ends the chain, however many jobs lie between.
TEST(CancelChainTest, EndsWithItsScope) {
  const Watchdog watchdog{"a cancelled chain of jobs"};
  taskctx::JobPool pool{{.concurrency = 2}};
  std::atomic<int> count{0};
  {
    CancelScope scope;
    pool.post([&] { post_until_cancelled(pool, count); });
    while (count < kJobs) {
    }
    (void)scope.cancel();
  }
  pool.drain();
  const int at_the_end = count;
  pool.submit([] {}).get();
  EXPECT_EQ(count, at_the_end);
}

}  // namespace
}  // namespace taskctx_test
