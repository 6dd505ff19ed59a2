// SPDX-License-Identifier: Apache-2.0
//
// Waiting until a Deadline: in pieces, if its clock may be set.

#include "lib/cancel/timed_wait.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>

#include "lib/cancel/clocks.h"
#include "taskctx/deadline.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The longest time between two looks at the clock on the wall. It may be set at any time, and
// whether the kernel ends our waiting then depends on how it was set, and by what: a program
// may have a clock of its own (libfaketime).
constexpr std::uint64_t kLook = 250'000'000;  // ns
// Likewise at a clock that a test has stopped, and will set.
constexpr std::int64_t kLookAtStopped = 1'000'000;  // ns

}  // namespace

std::int64_t next_look(Deadline::Clock clock, std::int64_t ns) noexcept {
  if (ns == std::numeric_limits<std::int64_t>::max()) {
    return ns;
  }
  if (!monotonic_clock.runs()) {
    return real_now() + kLookAtStopped;
  }
  if (clock == Deadline::Clock::monotonic) {
    return ns;
  }
  const std::int64_t here = wall_clock.now();
  if (here >= ns) {
    return real_now();
  }
  const std::uint64_t left =
      static_cast<std::uint64_t>(ns) - static_cast<std::uint64_t>(here);  // Signed, it may not fit.
  return real_now() + static_cast<std::int64_t>(std::min(left, kLook));
}

void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                std::int64_t time) {
  if (time == std::numeric_limits<std::int64_t>::max()) {
    changed.wait(lock);
    return;
  }
  (void)changed.wait_until(lock,
                           std::chrono::steady_clock::time_point(std::chrono::nanoseconds(time)));
}

bool wait_on(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
             Deadline deadline) {
  if (deadline.is_never()) {
    changed.wait(lock);
    return true;
  }
  if (deadline.has_passed()) {
    return false;
  }
  wait_until(changed, lock, next_look(deadline.clock(), deadline.nanoseconds()));
  return !deadline.has_passed();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
