// SPDX-License-Identifier: Apache-2.0
//
// SlotRegistry: which slot belongs to which variable. A variable gets its slot, and with that its
// key, when it is first set; a slot is given again after its variable's death, with another
// generation.
//
// Nothing is allocated or freed with the registry's lock, as the program's operator new and delete
// may set variables: an attempt says what it lacks, that is fetched without the lock, and the next
// attempt begins anew.

#ifndef TASKCTX_LIB_CORE_SLOT_REGISTRY_H_
#define TASKCTX_LIB_CORE_SLOT_REGISTRY_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Holds the registry's lock. A function that takes one is called with the lock.
class [[nodiscard]] SlotLock {
 public:
  explicit SlotLock(std::mutex& mutex) : lock_(mutex) {}

 private:
  const std::lock_guard<std::mutex> lock_;
};

class SlotRegistry {
 public:
  // Returns the one of this copy of the library. It is never destroyed: variables are used before
  // main and after it.
  static SlotRegistry& get() noexcept;

  // Gives `record` a slot and a key, and its rules. Throws std::bad_alloc; nothing has changed
  // then.
  void assign(VariableRecord* record, const VariableRules& rules);

  // Returns the record that all variables with this one's name share, with a reference for the
  // caller. That is `record` itself if it is the first one, or is refused. Throws std::bad_alloc.
  VariableRecord* share(VariableRecord* record, const VariableRules& rules);

  // Takes the slot back, if this was the last variable of the record.
  void retire(VariableRecord* record) noexcept;

  // Returns a name that lasts. Each is kept once, however often its library is loaded.
  std::string_view keep_name(std::string_view name);

  // Returns the record of the live variable with this key, with a reference for the caller; nullptr
  // if there is none.
  VariableRecord* find(std::uint64_t key) noexcept;

  // Take and give back the lock, around a fork.
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }

 private:
  class Supply;

  struct Slot {  // Stays empty if it is another copy's.
    VariableRecord* record = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
  };

  // Slots are in blocks, each as large as all before it: so none ever moves.
  static constexpr std::uint32_t kMaxSlots = 0x0fff'ffff;  // 28 bits
  static constexpr std::uint32_t kFirstBlock = 64;
  static constexpr std::size_t kBlocks = 23;
  static_assert(kFirstBlock << (kBlocks - 1) > kMaxSlots);
  static constexpr std::size_t block_of(std::uint32_t number) noexcept {
    return static_cast<std::size_t>(std::bit_width(number / kFirstBlock));
  }
  static constexpr std::uint32_t start_of(std::size_t block) noexcept {
    return block == 0 ? 0 : kFirstBlock << (block - 1);
  }
  static constexpr std::uint32_t size_of(std::size_t block) noexcept {
    return block == 0 ? kFirstBlock : start_of(block);
  }

  using Lists = std::array<KeyList*, 3>;
  using Names = std::set<std::string, std::less<>>;

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // Return false, or nullptr, and have changed nothing, if something is lacking.
  bool try_assign(VariableRecord* record, const VariableRules& rules, Supply& supply);
  VariableRecord* try_share(VariableRecord* record, const VariableRules& rules, Supply& supply);
  bool give_slot(VariableRecord* record, const VariableRules& rules, Supply& supply,
                 const SlotLock& held);
  // Draws a slot that no copy of the library has. Returns false if there is no block for it.
  bool add_slot(Supply& supply, const SlotLock& held);
  // The last one freed is given first: contexts stay small.
  void free(std::uint32_t number, Slot& slot, const SlotLock& held) noexcept;
  [[nodiscard]] Slot* slot_at(std::uint32_t number, const SlotLock& held) const noexcept;

  // Takes the variable from where captures, switches and joins ask for it.
  static void unlist(std::uint64_t key, const VariableRules& rules, const SlotLock& held) noexcept;
  // Returns where a variable with these rules is listed; nullptr stands for nowhere.
  static Lists lists_of(const VariableRules& rules) noexcept;

  std::mutex mutex_;
  std::array<Slot*, kBlocks> blocks_{};
  std::uint32_t first_free_ = kNone;
  VariableRecord* permanent_ = nullptr;  // All of these, so that leak checkers find them.
  VariableRecord* shared_ = nullptr;     // Those with a shared name.
  Names names_;                          // Of variables that are never destroyed.
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_SLOT_REGISTRY_H_
