// SPDX-License-Identifier: Apache-2.0
//
// The registry: which slot belongs to which variable.

#include "taskctx/internal/core/variable.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "lib/core/forking.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/modules.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

constexpr std::uint32_t kMaxSlots = 0x0fff'ffff;  // 28 bits

struct Slot {  // Stays empty if it is another copy's.
  VariableRecord* record = nullptr;
  std::uint32_t generation = 0;
  std::uint32_t next_free = 0;
};

// Slots are in blocks, each as large as all before it: so none ever moves.
constexpr std::uint32_t kFirstBlock = 64;
constexpr std::size_t kBlocks = 23;
static_assert(kFirstBlock << (kBlocks - 1) > kMaxSlots);
constexpr std::size_t block_of(std::uint32_t number) noexcept {
  return static_cast<std::size_t>(std::bit_width(number / kFirstBlock));
}
constexpr std::uint32_t start_of(std::size_t block) noexcept {
  return block == 0 ? 0 : kFirstBlock << (block - 1);
}
constexpr std::uint32_t size_of(std::size_t block) noexcept {
  return block == 0 ? kFirstBlock : start_of(block);
}

// What the registry lacks: allocated without its lock, and what it has not taken is freed without
// it, as the program's operator new and delete may set variables.
class Supply {
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
  std::array<std::unique_ptr<KeyList::Chunk>, 3> chunks;  // One for each list of keys.

 private:
  std::size_t wanted_block_ = kBlocks;
  std::array<bool, 3> wants_chunk_{};
};

// Nothing is allocated or freed with the lock.
class Registry {
 public:
  // Is never destroyed: variables are used before main and after it.
  static Registry& get() noexcept {
    alignas(Registry) static std::byte place[sizeof(Registry)];
    static auto* const registry = ::new (static_cast<void*>(place)) Registry;
    return *registry;
  }

  // Gives `record` a slot and a key, and its rules.
  void assign(VariableRecord* record, const VariableRules& rules) {
    (void)process_wide();  // Joins before the lock: that takes the loader's, whose owner may wait.
    Supply supply;
    while (!try_assign(record, rules, supply)) {
      supply.fetch();
    }
  }

  // Returns the record that all variables with this one's name share, with a reference for the
  // caller. That is `record` itself if it is the first one, or is refused.
  VariableRecord* share(VariableRecord* record, const VariableRules& rules) {
    (void)process_wide();
    Supply supply;
    while (true) {
      if (VariableRecord* const shared = try_share(record, rules, supply)) {
        return shared;
      }
      supply.fetch();
    }
  }

  void retire(VariableRecord* record) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = slot_of(record->key);
    Slot& slot = *slot_at(number);
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
    unlist(record->key, record->rules);
    if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
      free(number, slot);
    }
  }

  // Returns a name that lasts. Each is kept once, however often its library is loaded.
  std::string_view keep_name(std::string_view name) {
    Names fresh;
    fresh.emplace(name);
    Names::node_type node = fresh.extract(fresh.begin());
    Names::insert_return_type kept;  // Outlives the lock, and with it a node that is not taken.
    const std::lock_guard lock(mutex_);
    kept = names_.insert(std::move(node));
    return *kept.position;
  }

  VariableRecord* find(std::uint64_t key) noexcept {
    const std::lock_guard lock(mutex_);
    const Slot* const slot = slot_at(slot_of(key));
    VariableRecord* record = slot != nullptr ? slot->record : nullptr;
    if (record == nullptr || record->key != key) {
      return nullptr;
    }
    add_ref(record);
    return record;
  }

  // For a fork: so that the child finds nothing half done.
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }

 private:
  // Tells whether two libraries mean the same type. They can't know of types without linkage.
  static bool same_type(const TypeOps& a, const TypeOps& b) noexcept {
    const std::string_view name = a.name();
    return &a == &b || (name == b.name() && a.size == b.size && a.alignment == b.alignment &&
                        name.find("_GLOBAL__N_") == std::string_view::npos &&
                        name.find("anonymous") == std::string_view::npos);
  }

  bool try_assign(VariableRecord* record, const VariableRules& rules, Supply& supply) {
    const std::lock_guard lock(mutex_);
    return record->key != kUnassigned ||  // Another thread was faster.
           assign_with_lock(record, rules, supply);
  }

  // Returns nullptr if something is lacking.
  VariableRecord* try_share(VariableRecord* record, const VariableRules& rules, Supply& supply) {
    const std::lock_guard lock(mutex_);
    VariableRecord* other = shared_;
    while (other != nullptr && other->name != record->name) {
      other = other->next;
    }
    if (other == nullptr) {
      if (!assign_with_lock(record, rules, supply)) {
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

  // Returns false, and has changed nothing, if something is lacking.
  bool assign_with_lock(VariableRecord* record, const VariableRules& rules, Supply& supply) {
    const auto lists = lists_of(rules);
    bool is_complete = first_free_ != kNone || add_slot(supply);
    for (std::size_t i = 0; i < lists.size(); ++i) {
      if (lists[i] != nullptr && !lists[i]->has_room() && supply.chunks[i] == nullptr) {
        supply.want_chunk(i);
        is_complete = false;
      }
    }
    if (!is_complete) {
      return false;
    }
    const std::uint32_t number = first_free_;
    Slot& slot = *slot_at(number);
    const std::uint64_t boxed = record->ops->destroy != nullptr ? kBoxedBit : 0;
    const std::uint64_t key =
        (std::uint64_t{slot.generation + 1} << 32) | (std::uint64_t{number} * kSlotSize) | boxed;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      if (lists[i] != nullptr) {
        lists[i]->add(key, supply.chunks[i]);
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

  // Draws a slot that no copy of the library has. Returns false if there is no block for it.
  bool add_slot(Supply& supply) {
    std::atomic<std::uint32_t>& next = process_wide().next_slot;
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
    free(number, *slot_at(number));
    return true;
  }

  // The last one freed is given first: contexts stay small.
  void free(std::uint32_t number, Slot& slot) noexcept {
    slot.next_free = std::exchange(first_free_, number);
  }

  Slot* slot_at(std::uint32_t number) const noexcept {
    const std::size_t block = block_of(number);
    return block < kBlocks && blocks_[block] != nullptr ? blocks_[block] + number - start_of(block)
                                                        : nullptr;
  }

  // Takes the variable from where captures, switches and joins ask for it.
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

  using Names = std::set<std::string, std::less<>>;

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::mutex mutex_;
  std::array<Slot*, kBlocks> blocks_{};
  std::uint32_t first_free_ = kNone;
  VariableRecord* permanent_ = nullptr;  // All of these, so that they can be found.
  VariableRecord* shared_ = nullptr;     // Those with a shared name.
  Names names_;                          // Of variables that are never destroyed.
};

std::string readable(const char* type) {
  int status = 0;
  char* name = abi::__cxa_demangle(type, nullptr, nullptr, &status);
  std::string text(name != nullptr ? name : type);
  std::free(name);  // NOLINT(cppcoreguidelines-no-malloc): from malloc()
  return text;
}

// Before threads begin that a fork could meet at work.
[[maybe_unused]] const bool forks_are_handled = handle_forks();

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

void KeyList::add(std::uint64_t key, std::unique_ptr<Chunk>& more) noexcept {
  std::atomic<std::uint64_t>* place = find(0);
  if (place == nullptr) {
    Chunk* const chunk = more.release();
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

void lock_variables() noexcept { Registry::get().lock(); }
void unlock_variables() noexcept { Registry::get().unlock(); }

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
