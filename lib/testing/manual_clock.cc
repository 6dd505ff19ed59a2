// SPDX-License-Identifier: Apache-2.0
//
// ManualClock: it sets the clocks of the floor below, and has the timer look at them.

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "absl/time/time.h"
#include "lib/cancel/clocks.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/testing.h"

namespace taskctx {
inline namespace v1 {
namespace {

void move(internal::Clock& clock, std::int64_t ns) noexcept {
  std::int64_t later = 0;
  clock.show(__builtin_add_overflow(clock.now(), ns, &later)
                 ? std::numeric_limits<std::int64_t>::max()
                 : later);
}

}  // namespace

ManualClock::ManualClock() {
  if (!internal::monotonic_clock.runs()) {
    throw std::logic_error("cannot stop the clocks: there is a ManualClock already");
  }
  internal::wall_clock.show(internal::wall_clock.now());
  internal::monotonic_clock.show(internal::monotonic_clock.now());
  internal::Timer::get().catch_up();
}

ManualClock::~ManualClock() {
  internal::wall_clock.run();
  internal::monotonic_clock.run();
  internal::Timer::get().catch_up();
}

void ManualClock::advance(absl::Duration time) {
  if (time < absl::ZeroDuration()) {
    throw std::invalid_argument("cannot advance clock: the time is negative");
  }
  const std::int64_t ns = Timeout(time).nanoseconds();
  move(internal::wall_clock, ns);
  move(internal::monotonic_clock, ns);
  internal::Timer::get().catch_up();
}

void ManualClock::set(absl::Time time_of_day) {
  internal::wall_clock.show(Deadline(time_of_day).nanoseconds());
  internal::Timer::get().catch_up();
}

absl::Time ManualClock::now() const noexcept {
  return absl::FromUnixNanos(internal::wall_clock.now());
}

std::chrono::steady_clock::time_point ManualClock::steady_now() const noexcept {
  return std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(internal::monotonic_clock.now()));
}

}  // namespace v1
}  // namespace taskctx
