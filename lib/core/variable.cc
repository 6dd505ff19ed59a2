// SPDX-License-Identifier: Apache-2.0
//
// How a variable gets its name, its record and its key, and how it gives them back.

#include "taskctx/internal/core/variable.h"

#include <cxxabi.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lib/core/slot_registry.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/record.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

std::string readable(const char* type) {
  int status = 0;
  char* name = abi::__cxa_demangle(type, nullptr, nullptr, &status);
  std::string text(name != nullptr ? name : type);
  std::free(name);  // NOLINT(cppcoreguidelines-no-malloc): from malloc()
  return text;
}

// Keeps the code for a variable's values loaded, because contexts may hold values to the end.
void keep_code(const Variable& variable, const TypeOps& ops, const VariableRules& rules) noexcept {
  keep_loaded(&variable);
  keep_loaded(&ops);
  keep_loaded(rules.copy);
  keep_loaded(rules.on_change);
  keep_loaded(rules.merge);
}

VariableRecord* find_own_record(std::uint64_t key) noexcept {
  return SlotRegistry::get().find(key);
}

void retire_record(VariableRecord* record) noexcept { SlotRegistry::get().retire(record); }

}  // namespace

// Declared in copies.h, which does not know what is done with variables.
constinit Copy own_copy{.assign_key = &Variable::assign_key_here,
                        .retire = &retire_record,
                        .find_record = &find_own_record,
                        .report = &report_misuse};

VariableRecord* find_record(std::uint64_t key) noexcept {
  // Pairs with the release in join_with_lock() (copies.cc): the copies in the list are complete.
  for (const Copy* copy = process_wide().copies.load(std::memory_order_acquire); copy != nullptr;
       copy = copy->next) {
    if (VariableRecord* record = copy->find_record(key)) {
      return record;
    }
  }
  return nullptr;
}

void Variable::copy_name() {
  if (is_static(
          this)) {  // It owns nothing then: its library may be unloaded without its destructor.
    name_ = SlotRegistry::get().keep_name(name_);
    return;
  }
  auto* record = new VariableRecord(name_, *ops_, /*is_permanent=*/false);
  name_ = record->name;
  record_.store(record, std::memory_order_relaxed);
}

std::uint64_t Variable::assign_key_here(const Variable& variable, const VariableRules& rules) {
  // Pairs with the exchange below: the record of another thread that was faster is complete.
  VariableRecord* record = variable.record_.load(std::memory_order_acquire);
  if (record == nullptr) {  // Static, first set. Several threads may race here: one record wins.
    auto fresh =
        std::make_unique<VariableRecord>(variable.name_, *variable.ops_, /*is_permanent=*/true);
    // The release publishes the record, to the acquire above and in record(); if another one is
    // there, the acquire pairs with the release of the thread that has put it there.
    if (variable.record_.compare_exchange_strong(record, fresh.get(), std::memory_order_acq_rel)) {
      record = fresh.release();
    }
  }
  variable.check_usable();
  if (variable.key() == kUnassigned) {
    keep_code(variable, *variable.ops_, rules);
    SlotRegistry::get().assign(record, rules);
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
  VariableRecord* shared = SlotRegistry::get().share(own.get(), rules);
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
  // Publish all of that, and the record, to the acquires in key() and write_key().
  key_.store(record.key, std::memory_order_release);
  if (record.rules.on_change == nullptr) {
    write_key_.store(record.key, std::memory_order_release);
  }
}

void Variable::retire() noexcept {
  // Pairs with the release in assign_key_here(), if another thread has set the variable last.
  VariableRecord* record = record_.exchange(nullptr, std::memory_order_acquire);
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
