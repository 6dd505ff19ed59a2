// SPDX-License-Identifier: Apache-2.0
//
// The registry: which slot belongs to which variable.

#include "taskctx/internal/variable.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

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

  // Gives `record` a slot and a key.
  void assign(VariableRecord* record) {
    const std::lock_guard lock(mutex_);
    if (record->key != kUnassigned) {
      return;  // Another thread was faster.
    }
    if (free_.empty()) {
      add_slot();
    }
    if (record->permanent) {
      permanent_.emplace_back(record);
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    Slot& slot = slots_[number];
    slot.record = record;
    const std::uint64_t boxed = record->ops->destroy != nullptr ? kBoxedBit : 0;
    record->key =
        (std::uint64_t{++slot.generation} << 32) | (std::uint64_t{number} * kSlotSize) | boxed;
  }

  void retire(const VariableRecord* record) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = slot_of(record->key);
    Slot& slot = slots_[number];
    slot.record = nullptr;
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
    slots_.emplace_back();
    free_.reserve(slots_.capacity());  // So that retire() needs no memory.
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }

  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // The last one freed is given first: contexts stay small.
  std::vector<std::unique_ptr<VariableRecord>> permanent_;
};

}  // namespace

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

std::uint64_t Variable::assign_key() const {
  VariableRecord* record = record_.load(std::memory_order_acquire);
  if (record == nullptr) {  // Constant-initialised, first set. Several threads may race here: one
                            // record wins.
    auto fresh = std::make_unique<VariableRecord>(name_, *ops_, /*is_permanent=*/true);
    if (record_.compare_exchange_strong(record, fresh.get(), std::memory_order_acq_rel)) {
      record = fresh.release();
    }
  }
  Registry::get().assign(record);
  if (const std::uint32_t slot = slot_of(record->key); slot < kWideLimit / kSlotSize) {
    leaf_number_.store(slot / kLeafSlots, std::memory_order_relaxed);
    leaf_position_.store(kNodeHeader + slot % kLeafSlots * kSlotSize, std::memory_order_relaxed);
  }
  key_.store(record->key, std::memory_order_release);  // Publishes all of that to key().
  return record->key;
}

void Variable::retire() noexcept {
  VariableRecord* record = record_.exchange(nullptr, std::memory_order_acq_rel);
  if (record == nullptr) {
    return;
  }
  leaf_number_.store(0, std::memory_order_relaxed);
  leaf_position_.store(kNodeHeader, std::memory_order_relaxed);
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
