// SPDX-License-Identifier: Apache-2.0
//
// The registry: which slot belongs to which variable.

#include "taskctx/internal/variable.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

#include "taskctx/internal/current.h"
#include "taskctx/internal/key_list.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

constexpr std::uint32_t kMaxSlots = 0x0fff'ffff;  // 28 bits

class Registry {
 public:
  // Is never destroyed: variables are used before main and after it.
  static Registry& get() {
    static auto* const registry = new Registry;
    return *registry;
  }

  // Gives `record` a slot and a key, and its rules.
  void assign(VariableRecord* record, const VariableRules& rules) {
    const std::lock_guard lock(mutex_);
    if (record->key != kUnassigned) {
      return;  // Another thread was faster.
    }
    if (free_.empty()) {
      add_slot();
    }
    const std::uint32_t number = free_.back();
    Slot& slot = slots_[number];
    const std::uint64_t boxed = record->ops->destroy != nullptr ? kBoxedBit : 0;
    const std::uint64_t key =
        (std::uint64_t{slot.generation + 1} << 32) | (std::uint64_t{number} * kSlotSize) | boxed;
    if (record->permanent) {
      permanent_.emplace_back();
    }
    list(key, rules);
    // Nothing throws from here on.
    if (record->permanent) {
      permanent_.back().reset(record);
    }
    free_.pop_back();
    ++slot.generation;
    slot.record = record;
    record->rules = rules;
    record->key = key;
  }

  void retire(const VariableRecord* record) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = slot_of(record->key);
    Slot& slot = slots_[number];
    slot.record = nullptr;
    unlist(record->key, record->rules);
    if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
      free_.push_back(number);
    }
  }

  VariableRecord* find(std::uint64_t key) noexcept {
    const std::lock_guard lock(mutex_);
    VariableRecord* record = slots_[slot_of(key)].record;
    if (record == nullptr || record->key != key) {
      return nullptr;
    }
    add_ref(record);
    return record;
  }

 private:
  struct Slot {
    VariableRecord* record = nullptr;
    std::uint32_t generation = 0;
  };

  void add_slot() {
    if (slots_.size() >= kMaxSlots) {
      throw std::bad_alloc();
    }
    if (slots_.size() == slots_.capacity()) {
      slots_.reserve(2 * slots_.size() + 8);
    }
    free_.reserve(slots_.capacity());  // So that retire() needs no memory.
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }

  // Makes captures, switches and joins ask for the variable, if it has rules for those.
  static void list(std::uint64_t key, const VariableRules& rules) {
    const auto lists = lists_of(rules);
    for (std::size_t i = 0; i < lists.size(); ++i) {
      if (lists[i] != nullptr) {
        try {
          lists[i]->add(key);
        } catch (...) {
          while (i-- > 0) {
            if (lists[i] != nullptr) {
              lists[i]->remove(key);
            }
          }
          throw;
        }
      }
    }
    if (rules.on_change != nullptr) {
      switch_watchers.fetch_add(1, std::memory_order_relaxed);
    }
  }
  static void unlist(std::uint64_t key, const VariableRules& rules) noexcept {
    for (KeyList* list : lists_of(rules)) {
      if (list != nullptr) {
        list->remove(key);
      }
    }
    if (rules.on_change != nullptr) {
      switch_watchers.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  // Returns where a variable with these rules is listed; nullptr stands for nowhere.
  static std::array<KeyList*, 3> lists_of(const VariableRules& rules) noexcept {
    return {rules.propagation != VariableRules::Propagation::inherit ? &propagated_keys : nullptr,
            rules.on_change != nullptr ? &watched_keys : nullptr,
            rules.merge != nullptr ? &merged_keys : nullptr};
  }

  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // The last one freed is given first: contexts stay small.
  std::vector<std::unique_ptr<VariableRecord>> permanent_;
};

}  // namespace

constinit KeyList propagated_keys;
constinit KeyList watched_keys;
constinit KeyList merged_keys;

std::atomic<std::uint64_t>* KeyList::find(std::uint64_t key) noexcept {
  for (Chunk* chunk = &first_; chunk != nullptr;
       chunk = chunk->next.load(std::memory_order_relaxed)) {
    const auto is_it = [key](const auto& place) {
      return place.load(std::memory_order_relaxed) == key;
    };
    if (auto* place = std::find_if(chunk->keys.begin(), chunk->keys.end(), is_it);
        place != chunk->keys.end()) {
      return place;
    }
  }
  return nullptr;
}

void KeyList::add(std::uint64_t key) {
  std::atomic<std::uint64_t>* place = find(0);
  if (place == nullptr) {
    auto* chunk = new Chunk;
    chunk->next.store(first_.next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    first_.next.store(chunk, std::memory_order_release);
    place = chunk->keys.begin();
  }
  place->store(key, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
}

void KeyList::remove(std::uint64_t key) noexcept {
  find(key)->store(0, std::memory_order_relaxed);
  count_.fetch_sub(1, std::memory_order_relaxed);
}

void release(VariableRecord* record) noexcept {
  if (!record->permanent && record->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete record;
  }
}

VariableRecord* find_record(std::uint64_t key) noexcept { return Registry::get().find(key); }

void Variable::copy_name() {
  auto* record = new VariableRecord(name_, *ops_, /*is_permanent=*/false);
  name_ = record->name;
  record_.store(record, std::memory_order_relaxed);
}

std::uint64_t Variable::assign_key(const VariableRules& rules) const {
  VariableRecord* record = record_.load(std::memory_order_acquire);
  if (record == nullptr) {  // Constant-initialised, first set. Several threads may race here: one
                            // record wins.
    auto fresh = std::make_unique<VariableRecord>(name_, *ops_, /*is_permanent=*/true);
    if (record_.compare_exchange_strong(record, fresh.get(), std::memory_order_acq_rel)) {
      record = fresh.release();
    }
  }
  Registry::get().assign(record, rules);
  if (const std::uint32_t slot = slot_of(record->key); slot < kWideLimit / kSlotSize) {
    leaf_number_.store(slot / kLeafSlots, std::memory_order_relaxed);
    leaf_position_.store(kNodeHeader + slot % kLeafSlots * kSlotSize, std::memory_order_relaxed);
  }
  // Publishes all of that to key() and write_key().
  key_.store(record->key, std::memory_order_release);
  if (record->rules.on_change == nullptr) {
    write_key_.store(record->key, std::memory_order_release);
  }
  return record->key;
}

void Variable::retire() noexcept {
  VariableRecord* record = record_.exchange(nullptr, std::memory_order_acq_rel);
  if (record == nullptr) {
    return;
  }
  leaf_number_.store(0, std::memory_order_relaxed);
  leaf_position_.store(kNodeHeader, std::memory_order_relaxed);
  write_key_.store(kUnassigned, std::memory_order_relaxed);
  if (key_.exchange(kUnassigned, std::memory_order_relaxed) != kUnassigned) {
    Registry::get().retire(record);
  }
  if (!record->permanent) {
    name_ = {};
  }
  release(record);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
