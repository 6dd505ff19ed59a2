// SPDX-License-Identifier: Apache-2.0
//
// The system's two clocks.

#include "lib/cancel/clocks.h"

#include <chrono>
#include <cstdint>

namespace taskctx {
inline namespace v1 {
namespace internal {

std::int64_t real_now() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constinit Clock monotonic_clock(&real_now);
constinit Clock wall_clock([]() noexcept -> std::int64_t {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
});

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
