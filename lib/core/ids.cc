// SPDX-License-Identifier: Apache-2.0
//
// The ids of a process. Threads take them in blocks, so that drawing one is a few instructions and
// shares nothing.

#include "taskctx/internal/core/ids.h"

#include <atomic>
#include <cstdint>

#include "taskctx/internal/core/copies.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

constexpr std::uint64_t kIdBlock = 1 << 16;
constinit thread_local std::uint64_t next_id = 0;
constinit thread_local std::uint64_t last_id = 0;

}  // namespace

std::uint64_t draw_id() noexcept {
  if (next_id == last_id) {
    // Relaxed: the number itself is all that matters.
    next_id = process_wide().next_id_block.fetch_add(kIdBlock, std::memory_order_relaxed);
    last_id = next_id + kIdBlock;
  }
  return next_id++;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
