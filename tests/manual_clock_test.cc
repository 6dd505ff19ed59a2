// SPDX-License-Identifier: Apache-2.0
//
// Time that passes only where a test says so: for all that takes one.

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/deadline.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/testing.h"
#include "tests/pools.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

template <typename Time>
Task<int> sleep_through(Time time) {
  co_await taskctx::sleep_for(time);
  co_return 1;
}
Task<int> sleep_to(Deadline time) {
  co_await taskctx::sleep_until(time);
  co_return 2;
}

// J79
TEST(ManualClockTest, DelaysAndSleepsEndWhenTheTestSaysSo) {
  const Watchdog watchdog("a manual clock");
  ManualClock clock;
  JobPool pool{{.concurrency = 2}};
  Job<int> delayed = pool.submit_after(absl::Hours(2), [] { return 3; });
  Job<int> at = pool.submit_at(clock.now() + absl::Hours(2), [] { return 4; });
  Job<int> sleeper = pool.spawn(sleep_through(std::chrono::hours(2)));
  Job<int> dreamer = pool.spawn(sleep_to(clock.steady_now() + std::chrono::hours(2)));
  pool.spawn(sleep_through(absl::ZeroDuration())).get();
  for (int i = 0; i < 119; ++i) {
    clock.advance(absl::Minutes(1));
  }
  EXPECT_EQ(pool.stats().waiting, 4U);
  clock.advance(absl::Minutes(1));
  EXPECT_EQ(pool.stats().waiting, 0U);  // Without a wait: advance() has seen to it.
  EXPECT_EQ(delayed.get() + at.get() + sleeper.get() + dreamer.get(), 1 + 2 + 3 + 4);
}

// J79
TEST(ManualClockTest, WaitsEndWhenTheTestSaysSo) {
  const Watchdog watchdog("a manual clock");
  ManualClock clock;
  JobPool pool{{.concurrency = 2}};
  Latch end;
  Job<void> job = pool.submit([&end] { end.wait(); });
  EXPECT_FALSE(job.wait_for(absl::ZeroDuration()));
  Latch begun;
  Job<bool> waiting = pool.submit([&] {
    begun.open();
    return job.wait_for(absl::Hours(5));
  });
  begun.wait();
  while (!waiting.ready()) {  // It may not have read the clock yet.
    clock.advance(absl::Hours(5));
    std::this_thread::yield();
  }
  EXPECT_FALSE(waiting.get());
  end.open();
  EXPECT_TRUE(job.wait_for(absl::Hours(1)));
  EXPECT_TRUE(pool.drain(absl::Hours(1)));
}

// J79
TEST(ManualClockTest, TheTimeOfDayCanBeSetBackAndForth) {
  const Watchdog watchdog("a manual clock");
  ManualClock clock;
  JobPool pool{{.concurrency = 1}};
  const absl::Time noon = absl::FromUnixSeconds(1'000'000'000);
  clock.set(noon);
  EXPECT_EQ(clock.now(), noon);
  Job<void> daily = pool.submit_at(noon + absl::Hours(1), [] {});
  Job<void> timed = pool.submit_after(absl::Hours(1), [] {});
  clock.set(noon - absl::Hours(24));
  clock.advance(absl::Hours(1));
  timed.get();
  EXPECT_FALSE(Deadline(noon).has_passed());
  EXPECT_EQ(pool.stats().waiting, 1U);
  clock.set(noon + absl::Hours(1));
  EXPECT_EQ(pool.stats().waiting, 0U);
  daily.get();
}

// J79
TEST(ManualClockTest, ScopesAreCancelledWhenTheTestSaysSo) {
  const Watchdog watchdog("a manual clock");
  ManualClock clock;
  const CancelScope outer{{.deadline = Deadline(clock.now() + absl::Hours(2))}};
  const CancelScope inner{{.timeout = absl::Hours(1)}};
  EXPECT_EQ(taskctx::remaining(), absl::Hours(1));
  EXPECT_EQ(taskctx::deadline(), clock.now() + absl::Hours(1));
  clock.advance(absl::Hours(1) - absl::Nanoseconds(1));
  EXPECT_FALSE(inner.is_cancelled());
  clock.advance(absl::Nanoseconds(1));
  EXPECT_TRUE(inner.is_cancelled());
  EXPECT_FALSE(outer.is_cancelled());
  clock.advance(absl::Hours(1));
  EXPECT_TRUE(outer.is_cancelled());
}

// J79
TEST(ManualClockTest, IsOneAtATimeAndTimeGoesOnByItselfAfterIt) {
  const Watchdog watchdog("the end of a manual clock");
  JobPool pool{{.concurrency = 1}};
  {
    ManualClock clock;
    EXPECT_THROW(ManualClock{}, std::logic_error);
    EXPECT_THROW(clock.advance(absl::Nanoseconds(-1)), std::invalid_argument);
    clock.advance(absl::InfiniteDuration());
    EXPECT_FALSE(Deadline().has_passed());
    EXPECT_TRUE(Deadline(absl::Now() + absl::Hours(1)).has_passed());
  }
  EXPECT_FALSE(Deadline(absl::Now() + absl::Hours(1)).has_passed());
  pool.submit_after(absl::Milliseconds(1), [] {}).get();
  const ManualClock another;
}

}  // namespace
