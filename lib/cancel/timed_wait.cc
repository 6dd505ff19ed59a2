// SPDX-License-Identifier: Apache-2.0
//
// Waiting until a Deadline: in pieces, if it is a time of day.

#include "lib/cancel/timed_wait.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "taskctx/deadline.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The longest time between two looks at the clock on the wall. It may be set at any time, and
// whether the kernel ends our waiting then depends on how it was set, and by what: a program
// may have a clock of its own (libfaketime).
constexpr std::uint64_t kLook = 250'000'000;  // ns

}  // namespace

Deadline next_look(Deadline deadline) noexcept {
  if (deadline.clock() == Deadline::Clock::monotonic || deadline.is_never()) {
    return deadline;
  }
  const std::int64_t here =
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
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
