// SPDX-License-Identifier: Apache-2.0
//
// Which clock a wait runs by. This program has a clock on the wall of its own, which tests set, or
// let run wild.

#include "taskctx/deadline.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): clock_gettime
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

std::atomic<std::int64_t> wall_offset{0};        // Seconds.
std::atomic<std::int64_t> step_of_each_read{0};  // What the clock jumps by when it is read.

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {  // NOLINT: libc's
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_REALTIME) {
    time->tv_sec += wall_offset.fetch_add(step_of_each_read) + step_of_each_read;
  }
  return result;
}

namespace {

using namespace taskctx;
using namespace taskctx_test;

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

// Has the clock on the wall jump by so much whenever somebody reads it.
class WildClock {
 public:
  explicit WildClock(std::chrono::hours step) {
    step_of_each_read = std::chrono::seconds(step).count();
  }
  WildClock(const WildClock&) = delete;
  WildClock& operator=(const WildClock&) = delete;
  ~WildClock() {
    step_of_each_read = 0;
    wall_offset = 0;
  }
};

void set_forward(std::chrono::hours hours) { wall_offset += std::chrono::seconds(hours).count(); }

template <typename Time>
Task<> go_on_after(Time time) {
  co_await taskctx::sleep_for(time);
}
template <typename Time>
Task<> go_on_at(Time time) {
  co_await taskctx::sleep_until(time);
}

// A job that runs until it is let go.
class LongJob {
 public:
  explicit LongJob(JobPool& pool)
      : job_(pool.submit([this] {
          begun_.open();
          end_.wait();
        })) {
    begun_.wait();
  }
  LongJob(const LongJob&) = delete;
  LongJob& operator=(const LongJob&) = delete;
  ~LongJob() {
    end_.open();
    if (job_.valid()) {
      job_.wait();
    }
  }
  Job<void>& operator*() { return job_; }
  Job<void>* operator->() { return &job_; }

 private:
  Latch begun_;
  Latch end_;
  Job<void> job_;
};

// J70: with a clock that is set back all the time.
TEST(Durations, PassWhateverTheClockOnTheWallDoes) {
  const Watchdog watchdog("what waits for a duration");
  const WildClock backwards(-1h);
  JobPool pool{{.concurrency = 2}};
  pool.submit_after(absl::Milliseconds(20), [] {}).get();
  pool.submit_after(20ms, [] {}).get();
  pool.submit_after({.name = "later"}, 20ms, [] {}).get();
  pool.submit_at(steady_clock::now() + 20ms, [] {}).get();
  pool.spawn(go_on_after(absl::Milliseconds(20))).get();
  pool.spawn(go_on_after(20ms)).get();
  pool.spawn(go_on_at(steady_clock::now() + 20ms)).get();

  LongJob running(pool);
  EXPECT_FALSE(running->wait_for(absl::Milliseconds(20)));
  EXPECT_FALSE(running->wait_for(20ms));
  EXPECT_FALSE(running->wait_until(steady_clock::now() + 20ms));
  EXPECT_FALSE(pool.drain(absl::Milliseconds(20)));
  EXPECT_FALSE(pool.drain(20ms));
  EXPECT_FALSE(pool.drain(steady_clock::now() + 20ms));
}

// J70
TEST(Durations, OfAJobThatHelpsPassAsWell) {
  const Watchdog watchdog("a job that waits for a duration");
  const WildClock backwards(-1h);
  JobPool pool{{.concurrency = 2}};
  LongJob running(pool);
  Job<void> after_it = std::move(*running).then([] {});
  EXPECT_FALSE(pool.submit([&] { return after_it.wait_for(20ms); }).get());
}

// J70
TEST(Durations, EndAShutdown) {
  const Watchdog watchdog("shutdown for a duration");
  const WildClock backwards(-1h);
  JobPool pool{{.concurrency = 1}};
  LongJob running(pool);
  EXPECT_EQ(pool.shutdown(20ms).size(), 1U);
  EXPECT_EQ(pool.shutdown(absl::Milliseconds(20)).size(), 1U);
}

// J70, J71: of two jobs that are due in an hour, one on each clock.
TEST(Durations, DontPassWhenTheClockIsSetForward) {
  const Watchdog watchdog("what is due when the clock is set forward");
  const WildClock forwards(1h);
  JobPool pool{{.concurrency = 2}};
  Job<void> after = pool.submit_after(1h, [] {});
  Job<void> sleeping = pool.spawn(go_on_after(absl::Hours(1)));
  pool.submit_at(system_clock::now() + 10h, [] {}).get();
  EXPECT_FALSE(after.ready());
  EXPECT_FALSE(sleeping.ready());
  EXPECT_TRUE(after.cancel());
  sleeping.cancel();
}

// J71
TEST(TimesOfDay, ComeWhenTheClockIsSetForward) {
  const Watchdog watchdog("what waits for a time of day");
  JobPool pool{{.concurrency = 2}};
  LongJob running(pool);
  const auto in_an_hour = system_clock::now() + 1h;
  std::vector<Job<void>> jobs;
  jobs.push_back(pool.submit_at(in_an_hour, [] {}));
  jobs.push_back(pool.submit_at(absl::FromChrono(in_an_hour), [] {}));
  jobs.push_back(pool.spawn(go_on_at(in_an_hour)));
  jobs.push_back(pool.spawn(go_on_at(absl::FromChrono(in_an_hour))));
  pool.submit_after(20ms, [] {}).get();
  for (const Job<void>& job : jobs) {
    EXPECT_FALSE(job.ready());
  }
  std::atomic<int> waiting{3};
  std::vector<std::thread> threads;
  const auto wait = [&](const std::function<bool()>& function) {
    threads.emplace_back([&, function] {
      --waiting;
      EXPECT_FALSE(function());
    });
  };
  wait([&] { return running->wait_until(in_an_hour); });
  wait([&] { return running->wait_until(absl::FromChrono(in_an_hour)); });
  wait([&] { return pool.drain(absl::FromChrono(in_an_hour)); });
  while (waiting != 0) {
    std::this_thread::yield();
  }
  set_forward(2h);
  for (Job<void>& job : jobs) {
    job.get();
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  wall_offset = 0;
}

// J71
TEST(TimesOfDay, ComeLaterWhenTheClockIsSetBack) {
  const Watchdog watchdog("what waits for a time of day");
  JobPool pool{{.concurrency = 1}};
  set_forward(1h);
  Job<void> job = pool.submit_at(system_clock::now() + 50ms, [] {});
  set_forward(-1h);
  pool.submit_after(200ms, [] {}).get();
  EXPECT_FALSE(job.ready());
  set_forward(1h);
  job.get();
  wall_offset = 0;
}

// J72
TEST(DeadlineTest, IsNeverWhereATimeIsInfiniteOrTooLarge) {
  using Limits = std::numeric_limits<std::int64_t>;
  EXPECT_TRUE(Deadline().is_never());
  EXPECT_TRUE(Deadline(absl::InfiniteFuture()).is_never());
  EXPECT_TRUE(Deadline(system_clock::time_point::max()).is_never());
  EXPECT_TRUE(Deadline(steady_clock::time_point::max()).is_never());
  EXPECT_TRUE(Deadline::after(absl::InfiniteDuration()).is_never());
  EXPECT_TRUE(Deadline::after(std::chrono::hours::max()).is_never());
  EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds::max()).is_never());
  EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds(Limits::max() - 1)).is_never());
  EXPECT_TRUE(
      Deadline::after(std::chrono::duration<double>(std::numeric_limits<double>::infinity()))
          .is_never());
  EXPECT_FALSE(Deadline().has_passed());
  EXPECT_FALSE(Deadline::after(absl::Hours(1)).is_never());
}

// J72
TEST(DeadlineTest, HasPassedWhereATimeIsNegative) {
  EXPECT_TRUE(Deadline(absl::InfinitePast()).has_passed());
  EXPECT_TRUE(Deadline(system_clock::time_point::min()).has_passed());
  EXPECT_TRUE(Deadline(steady_clock::time_point::min()).has_passed());
  EXPECT_TRUE(Deadline::after(-absl::InfiniteDuration()).has_passed());
  EXPECT_TRUE(Deadline::after(std::chrono::hours::min()).has_passed());
  EXPECT_TRUE(Deadline::after(0s).has_passed());
  EXPECT_TRUE(Deadline::after(std::chrono::duration<double>(std::nan(""))).has_passed());
}

// J72
TEST(DeadlineTest, KeepsTheClockAndTheTimeThatItWasGiven) {
  EXPECT_EQ(Deadline(steady_clock::time_point(5ns)).clock(), Deadline::Clock::monotonic);
  EXPECT_EQ(Deadline(steady_clock::time_point(5ns)).nanoseconds(), 5);
  EXPECT_EQ(Deadline(system_clock::time_point(5us)).clock(), Deadline::Clock::wall);
  EXPECT_EQ(Deadline(system_clock::time_point(5us)).nanoseconds(), 5'000);
  EXPECT_EQ(Deadline(absl::FromUnixSeconds(-5)).nanoseconds(), -5'000'000'000);
  EXPECT_EQ(Deadline(absl::FromUnixNanos(1)).clock(), Deadline::Clock::wall);
  EXPECT_EQ(Deadline(std::chrono::time_point_cast<std::chrono::hours>(system_clock::time_point(2h)))
                .nanoseconds(),
            7'200'000'000'000);
}

// J72: so nothing is early.
TEST(DeadlineTest, IsRoundedUp) {
  EXPECT_EQ(Timeout(absl::Nanoseconds(1) / 4).nanoseconds(), 1);
  EXPECT_EQ(Timeout(std::chrono::duration<int, std::pico>(1'001)).nanoseconds(), 2);
  EXPECT_EQ(Timeout(std::chrono::duration<double, std::nano>(-1.5)).nanoseconds(), -1);
  EXPECT_EQ(
      Timeout(std::chrono::nanoseconds(std::numeric_limits<std::int64_t>::max() - 1)).nanoseconds(),
      std::numeric_limits<std::int64_t>::max() - 1);
}

// J72
TEST(DeadlineTest, ThatIsExtremeIsTakenEverywhere) {
  const Watchdog watchdog("an extreme time");
  JobPool pool{{.concurrency = 2}};
  pool.submit_after(-absl::InfiniteDuration(), [] {}).get();
  pool.submit_at(absl::InfinitePast(), [] {}).get();
  pool.submit_at(system_clock::time_point::min(), [] {}).get();
  pool.spawn(go_on_after(std::chrono::hours::min())).get();
  std::vector<Job<void>> never;
  never.push_back(pool.submit_after(std::chrono::hours::max(), [] {}));
  never.push_back(pool.submit_after(absl::InfiniteDuration(), [] {}));
  never.push_back(pool.submit_at(absl::InfiniteFuture(), [] {}));
  never.push_back(pool.submit_at(steady_clock::time_point::max(), [] {}));
  never.push_back(pool.spawn(go_on_at(system_clock::time_point::max())));
  pool.submit_after(20ms, [] {}).get();
  for (Job<void>& job : never) {
    EXPECT_FALSE(job.wait_for(-1ms));
    EXPECT_FALSE(job.wait_until(absl::InfinitePast()));
    job.cancel();
  }
  EXPECT_TRUE(pool.drain(std::chrono::hours::max()));
  EXPECT_TRUE(pool.submit([] {}).wait_for(absl::InfiniteDuration()));
}

}  // namespace
