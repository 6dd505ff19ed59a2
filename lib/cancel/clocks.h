// SPDX-License-Identifier: Apache-2.0
//
// The clocks that deadlines and the timer run by, in nanoseconds since each one's beginning. A test
// can have them show what it likes (ManualClock in testing.h).

#ifndef TASKCTX_LIB_CANCEL_CLOCKS_H_
#define TASKCTX_LIB_CANCEL_CLOCKS_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class Clock {
 public:
  using Read = std::int64_t (*)() noexcept;
  explicit constexpr Clock(Read read) noexcept : read_(read) {}

  // Costs a relaxed load more than the system's clock does. Nothing hangs on the order of loads:
  // who sets a clock then takes the timer's lock.
  [[nodiscard]] std::int64_t now() const noexcept {
    const std::int64_t shown = shown_.load(std::memory_order_relaxed);
    return shown == kRuns ? read_() : shown;
  }
  [[nodiscard]] bool runs() const noexcept {
    return shown_.load(std::memory_order_relaxed) == kRuns;
  }
  // Stops it, so that it shows `ns`, or the last moment before "never".
  void show(std::int64_t ns) noexcept {
    shown_.store(ns == kRuns ? kRuns - 1 : ns, std::memory_order_relaxed);
  }
  void run() noexcept { shown_.store(kRuns, std::memory_order_relaxed); }

 private:
  static constexpr std::int64_t kRuns = std::numeric_limits<std::int64_t>::max();

  const Read read_;
  std::atomic<std::int64_t> shown_{kRuns};
};

extern Clock monotonic_clock;
extern Clock wall_clock;

// Returns what the system's monotonic clock shows, whatever a test does.
std::int64_t real_now() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CANCEL_CLOCKS_H_
