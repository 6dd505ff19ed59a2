// SPDX-License-Identifier: Apache-2.0
//
// Contexts as values: entering and leaving them, walking over them, comparing them.

#include "taskctx/context.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace {

using internal::Entry;
using internal::NodeRef;

// Returns the record of the variable that `entry` belongs to; nothing if it is the inline value of
// a dead variable, or a variable of the library's own.
internal::RecordRef record_of(const Entry& entry) noexcept {
  internal::RecordRef record;
  if ((entry.key & internal::kBoxedBit) != 0) {
    internal::add_ref(internal::box_of(entry)->record());
    record.reset(internal::box_of(entry)->record());
  } else {
    record.reset(internal::find_record(entry.key));
  }
  if (record != nullptr && record->rules.is_hidden) {
    record.reset();
  }
  return record;
}

bool equal_entries(const internal::VariableRecord& record, const Entry& a, const Entry& b) {
  return a == b || (record.ops->equal != nullptr && a.key == b.key && record.ops->equal(a, b));
}

// Tells whether all variables that are set in `a` are set in `b`.
bool are_set(const internal::Node* a, const internal::Node* b) noexcept {
  std::uint32_t slot = 0;
  for (; const Entry* entry = internal::next_entry(a, slot); ++slot) {
    if (internal::find_entry(b, entry->key) == nullptr && record_of(*entry) != nullptr) {
      return false;
    }
  }
  return true;
}

// Tells whether all variables that are set in both have equal values.
bool agree(const internal::Node* a, const internal::Node* b) {
  std::uint32_t slot = 0;
  for (; const Entry* entry = internal::next_entry(a, slot); ++slot) {
    const Entry* other = internal::find_entry(b, entry->key);
    if (other != nullptr && *other != *entry) {
      const internal::RecordRef record = record_of(*entry);
      if (record != nullptr && !equal_entries(*record, *entry, *other)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

ContextEntry::ContextEntry(internal::VariableRecord* record, const Entry& entry) noexcept
    : record_(record), entry_(entry) {
  if (record_ != nullptr) {
    internal::add_ref(record_);
    internal::add_ref(entry_);
  }
}

ContextEntry::~ContextEntry() {
  if (record_ != nullptr) {
    internal::release(entry_);
    internal::release(record_);
  }
}

std::string ContextEntry::value() const {
  if (record_->ops->print == nullptr) {
    return "(not printable)";
  }
  std::ostringstream text;
  record_->ops->print(text, entry_);
  return std::move(text).str();
}

void ContextIterator::settle() {
  entry_ = ContextEntry();
  for (; const Entry* entry = internal::next_entry(node_.get(), slot_); ++slot_) {
    if (const internal::RecordRef record = record_of(*entry)) {
      entry_ = ContextEntry(record.get(), *entry);
      return;
    }
  }
}

Context::Context(Context&& other) noexcept {
  if (other.entered_.load(std::memory_order_relaxed)) {
    self_ = activation_of(NodeRef::share(other.self_.node));
  } else {
    std::swap(self_, other.self_);
  }
}

Context& Context::operator=(Context&& other) {  // NOLINT(performance-noexcept-move-constructor)
  if (entered_.load(std::memory_order_relaxed)) {
    throw ContextError("cannot assign context: it is entered");
  }
  Context moved(std::move(other));
  std::swap(self_, moved.self_);
  return *this;
}

Context::~Context() {
  if (entered_.load(std::memory_order_relaxed)) {
    internal::report_misuse("cannot destroy context: it is still entered", {});
    if (internal::current_activation() != &self_) {
      std::abort();  // Some thread would run on in a context that no longer exists.
    }
    restore();
  }
  internal::release(self_.node, self_.is_spread);
}

void Context::enter() {
  // Pairs with the releases in leave_run() and restore(): what the last thread in it has written.
  if (entered_.exchange(true, std::memory_order_acquire)) {
    throw ContextError("cannot enter context: it is entered already");
  }
  if (self_.id == 0) {
    self_.id = internal::draw_id();
  }
  self_.outer_node = internal::current_node();
  self_.outer = internal::current_activation();
  self_.origin = internal::Origin(self_.outer);
  internal::switch_to(self_.node, &self_);
}

void Context::leave() {
  if (!entered_.load(std::memory_order_relaxed)) {
    throw ContextError("cannot leave context: it is not entered");
  }
  if (internal::current_activation() != &self_) {
    throw ContextError("cannot leave context: it is not the innermost one that was entered here");
  }
  restore();
}

void Context::leave_run() noexcept {
  internal::leave(self_, "context");
  // Pairs with the acquire in enter().
  entered_.store(false, std::memory_order_release);
}

void Context::restore() noexcept {
  internal::switch_to(self_.outer_node, self_.outer);
  // Pairs with the acquire in enter().
  entered_.store(false, std::memory_order_release);
}

std::size_t Context::size() const {
  std::size_t count = 0;
  for (ContextIterator at = begin(); at != end(); ++at) {
    ++count;
  }
  return count;
}

Context Context::only_keys(std::initializer_list<std::uint64_t> keys) const {
  const NodeRef node = NodeRef::share(self_.node);
  NodeRef kept;
  for (const std::uint64_t key : keys) {
    if (const Entry* entry = internal::find_entry(node.get(), key)) {
      internal::put_in(kept, *entry);
    }
  }
  return Context(std::move(kept));
}

Context Context::without_keys(std::initializer_list<std::uint64_t> keys) const {
  NodeRef node = NodeRef::share(self_.node);
  for (const std::uint64_t key : keys) {
    internal::release(internal::exchange_in(node, key, Entry{}));
  }
  return Context(std::move(node));
}

std::ostream& operator<<(std::ostream& out, const Context& context) {
  out << '{';
  std::string_view separator;
  for (const ContextEntry& entry : context) {
    out << separator << entry.name() << '=' << entry.value();
    separator = ", ";
  }
  return out << '}';
}

bool Context::equal(const Context& a, const Context& b) {
  // Pins both nodes: operator== of a value may change even these contexts.
  const NodeRef left = NodeRef::share(a.self_.node);
  const NodeRef right = NodeRef::share(b.self_.node);
  return left.get() == right.get() ||
         (are_set(left.get(), right.get()) && are_set(right.get(), left.get()) &&
          agree(left.get(), right.get()));
}

Context copy_context() noexcept {
  return internal::ContextAccess::make(NodeRef::share(internal::current_node()));
}

Context overlaid(const Context& base, const Context& over) {
  const NodeRef bindings = internal::ContextAccess::node(over);
  return internal::ContextAccess::make(
      internal::overlay_on(internal::ContextAccess::node(base), bindings.get()));
}

std::vector<ContextChange> diff(const Context& before, const Context& after) {
  // Pins both nodes: operator== of a value may change even these contexts.
  const NodeRef old_node = internal::ContextAccess::node(before);
  const NodeRef new_node = internal::ContextAccess::node(after);
  std::vector<ContextChange> changes;
  std::uint32_t slot = 0;
  for (; const Entry* entry = internal::next_entry(old_node.get(), slot); ++slot) {
    const Entry other = internal::entry_or_none(new_node.get(), entry->key);
    const internal::RecordRef record = record_of(*entry);
    if (record != nullptr && !equal_entries(*record, *entry, other)) {
      changes.push_back(
          {.before = ContextEntry(record.get(), *entry),
           .after = other.key != 0 ? ContextEntry(record.get(), other) : ContextEntry()});
    }
  }
  slot = 0;
  for (; const Entry* entry = internal::next_entry(new_node.get(), slot); ++slot) {
    if (internal::find_entry(old_node.get(), entry->key) == nullptr) {
      if (const internal::RecordRef record = record_of(*entry)) {
        changes.push_back({.before = {}, .after = ContextEntry(record.get(), *entry)});
      }
    }
  }
  return changes;
}

}  // namespace v1
}  // namespace taskctx
