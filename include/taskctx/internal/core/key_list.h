// SPDX-License-Identifier: Apache-2.0
//
// KeyList: the keys of the few variables that need work at each capture, switch or join. Read
// without a lock; empty in most programs.

#ifndef TASKCTX_INTERNAL_CORE_KEY_LIST_H_
#define TASKCTX_INTERNAL_CORE_KEY_LIST_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Whoever has one holds the lock of the slot registry (slot_registry.h).
class SlotLock;

class KeyList {
 public:
  constexpr KeyList() = default;
  KeyList(const KeyList&) = delete;  // Chunks are never freed: readers take no lock.
  KeyList& operator=(const KeyList&) = delete;

  [[nodiscard]] bool empty() const noexcept { return count_.load(std::memory_order_relaxed) == 0; }

  struct Chunk {
    std::array<std::atomic<std::uint64_t>, 15> keys{};  // 0: free
    std::atomic<Chunk*> next{nullptr};
  };

  // Tells whether add() needs no chunk.
  [[nodiscard]] bool has_room(const SlotLock& /*held*/) noexcept { return find(0) != nullptr; }
  // Adds a key. Takes the chunk `more`, which was made without the lock, if there is no room.
  void add(std::uint64_t key, std::unique_ptr<Chunk>& more, const SlotLock& held) noexcept;
  void remove(std::uint64_t key, const SlotLock& held) noexcept;

  // Calls `f(key)` for each key, on any thread. A key that is added or removed meanwhile may be
  // missing or not: no key is ever used twice, so its receiver finds out. (So the keys are
  // relaxed.)
  template <typename F>
  void for_each(F f) const {
    for (const Chunk* chunk = &first_; chunk != nullptr;
         chunk = chunk->next.load(std::memory_order_acquire)) {  // Pairs with the release in add().
      for (const std::atomic<std::uint64_t>& entry : chunk->keys) {
        if (const std::uint64_t key = entry.load(std::memory_order_relaxed); key != 0) {
          f(key);
        }
      }
    }
  }

 private:
  // Returns where `key` is, nullptr if it is nowhere; 0 finds a free entry.
  std::atomic<std::uint64_t>* find(std::uint64_t key) noexcept;

  std::atomic<std::uint32_t> count_{0};
  Chunk first_;
};

// The variables that were ever set, and have a rule for their propagation; on_change; or a merge
// function.
extern KeyList propagated_keys;
extern KeyList watched_keys;
extern KeyList merged_keys;

// How many want to know of each switch: the variables in watched_keys, and observers (watch.h).
// Relaxed: a switch that is under way while one begins or ends may see either.
extern std::atomic<std::uint32_t> switch_watchers;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_KEY_LIST_H_
