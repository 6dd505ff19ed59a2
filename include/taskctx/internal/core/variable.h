// SPDX-License-Identifier: Apache-2.0
//
// Variable: the identity of a ContextVar, without its type. VariableRecord: what outlives it.
//
// A variable gets its key, and with it its slot, at its first set(). So a variable that is
// constant-initialised needs no code before main, one that is never set costs nothing, and slots
// stay dense.

#ifndef TASKCTX_INTERNAL_CORE_VARIABLE_H_
#define TASKCTX_INTERNAL_CORE_VARIABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Box;
struct Entry;
struct VariableRecord;

inline constexpr std::uint32_t kBoxedBit = 1;
inline constexpr std::uint32_t kNodeHeader = 32;  // sizeof(Node)
inline constexpr std::uint32_t kSlotSize = 16;    // sizeof(Entry)
inline constexpr std::uint32_t kLeafSlots = 62;   // A full leaf is as large as malloc serves fast.
// The first offset that has no place in a wide node's own 64 leaves.
inline constexpr std::uint32_t kWideLimit = 64 * kLeafSlots * kSlotSize;
// The key of a variable that was never set: no entry has it, and a look-up needs no special case.
inline constexpr std::uint64_t kUnassigned = kWideLimit - 1;
// The key of a variable that can't be used; no entry has it either. (It is a deep one.)
inline constexpr std::uint64_t kRefused = ~std::uint64_t{0};

// Tells whether the slot has no place in a wide node's own leaves.
inline bool is_deep(std::uint64_t key) noexcept {
  return static_cast<std::uint32_t>(key) >= kWideLimit;
}

inline std::uint32_t slot_of(std::uint64_t key) noexcept {
  return static_cast<std::uint32_t>(key) / kSlotSize;
}

// Values of these types live in the node itself; all others live in a box.
template <typename T>
inline constexpr bool kInline =
    sizeof(T) <= 8 && 8 % alignof(T) == 0 &&
    std::conjunction_v<std::is_trivially_copyable<T>, std::is_copy_constructible<T>>;

// What the library does to values whose type it no longer knows.
struct TypeOps {
  void (*end)(Mortal* box) noexcept;      // Destroys it, at once where it can't hold others;
  void (*destroy)(Mortal* box) noexcept;  // here always. Both are nullptr for inline values.
  bool (*equal)(const Entry& a, const Entry& b);  // operator==, or nullptr when there is none
  void (*print)(std::ostream& out, const Entry& entry);  // operator<<, or nullptr
  // Makes the value that a task gets by VariableRules::copy. The caller owns what is in it.
  Entry (*copy)(VariableRecord* record, const Entry& entry);
  // Makes one value of two by VariableRules::merge. The caller owns what is in it.
  Entry (*merge)(VariableRecord* record, const Entry& left, const Entry& right);
  // Calls VariableRules::on_change; entries without key stand for "unset".
  void (*notify)(const VariableRecord* record, const Entry& before, const Entry& after,
                 bool by_switch);
  // The type, as other libraries see it.
  const char* (*name)() noexcept;
  std::size_t size;
  std::size_t alignment;
};

// What a variable's options say, without its type: TypeOps knows the functions' real types.
struct VariableRules {
  enum class Propagation : std::uint8_t {
    inherit,
    never,
    copy,
    none,  // Of all variables, where this one is set.
  };
  using Function = void (*)();

  Propagation propagation = Propagation::inherit;
  bool is_hidden = false;  // The library's own: snapshots don't show it.
  Function copy = nullptr;
  Function on_change = nullptr;
  Function merge = nullptr;
};

// Runs `compute(call)` in an empty context. Throws LookupError if the default of `variable` is
// being computed around here already.
void compute_default(const class Variable& variable, void (*compute)(const void* call),
                     const void* call);

// The lasting part of a variable. Counted by the variable and by its boxes, so that a value can be
// named and destroyed after its variable's death. The records of static variables are permanent and
// not counted: boxes made by many threads at once share no counter then. Variables with one shared
// name have one record, which is counted.
struct VariableRecord : EndRule {
  VariableRecord(std::string_view variable_name, const TypeOps& type_ops, bool is_permanent)
      : EndRule{type_ops.destroy}, permanent(is_permanent), ops(&type_ops), name(variable_name) {}

  std::atomic<std::uint32_t> refs{1};
  const bool permanent;
  std::uint64_t key =
      kUnassigned;  // Guarded by the registry's mutex until the variable publishes it.
  const TypeOps* const ops;
  VariableRules rules;  // Like the key.
  const std::string name;

  // Guarded by the registry's mutex:
  std::uint32_t variables = 1;  // How many have this record.
  bool is_shared = false;       // By its name.
  // The type that others with the shared name have: the variable is refused.
  const TypeOps* taken_by = nullptr;
  VariableRecord* next = nullptr;  // In the list of permanent records, or of those with names.
};

inline void add_ref(VariableRecord* record) noexcept {
  if (!record->permanent) {
    record->refs.fetch_add(1, std::memory_order_relaxed);
  }
}
void release(VariableRecord* record) noexcept;

// Owns a reference to a record, or nothing.
using RecordRef =
    std::unique_ptr<VariableRecord,
                    decltype([](VariableRecord* record) noexcept { release(record); })>;

// Returns the record of the live variable with this key, with a reference for the caller; nullptr
// when it is dead.
VariableRecord* find_record(std::uint64_t key) noexcept;

// For other copies of the library: for this copy's variables only.
VariableRecord* find_own_record(std::uint64_t key) noexcept;
void retire_record(VariableRecord* record) noexcept;

// For a fork: takes and gives back the registry's lock.
void lock_variables() noexcept;
void unlock_variables() noexcept;

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
  [[nodiscard]] std::uint64_t key() const noexcept { return key_.load(std::memory_order_acquire); }

  // Where a wide node has the variable's entry: the number of its leaf, and the byte offset in
  // that. Both are 0, somebody else's place, while there is no key, and for slots beyond those
  // leaves.
  [[nodiscard]] std::uint32_t leaf_number() const noexcept {
    return leaf_number_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t leaf_position() const noexcept {
    return leaf_position_.load(std::memory_order_relaxed);
  }

  // Returns the key where a write needs nothing but the key; kUnassigned where assign_key() has to
  // be called first, or writes are watched.
  [[nodiscard]] std::uint64_t write_key() const noexcept {
    return write_key_.load(std::memory_order_acquire);
  }

  // Returns the key, and draws it at the first call, from which on `rules` hold. Thread-safe.
  // Throws std::bad_alloc, and as check_usable() does.
  std::uint64_t assign_key(const VariableRules& rules) const {
    return home_->assign_key(*this, rules);
  }
  static std::uint64_t assign_key_here(const Variable& variable, const VariableRules& rules);

  // Takes the record, and with it the key, of all variables that share this one's name; is the
  // first of them, or is refused, if their type is another. Before other threads see the variable.
  // Throws std::bad_alloc.
  void share(const VariableRules& rules);

  // Throws std::invalid_argument if the variable was refused.
  void check_usable() const {
    if (key_.load(std::memory_order_relaxed) == kRefused) [[unlikely]] {
      throw_refused();
    }
  }

  // Gives the slot back, where it is not shared. Not for variables with static storage duration:
  // those are used until the process has ended, by whatever is destroyed after them and by threads
  // that still run.
  void retire() noexcept;

  // Returns the record of a variable that has its key.
  [[nodiscard]] VariableRecord* record() const noexcept {
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
  const Copy* home_ = &own_copy;  // Where its slot comes from, and its rules are known.
  mutable std::atomic<VariableRecord*> record_{nullptr};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_VARIABLE_H_
