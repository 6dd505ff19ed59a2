// SPDX-License-Identifier: Apache-2.0

#include "taskctx/context.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "taskctx/errors.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/node.h"
#include "taskctx/internal/value.h"
#include "taskctx/internal/variable.h"

namespace taskctx {
inline namespace v1 {
namespace {

// Owns a reference to a record, or nothing.
using RecordRef =
    std::unique_ptr<internal::VariableRecord,
                    decltype([](internal::VariableRecord* record) { internal::release(record); })>;

// Returns the record of the variable that `entry` belongs to; nothing if it is the
// inline value of a variable that is dead.
RecordRef record_of(const internal::Entry& entry) noexcept {
  if ((entry.key & internal::kBoxedBit) != 0) {
    internal::VariableRecord* record = internal::box_of(entry)->record;
    internal::add_ref(record);
    return RecordRef(record);
  }
  return RecordRef(internal::find_record(entry.key));
}

// Tells whether all that is set in `a` is set in `b`, to equal values.
bool covers(const internal::Node* a, const internal::Node* b) {
  std::uint32_t slot = 0;
  for (; const internal::Entry* left = internal::next_entry(a, slot); ++slot) {
    const RecordRef record = record_of(*left);
    if (record == nullptr) {
      continue;
    }
    const internal::Entry* right = internal::find_entry(b, left->key);
    if (right == nullptr) {
      return false;
    }
    const bool same = left->word == right->word;
    if (!same && (record->ops->equal == nullptr || !record->ops->equal(*left, *right))) {
      return false;
    }
  }
  return true;
}

}  // namespace

ContextEntry::ContextEntry(const ContextEntry& other) noexcept : record_(other.record_) {
  if (record_ != nullptr) {
    internal::add_ref(record_);
  }
}

ContextEntry::~ContextEntry() {
  if (record_ != nullptr) {
    internal::release(record_);
  }
}

void ContextIterator::settle() {
  entry_ = ContextEntry();
  for (; const internal::Entry* entry = internal::next_entry(node_.get(), slot_); ++slot_) {
    if (RecordRef record = record_of(*entry)) {
      entry_ = ContextEntry(record.release());
      return;
    }
  }
}

Context::Context(Context&& other) noexcept {
  if (other.entered_.load(std::memory_order_relaxed)) {
    self_.node = internal::NodeRef::share(other.self_.node).detach();
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
      std::abort();  // Some thread goes on in a context that no longer exists.
    }
    restore();
  }
  internal::release(self_.node);
}

void Context::enter() {
  // Acquires what the thread that left it last wrote; restore() releases.
  if (entered_.exchange(true, std::memory_order_acquire)) {
    throw ContextError("cannot enter context: it is entered already");
  }
  if (self_.id == 0) {
    self_.id = internal::draw_activation_id();
  }
  outer_node_ = internal::current_node();
  outer_activation_ = internal::current_activation();
  self_.origin = internal::Origin(outer_activation_);
  internal::set_current(self_.node, &self_);
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
  if (internal::current_activation() != &self_) {
    internal::report_misuse(
        "cannot leave context: it is not the innermost one that was entered here", {});
  }
  restore();
}

void Context::restore() noexcept {
  internal::set_current(outer_node_, outer_activation_);
  entered_.store(false, std::memory_order_release);
}

std::size_t Context::size() const {
  std::size_t count = 0;
  for (ContextIterator at = begin(); at != end(); ++at) {
    ++count;
  }
  return count;
}

bool Context::equal(const Context& a, const Context& b) {
  // Holds on to both nodes: operator== of a value may do what it likes, even to these contexts.
  const internal::NodeRef left = internal::NodeRef::share(a.self_.node);
  const internal::NodeRef right = internal::NodeRef::share(b.self_.node);
  return left.get() == right.get() ||
         (covers(left.get(), right.get()) && covers(right.get(), left.get()));
}

Context copy_context() noexcept {
  return internal::ContextAccess::make(internal::NodeRef::share(internal::current_node()));
}

}  // namespace v1
}  // namespace taskctx
