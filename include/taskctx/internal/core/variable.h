// SPDX-License-Identifier: Apache-2.0
//
// Variable: the identity of a ContextVar, without its type.
//
// A variable gets its key, and with it its slot, at its first set(). So a variable that is
// constant-initialised needs no code before main, one that is never set costs nothing, and slots
// stay dense.

#ifndef TASKCTX_INTERNAL_CORE_VARIABLE_H_
#define TASKCTX_INTERNAL_CORE_VARIABLE_H_

#include <atomic>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns the record of the live variable with this key, with a reference for the caller; nullptr
// when it is dead.
VariableRecord* find_record(std::uint64_t key) noexcept;

class Variable {
 public:
  // Borrows the name in a constant initialiser, where it is a literal; copies it otherwise.
  constexpr Variable(std::string_view name, const TypeOps& ops) : name_(name), ops_(&ops) {
    if (!std::is_constant_evaluated()) {
      copy_name();
    }
  }
  Variable(const Variable&) = delete;  // A variable is its identity.
  Variable& operator=(const Variable&) = delete;
  ~Variable() {
    if (record() != nullptr && !is_static(this)) {
      retire();
    }
  }

  [[nodiscard]] std::string_view name() const noexcept { return name_; }

  // Returns the key, or kUnassigned.
  [[nodiscard]] std::uint64_t key() const noexcept {
    return key_.load(std::memory_order_acquire);  // Pairs with publish().
  }

  // Where a wide node has the variable's entry: the number of its leaf, and the byte offset in
  // that. Both stand for another variable's entry while there is no key, and for slots beyond those
  // leaves.
  [[nodiscard]] std::uint32_t leaf_number() const noexcept {
    return leaf_number_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t leaf_position() const noexcept {
    return leaf_position_.load(std::memory_order_relaxed);
  }

  // Returns the key if a write needs only that; kUnassigned if assign_key() has to be called first,
  // or writes are watched.
  [[nodiscard]] std::uint64_t write_key() const noexcept {
    return write_key_.load(std::memory_order_acquire);  // Pairs with publish().
  }

  // Returns the key. The first call draws it, and makes `rules` those of the variable. Thread-safe.
  // Throws std::bad_alloc, and as check_usable() does.
  std::uint64_t assign_key(const VariableRules& rules) const {
    return home_->assign_key(*this, rules);
  }
  static std::uint64_t assign_key_here(const Variable& variable, const VariableRules& rules);

  // Takes the record, and with it the key, of all variables that share this one's name. The first
  // one makes both. If their type is another, the variable is refused. To be called before other
  // threads see the variable. Throws std::bad_alloc.
  void share(const VariableRules& rules);

  // Throws std::invalid_argument if the variable was refused.
  void check_usable() const {
    if (key_.load(std::memory_order_relaxed) == kRefused) [[unlikely]] {
      throw_refused();
    }
  }

  // Gives the slot back, if no other variable shares it. Not for variables with static storage
  // duration: those are used until the process has ended, by objects that are destroyed after them
  // and by threads that still run.
  void retire() noexcept;

  // Returns the record of a variable that has its key.
  [[nodiscard]] VariableRecord* record() const noexcept {
    // Pairs with the release in assign_key_here().
    return record_.load(std::memory_order_acquire);
  }

 private:
  void copy_name();
  [[noreturn]] void throw_refused() const;
  // Publishes the key of `record`, which is this variable's, to key() and write_key().
  void publish(const VariableRecord& record) const noexcept;

  mutable std::atomic<std::uint64_t> key_{kUnassigned};
  mutable std::atomic<std::uint64_t> write_key_{kUnassigned};
  mutable std::atomic<std::uint32_t> leaf_number_{0};
  mutable std::atomic<std::uint32_t> leaf_position_{kNodeHeader};
  std::string_view name_;
  const TypeOps* ops_;
  const Copy* home_ = &own_copy;  // The copy that gives the slot, and knows the rules.
  mutable std::atomic<VariableRecord*> record_{nullptr};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_VARIABLE_H_
