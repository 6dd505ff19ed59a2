// SPDX-License-Identifier: Apache-2.0
//
// Cancellation where an allocation fails: a call throws std::bad_alloc and has changed nothing, or
// works without.

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "tests/fuse.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using taskctx::CancelCallback;
using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Shield;

void expect_nothing_is_cancelled() { EXPECT_FALSE(cancelled()); }

// F-H1
TEST(WithoutMemory, AScopeIsThereOrNot) {
  const long before = live_allocations();
  {
    const CancelScope around;
    int begun = 0;
    with_each_allocation_failing(
        [&begun] {
          const CancelScope scope{
              {.timeout = absl::Hours(1), .reason = "a reason that needs memory"}};
          const CancelScope inner;
          ++begun;
        },
        expect_nothing_is_cancelled);
    EXPECT_GE(begun, 1);
  }
  EXPECT_LE(live_allocations(), before + 4);  // What threads for deadlines need stays.
}

// F-H3: it is cancelled in any case; only the reason may get lost.
TEST(WithoutMemory, CancellingWorks) {
  for (int n = 0; n < 6; ++n) {
    CancelScope scope;
    const CancelScope inner;
    int calls = 0;
    const CancelCallback callback{[&calls] { ++calls; }};
    allocations.arm(n);
    EXPECT_TRUE(scope.cancel("a reason that is too long for the string itself"));
    const bool has_failed = allocations.disarm();
    EXPECT_TRUE(inner.is_cancelled());
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(taskctx::cancel_reason().code(), absl::StatusCode::kCancelled);
    if (!has_failed) {
      EXPECT_EQ(taskctx::cancel_reason().message(),
                "a reason that is too long for the string itself");
      return;
    }
  }
  FAIL() << "it needs no memory at all";
}

// F-H4: a shield is for clean-up, so it never throws.
TEST(WithoutMemory, AShieldShields) {
  taskctx::JobPool pool{{.concurrency = 1}};
  pool.submit([] {
        for (int n = 0; n < 4; ++n) {
          CancelScope scope;
          scope.cancel();
          allocations.arm(n);
          {
            const Shield shield;
            EXPECT_FALSE(cancelled());
          }
          (void)allocations.disarm();
          EXPECT_TRUE(cancelled());
        }
        EXPECT_FALSE(cancelled());
      })
      .get();
}

// F-H5, F-H1
TEST(WithoutMemory, CallbacksAndTokensAreThereOrNot) {
  taskctx::JobPool pool{{.concurrency = 1}};
  pool.submit([] {
        int calls = 0;
        with_each_allocation_failing(
            [&calls] {
              const CancelCallback callback{[&calls] { ++calls; }};
              const std::stop_token token = taskctx::stop_token();
              EXPECT_TRUE(token.stop_possible());
              const auto bound = taskctx::bind([] { return cancelled(); });
              EXPECT_FALSE(bound());
            },
            expect_nothing_is_cancelled);
        EXPECT_EQ(calls, 0);
      })
      .get();
}

// F-H6: a loop in a job needs memory to be cancelled with it; it runs whole or not at all.
TEST(WithoutMemory, LoopsAndGroupsRunWholeOrNotAtAll) {
  taskctx::JobPool pool{{.concurrency = 1}};
  pool.submit([] {
        with_each_allocation_failing(
            [] {
              int calls = 0;
              try {
                taskctx::tbb::parallel_for(
                    0, 10, [&calls](int) { ++calls; }, taskctx::tbb::simple_partitioner());
              } catch (const std::bad_alloc&) {
                EXPECT_LT(calls, 10);
                throw;
              }
              EXPECT_EQ(calls, 10);
            },
            expect_nothing_is_cancelled);
      })
      .get();
}

}  // namespace
}  // namespace taskctx_test
