// SPDX-License-Identifier: Apache-2.0
//
// The registry: which slot belongs to which variable.

#include "taskctx/internal/variable.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "taskctx/internal/copies.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/key_list.h"
#include "taskctx/internal/modules.h"

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
    if (record->key == kUnassigned) {  // Else another thread was faster.
      assign_with_lock(record, rules);
    }
  }

  // Returns the record that all variables with this one's name share, with a reference for the
  // caller. That is `record` itself if it is the first one, or is refused.
  VariableRecord* share(VariableRecord* record, const VariableRules& rules) {
    const std::lock_guard lock(mutex_);
    const auto [place, is_first] = shared_.try_emplace(record->name, record);
    if (is_first) {
      try {
        assign_with_lock(record, rules);
      } catch (...) {
        shared_.erase(place);
        throw;
      }
      record->is_shared = true;
    } else if (VariableRecord* other = place->second; same_type(*other->ops, *record->ops)) {
      ++other->variables;
      record = other;
    } else {
      record->taken_by = other->ops;
    }
    add_ref(record);
    return record;
  }

  void retire(const VariableRecord* record) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = slot_of(record->key);
    Slot& slot = slots_[number];
    if (--slot.record->variables != 0) {
      return;
    }
    if (record->is_shared) {
      shared_.erase(shared_.find(record->name));
    }
    slot.record = nullptr;
    unlist(record->key, record->rules);
    if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
      free_.push_back(number);
    }
  }

  // Returns a name that lasts. Each is kept once, however often its library is loaded.
  std::string_view keep_name(std::string_view name) {
    const std::lock_guard lock(mutex_);
    auto place = names_.find(name);
    if (place == names_.end()) {
      place = names_.emplace(name).first;
    }
    return *place;
  }

  VariableRecord* find(std::uint64_t key) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = slot_of(key);
    VariableRecord* record = number < slots_.size() ? slots_[number].record : nullptr;
    if (record == nullptr || record->key != key) {
      return nullptr;
    }
    add_ref(record);
    return record;
  }

 private:
  struct Slot {  // Stays empty if it is another copy's.
    VariableRecord* record = nullptr;
    std::uint32_t generation = 0;
  };

  // Tells whether two libraries mean the same type. They can't know of types without linkage.
  static bool same_type(const TypeOps& a, const TypeOps& b) noexcept {
    const std::string_view name = a.name();
    return &a == &b || (name == b.name() && a.size == b.size && a.alignment == b.alignment &&
                        name.find("_GLOBAL__N_") == std::string_view::npos &&
                        name.find("anonymous") == std::string_view::npos);
  }

  void assign_with_lock(VariableRecord* record, const VariableRules& rules) {
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

  // Draws a slot that no copy of the library has.
  void add_slot() {
    std::atomic<std::uint32_t>& next = process_wide().next_slot;
    std::uint32_t number = next.load(std::memory_order_relaxed);
    do {
      if (number >= kMaxSlots) {
        throw std::bad_alloc();
      }
      if (number >= slots_.capacity()) {
        slots_.reserve(2 * std::size_t{number} + 8);
      }
      free_.reserve(slots_.capacity());  // So that retire() needs no memory.
    } while (!next.compare_exchange_weak(number, number + 1, std::memory_order_relaxed));
    slots_.resize(std::size_t{number} + 1);
    free_.push_back(number);
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
  std::map<std::string_view, VariableRecord*> shared_;  // By their names, which they own.
  std::set<std::string, std::less<>> names_;            // Of variables that are never destroyed.
};

std::string readable(const char* type) {
  int status = 0;
  char* name = abi::__cxa_demangle(type, nullptr, nullptr, &status);
  std::string text(name != nullptr ? name : type);
  std::free(name);  // NOLINT(cppcoreguidelines-no-malloc): from malloc()
  return text;
}

// Keeps the code that handles a variable's values for as long as any context may hold one.
void keep_code(const Variable& variable, const TypeOps& ops, const VariableRules& rules) noexcept {
  keep_loaded(&variable);
  keep_loaded(&ops);
  keep_loaded(rules.copy);
  keep_loaded(rules.on_change);
  keep_loaded(rules.merge);
}

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

VariableRecord* find_own_record(std::uint64_t key) noexcept { return Registry::get().find(key); }

VariableRecord* find_record(std::uint64_t key) noexcept {
  for (const Copy* copy = process_wide().copies.load(std::memory_order_acquire); copy != nullptr;
       copy = copy->next) {
    if (VariableRecord* record = copy->find_record(key)) {
      return record;
    }
  }
  return nullptr;
}

void retire_record(VariableRecord* record) noexcept { Registry::get().retire(record); }

void Variable::copy_name() {
  if (is_static(this)) {  // It owns nothing then: it may go with its library, without a word.
    name_ = Registry::get().keep_name(name_);
    return;
  }
  auto* record = new VariableRecord(name_, *ops_, /*is_permanent=*/false);
  name_ = record->name;
  record_.store(record, std::memory_order_relaxed);
}

std::uint64_t Variable::assign_key_here(const Variable& variable, const VariableRules& rules) {
  VariableRecord* record = variable.record_.load(std::memory_order_acquire);
  if (record == nullptr) {  // Static, first set. Several threads may race here: one record wins.
    auto fresh =
        std::make_unique<VariableRecord>(variable.name_, *variable.ops_, /*is_permanent=*/true);
    if (variable.record_.compare_exchange_strong(record, fresh.get(), std::memory_order_acq_rel)) {
      record = fresh.release();
    }
  }
  variable.check_usable();
  if (variable.key() == kUnassigned) {
    keep_code(variable, *variable.ops_, rules);
    Registry::get().assign(record, rules);
    variable.publish(*record);
  }
  return record->key;
}

void Variable::share(const VariableRules& rules) {
  keep_code(*this, *ops_, rules);
  RecordRef own(record_.exchange(nullptr, std::memory_order_relaxed));
  if (own == nullptr) {
    own.reset(new VariableRecord(name_, *ops_, /*is_permanent=*/false));
  }
  VariableRecord* shared = Registry::get().share(own.get(), rules);
  record_.store(shared, std::memory_order_relaxed);
  name_ = shared->name;
  if (shared->taken_by == nullptr) {
    publish(*shared);
  } else {
    key_.store(kRefused, std::memory_order_relaxed);
  }
}

void Variable::throw_refused() const {
  const VariableRecord& mine = *record();
  throw std::invalid_argument("cannot use variable '" + mine.name + "': its type is '" +
                              readable(mine.ops->name()) +
                              "', and variables of this shared name have the type '" +
                              readable(mine.taken_by->name()) + "'");
}

void Variable::publish(const VariableRecord& record) const noexcept {
  if (const std::uint32_t slot = slot_of(record.key); slot < kWideLimit / kSlotSize) {
    leaf_number_.store(slot / kLeafSlots, std::memory_order_relaxed);
    leaf_position_.store(kNodeHeader + slot % kLeafSlots * kSlotSize, std::memory_order_relaxed);
  }
  // Publishes all of that to key() and write_key().
  key_.store(record.key, std::memory_order_release);
  if (record.rules.on_change == nullptr) {
    write_key_.store(record.key, std::memory_order_release);
  }
}

void Variable::retire() noexcept {
  VariableRecord* record = record_.exchange(nullptr, std::memory_order_acq_rel);
  if (record == nullptr) {
    return;
  }
  if (record->key != kUnassigned) {
    home_->retire(record);
  }
  release(record);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
