// SPDX-License-Identifier: Apache-2.0
//
// Deadlines, and what their clocks show.

#include "taskctx/deadline.h"

#include <cstdint>
#include <limits>

#include "lib/cancel/clocks.h"

namespace taskctx {
inline namespace v1 {
namespace {

std::int64_t now(Deadline::Clock clock) noexcept {
  return (clock == Deadline::Clock::wall ? internal::wall_clock : internal::monotonic_clock).now();
}

}  // namespace

Deadline Deadline::after(Timeout timeout) noexcept {
  using Limits = std::numeric_limits<std::int64_t>;
  std::int64_t ns = timeout.nanoseconds();
  if (ns != kNever && __builtin_add_overflow(ns, now(Clock::monotonic), &ns)) {
    ns = timeout.nanoseconds() > 0 ? Limits::max() : Limits::min();
  }
  return {Clock::monotonic, ns};
}

bool Deadline::has_passed() const noexcept { return !is_never() && now(clock_) >= ns_; }

bool Deadline::is_before(Deadline other) const noexcept {
  if (clock_ == other.clock_ || is_never() || other.is_never()) {
    return ns_ < other.ns_;
  }
  return time_left() < other.time_left();
}

absl::Duration Deadline::time_left() const noexcept {
  return is_never() ? absl::InfiniteDuration()
                    : absl::Nanoseconds(ns_) - absl::Nanoseconds(now(clock_));
}

}  // namespace v1
}  // namespace taskctx
