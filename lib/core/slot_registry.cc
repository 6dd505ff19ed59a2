// SPDX-License-Identifier: Apache-2.0
//
// The registry of slots: blocks of them, the free ones, the records that have one, and kept names.

#include "lib/core/slot_registry.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <tuple>
#include <utility>

#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/record.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Tells whether two libraries mean the same type. They can't know of types without linkage.
bool same_type(const TypeOps& a, const TypeOps& b) noexcept {
  const std::string_view name = a.name();
  return &a == &b || (name == b.name() && a.size == b.size && a.alignment == b.alignment &&
                      name.find("_GLOBAL__N_") == std::string_view::npos &&
                      name.find("anonymous") == std::string_view::npos);
}

}  // namespace

// What the registry lacks: allocated without its lock. What it has not taken is freed without it,
// too.
class SlotRegistry::Supply {
 public:
  void want_block(std::size_t number) noexcept { wanted_block_ = number; }
  void want_chunk(std::size_t list) noexcept { wants_chunk_[list] = true; }

  // Throws std::bad_alloc.
  void fetch() {
    if (wanted_block_ != kBlocks) {
      block = std::make_unique<Slot[]>(size_of(wanted_block_));
      block_number = std::exchange(wanted_block_, kBlocks);
    }
    for (std::size_t list = 0; list < chunks.size(); ++list) {
      if (std::exchange(wants_chunk_[list], false)) {
        chunks[list] = std::make_unique<KeyList::Chunk>();
      }
    }
  }

  std::unique_ptr<Slot[]> block;
  std::size_t block_number = kBlocks;
  std::array<std::unique_ptr<KeyList::Chunk>, std::tuple_size_v<Lists>>
      chunks;  // One for each list of keys.

 private:
  std::size_t wanted_block_ = kBlocks;
  std::array<bool, std::tuple_size_v<Lists>> wants_chunk_{};
};

SlotRegistry& SlotRegistry::get() noexcept {
  alignas(SlotRegistry) static std::byte memory[sizeof(SlotRegistry)];
  static auto* const registry = ::new (static_cast<void*>(memory)) SlotRegistry;
  return *registry;
}

void SlotRegistry::assign(VariableRecord* record, const VariableRules& rules) {
  // Joins before the lock is taken: joining takes the loader's lock, whose owner may wait for ours.
  (void)process_wide();
  Supply supply;
  while (!try_assign(record, rules, supply)) {
    supply.fetch();
  }
}

VariableRecord* SlotRegistry::share(VariableRecord* record, const VariableRules& rules) {
  (void)process_wide();  // As above.
  Supply supply;
  while (true) {
    if (VariableRecord* const shared = try_share(record, rules, supply)) {
      return shared;
    }
    supply.fetch();
  }
}

void SlotRegistry::retire(VariableRecord* record) noexcept {
  const SlotLock lock(mutex_);
  const std::uint32_t number = slot_of(record->key);
  Slot& slot = *slot_at(number, lock);
  if (--slot.record->variables != 0) {
    return;
  }
  if (record->is_shared) {
    VariableRecord** link = &shared_;
    while (*link != record) {
      link = &(*link)->next;
    }
    *link = record->next;
  }
  slot.record = nullptr;
  unlist(record->key, record->rules, lock);
  if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
    free(number, slot, lock);
  }
}

std::string_view SlotRegistry::keep_name(std::string_view name) {
  Names fresh;
  fresh.emplace(name);
  Names::node_type node = fresh.extract(fresh.begin());
  Names::insert_return_type kept;  // Outlives the lock, and with it a node that is not taken.
  const SlotLock lock(mutex_);
  kept = names_.insert(std::move(node));
  return *kept.position;
}

VariableRecord* SlotRegistry::find(std::uint64_t key) noexcept {
  const SlotLock lock(mutex_);
  const Slot* const slot = slot_at(slot_of(key), lock);
  VariableRecord* record = slot != nullptr ? slot->record : nullptr;
  if (record == nullptr || record->key != key) {
    return nullptr;
  }
  add_ref(record);
  return record;
}

bool SlotRegistry::try_assign(VariableRecord* record, const VariableRules& rules, Supply& supply) {
  const SlotLock lock(mutex_);
  return record->key != kUnassigned ||  // Another thread was faster.
         give_slot(record, rules, supply, lock);
}

VariableRecord* SlotRegistry::try_share(VariableRecord* record, const VariableRules& rules,
                                        Supply& supply) {
  const SlotLock lock(mutex_);
  VariableRecord* other = shared_;
  while (other != nullptr && other->name != record->name) {
    other = other->next;
  }
  if (other == nullptr) {
    if (!give_slot(record, rules, supply, lock)) {
      return nullptr;
    }
    record->is_shared = true;
    record->next = std::exchange(shared_, record);
  } else if (same_type(*other->ops, *record->ops)) {
    ++other->variables;
    record = other;
  } else {
    record->taken_by = other->ops;
  }
  add_ref(record);
  return record;
}

bool SlotRegistry::give_slot(VariableRecord* record, const VariableRules& rules, Supply& supply,
                             const SlotLock& held) {
  const auto lists = lists_of(rules);
  bool is_complete = first_free_ != kNone || add_slot(supply, held);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i] != nullptr && !lists[i]->has_room(held) && supply.chunks[i] == nullptr) {
      supply.want_chunk(i);
      is_complete = false;
    }
  }
  if (!is_complete) {
    return false;
  }
  const std::uint32_t number = first_free_;
  Slot& slot = *slot_at(number, held);
  const std::uint64_t boxed = record->ops->destroy != nullptr ? kBoxedBit : 0;
  const std::uint64_t key =
      (std::uint64_t{slot.generation + 1} << 32) | (std::uint64_t{number} * kSlotSize) | boxed;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i] != nullptr) {
      lists[i]->add(key, supply.chunks[i], held);
    }
  }
  if (rules.on_change != nullptr) {
    switch_watchers.fetch_add(1, std::memory_order_relaxed);
  }
  if (record->permanent) {
    record->next = std::exchange(permanent_, record);
  }
  first_free_ = slot.next_free;
  ++slot.generation;
  slot.record = record;
  record->rules = rules;
  record->key = key;
  return true;
}

bool SlotRegistry::add_slot(Supply& supply, const SlotLock& held) {
  std::atomic<std::uint32_t>& next = process_wide().next_slot;  // Relaxed: a number, no more.
  std::uint32_t number = next.load(std::memory_order_relaxed);
  do {
    if (number >= kMaxSlots) {
      throw std::bad_alloc();
    }
    if (const std::size_t block = block_of(number); blocks_[block] == nullptr) {
      if (supply.block == nullptr || supply.block_number != block) {
        supply.want_block(block);
        return false;
      }
      blocks_[block] = supply.block.release();
    }
  } while (!next.compare_exchange_weak(number, number + 1, std::memory_order_relaxed));
  free(number, *slot_at(number, held), held);
  return true;
}

void SlotRegistry::free(std::uint32_t number, Slot& slot, const SlotLock& /*held*/) noexcept {
  slot.next_free = std::exchange(first_free_, number);
}

SlotRegistry::Slot* SlotRegistry::slot_at(std::uint32_t number,
                                          const SlotLock& /*held*/) const noexcept {
  const std::size_t block = block_of(number);
  return block < kBlocks && blocks_[block] != nullptr ? blocks_[block] + number - start_of(block)
                                                      : nullptr;
}

void SlotRegistry::unlist(std::uint64_t key, const VariableRules& rules,
                          const SlotLock& held) noexcept {
  for (KeyList* list : lists_of(rules)) {
    if (list != nullptr) {
      list->remove(key, held);
    }
  }
  if (rules.on_change != nullptr) {
    switch_watchers.fetch_sub(1, std::memory_order_relaxed);
  }
}

SlotRegistry::Lists SlotRegistry::lists_of(const VariableRules& rules) noexcept {
  return {rules.propagation != VariableRules::Propagation::inherit ? &propagated_keys : nullptr,
          rules.on_change != nullptr ? &watched_keys : nullptr,
          rules.merge != nullptr ? &merged_keys : nullptr};
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
