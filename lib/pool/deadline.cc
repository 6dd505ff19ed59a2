// SPDX-License-Identifier: Apache-2.0

#include "taskctx/deadline.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>

#include "taskctx/internal/pool/parking.h"

namespace taskctx {
inline namespace v1 {
namespace {

// How long nobody looks at the clock on the wall. It may be set at any time, and whether the kernel
// ends our waiting then depends on how it was set, and on who set it: a program may have a clock of
// its own (libfaketime).
constexpr std::uint64_t kLook = 250'000'000;  // ns

template <typename Clock>
std::int64_t since_beginning() noexcept {
  return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
}

std::int64_t now(Deadline::Clock clock) noexcept {
  return clock == Deadline::Clock::wall ? since_beginning<std::chrono::system_clock>()
                                        : since_beginning<std::chrono::steady_clock>();
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

namespace internal {

Deadline next_look(Deadline deadline) noexcept {
  if (deadline.clock() == Deadline::Clock::monotonic || deadline.is_never()) {
    return deadline;
  }
  const std::int64_t here = now(Deadline::Clock::wall);
  if (here >= deadline.nanoseconds()) {
    return Deadline::after(absl::ZeroDuration());
  }
  const std::uint64_t left = static_cast<std::uint64_t>(deadline.nanoseconds()) -
                             static_cast<std::uint64_t>(here);  // Signed, it may not fit.
  return Deadline::after(std::chrono::nanoseconds(std::min(left, kLook)));
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
  (void)changed.wait_until(lock, std::chrono::steady_clock::time_point(
                                     std::chrono::nanoseconds(next_look(deadline).nanoseconds())));
  return !deadline.has_passed();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
