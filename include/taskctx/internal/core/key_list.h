// SPDX-License-Identifier: Apache-2.0
//
// KeyList: the keys of the few variables that something has to be done for at each capture, or at
// each switch. Read without a lock; empty in most programs.

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

  // One thread at a time, with a lock: so add() takes a chunk `more`, made without it, where there
  // is no room.
  [[nodiscard]] bool has_room() noexcept { return find(0) != nullptr; }
  void add(std::uint64_t key, std::unique_ptr<Chunk>& more) noexcept;
  void remove(std::uint64_t key) noexcept;

  // Calls `f(key)` for each key, on any thread. A key that comes or goes meanwhile may be missing
  // or there: no key is ever used twice, so the receiver finds out.
  template <typename F>
  void for_each(F f) const {
    for (const Chunk* chunk = &first_; chunk != nullptr;
         chunk = chunk->next.load(std::memory_order_acquire)) {
      for (const std::atomic<std::uint64_t>& place : chunk->keys) {
        if (const std::uint64_t key = place.load(std::memory_order_relaxed); key != 0) {
          f(key);
        }
      }
    }
  }

 private:
  // Returns the place of `key`, nullptr if there is none; key 0: of a free place.
  std::atomic<std::uint64_t>* find(std::uint64_t key) noexcept;

  std::atomic<std::uint32_t> count_{0};
  Chunk first_;
};

// The variables with a rule for their propagation, and those with on_change, that were ever set.
extern KeyList propagated_keys;
extern KeyList watched_keys;
// Likewise, those with a merge function.
extern KeyList merged_keys;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_KEY_LIST_H_
