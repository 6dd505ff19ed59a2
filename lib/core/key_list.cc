// SPDX-License-Identifier: Apache-2.0
//
// The lists of the variables that need work at each capture, switch or join. Only the slot registry
// writes in them, with its lock.

#include "taskctx/internal/core/key_list.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit KeyList propagated_keys;
constinit KeyList watched_keys;
constinit KeyList merged_keys;
constinit std::atomic<std::uint32_t> switch_watchers{0};

std::atomic<std::uint64_t>* KeyList::find(std::uint64_t key) noexcept {
  for (Chunk* chunk = &first_; chunk != nullptr;
       chunk = chunk->next.load(std::memory_order_relaxed)) {
    const auto is_it = [key](const auto& entry) {
      return entry.load(std::memory_order_relaxed) == key;
    };
    if (auto* entry = std::find_if(chunk->keys.begin(), chunk->keys.end(), is_it);
        entry != chunk->keys.end()) {
      return entry;
    }
  }
  return nullptr;
}

void KeyList::add(std::uint64_t key, std::unique_ptr<Chunk>& more,
                  const SlotLock& /*held*/) noexcept {
  std::atomic<std::uint64_t>* entry = find(0);
  if (entry == nullptr) {
    Chunk* const chunk = more.release();
    chunk->next.store(first_.next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    // Publishes the chunk: pairs with the acquire in for_each().
    first_.next.store(chunk, std::memory_order_release);
    entry = chunk->keys.begin();
  }
  entry->store(key, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
}

void KeyList::remove(std::uint64_t key, const SlotLock& /*held*/) noexcept {
  find(key)->store(0, std::memory_order_relaxed);
  count_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
