// SPDX-License-Identifier: Apache-2.0
//
// Deadline, Timeout: until when, or how long, something may wait, by Abseil's types or the standard
// library's. You need not name them: times and durations convert to them where they are passed.
//
//   job.wait_for(absl::Milliseconds(100));       job.wait_for(std::chrono::milliseconds(100));
//   pool.submit_at(next_midnight, rotate_logs);  // absl::Time, or a time point of system_clock
//   pool.drain(std::chrono::steady_clock::now() + std::chrono::seconds(5));
//
// A duration, and a time point of std::chrono::steady_clock, run on the monotonic clock, however
// the time of day changes. A time of day (absl::Time, std::chrono::system_clock) follows the wall
// clock, also when that is set: a thread that waits for it notices within a quarter of a second. A
// test can stop both clocks, and move them (ManualClock in testing.h).
//
// All values are valid: one that is too large or infinite never comes, a negative one has passed. A
// time between two nanoseconds is rounded up. Both are plain values that can be copied.

#ifndef TASKCTX_DEADLINE_H_
#define TASKCTX_DEADLINE_H_

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/time/clock.h"  // IWYU pragma: export, for absl::Now()
#include "absl/time/time.h"   // IWYU pragma: export
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// A time-out: an absl::Duration, or any std::chrono::duration; NaN counts as 0.
class Timeout {
 public:
  // The conversions are implicit, so that either can be given.
  Timeout(absl::Duration timeout) noexcept  // NOLINT(google-explicit-constructor)
      : ns_(absl::ToInt64Nanoseconds(absl::Ceil(timeout, absl::Nanoseconds(1)))) {}
  template <typename Rep, typename Period>
  Timeout(std::chrono::duration<Rep, Period> timeout) noexcept  // NOLINT
      : ns_(saturated(std::chrono::duration<long double, std::nano>(timeout).count())) {}

  // Makes the one that lasts forever.
  [[nodiscard]] static constexpr Timeout never() noexcept { return {}; }

  // Returns the nearest number of nanoseconds; the largest one stands for forever.
  [[nodiscard]] std::int64_t nanoseconds() const noexcept { return ns_; }

 private:
  constexpr Timeout() noexcept : ns_(std::numeric_limits<std::int64_t>::max()) {}

  // A long double has all values of an int64_t, and the largest is rounded to itself or above.
  static std::int64_t saturated(long double ns) noexcept {
    using Limits = std::numeric_limits<std::int64_t>;
    if (ns >= static_cast<long double>(Limits::max())) {
      return Limits::max();
    }
    return ns > static_cast<long double>(Limits::min()) ? static_cast<std::int64_t>(std::ceil(ns))
           : ns < 0                                     ? Limits::min()
                                                        : 0;
  }

  std::int64_t ns_;
};

// A deadline: an absl::Time, or a time point of std::chrono's system_clock or steady_clock.
class Deadline {
 public:
  enum class Clock : std::uint8_t { monotonic, wall };

  // Makes one that never comes.
  constexpr Deadline() noexcept = default;
  // The conversions are implicit, so that either can be given.
  Deadline(absl::Time time) noexcept  // NOLINT(google-explicit-constructor)
      : Deadline(Clock::wall, Timeout(time - absl::UnixEpoch()).nanoseconds()) {}
  template <typename D>
  Deadline(std::chrono::time_point<std::chrono::system_clock, D> time) noexcept  // NOLINT
      : Deadline(Clock::wall, Timeout(time.time_since_epoch()).nanoseconds()) {}
  template <typename D>
  Deadline(std::chrono::time_point<std::chrono::steady_clock, D> time) noexcept  // NOLINT
      : Deadline(Clock::monotonic, Timeout(time.time_since_epoch()).nanoseconds()) {}

  // Makes one that comes when `timeout` has passed from now on.
  //
  //   const auto deadline = taskctx::Deadline::after(absl::Seconds(5));
  [[nodiscard]] static Deadline after(Timeout timeout) noexcept;

  // Tells whether it never comes.
  [[nodiscard]] constexpr bool is_never() const noexcept { return ns_ == kNever; }
  // Tells whether it comes before the other one, as things are now. If they run on different
  // clocks, that costs a look at both.
  [[nodiscard]] bool is_before(Deadline other) const noexcept;
  friend constexpr bool operator==(Deadline, Deadline) noexcept = default;

  // Tells whether it has come. Costs a look at the clock.
  //
  //   while (!deadline.has_passed()) search_a_little();
  [[nodiscard]] bool has_passed() const noexcept;

  // Returns how long it is from now on until it comes: less than zero if it has come, infinite if
  // it never comes. Costs a look at the clock.
  [[nodiscard]] absl::Duration time_left() const noexcept;

  // Returns the clock that it runs on, and the number of nanoseconds since that clock's beginning.
  [[nodiscard]] constexpr Clock clock() const noexcept { return clock_; }
  [[nodiscard]] constexpr std::int64_t nanoseconds() const noexcept { return ns_; }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  constexpr Deadline(Clock clock, std::int64_t ns) noexcept : ns_(ns), clock_(clock) {}

  std::int64_t ns_ = kNever;
  Clock clock_ = Clock::monotonic;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_DEADLINE_H_
