// SPDX-License-Identifier: Apache-2.0
//
// VariableRecord: what outlives a variable: its name, its key, its options and the functions for
// its type.

#ifndef TASKCTX_INTERNAL_CORE_RECORD_H_
#define TASKCTX_INTERNAL_CORE_RECORD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/key.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Entry;
struct VariableRecord;

// The functions for values whose type the library no longer knows: type_ops.h makes them.
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

// A variable's options, without its type: TypeOps knows the functions' real types.
struct VariableRules {
  enum class Propagation : std::uint8_t {
    inherit,
    never,
    copy,
    none,  // Where this one is set, no variable is propagated.
  };
  using Function = void (*)();

  Propagation propagation = Propagation::inherit;
  bool is_hidden = false;  // The library's own: snapshots don't show it.
  Function copy = nullptr;
  Function on_change = nullptr;
  Function merge = nullptr;
};

// The lasting part of a variable. Counted by the variable and by its boxes, so that a value can be
// named and destroyed after its variable's death. The records of static variables are permanent and
// not counted: so boxes made by many threads at once share no counter. Variables with one shared
// name have one record, which is counted.
struct VariableRecord : EndRule {
  VariableRecord(std::string_view variable_name, const TypeOps& type_ops, bool is_permanent)
      : EndRule{type_ops.destroy}, permanent(is_permanent), ops(&type_ops), name(variable_name) {}

  std::atomic<std::uint32_t> refs{1};
  const bool permanent;
  // Written once, with the slot registry's lock; read without it once the variable has published
  // it.
  std::uint64_t key = kUnassigned;
  const TypeOps* const ops;
  VariableRules rules;  // Like the key.
  const std::string name;

  // Guarded by the slot registry's lock:
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
// Drops one reference. Destroys the record with the last one.
void release(VariableRecord* record) noexcept;

// The owner of a reference to a record, or of nothing.
using RecordRef =
    std::unique_ptr<VariableRecord,
                    decltype([](VariableRecord* record) noexcept { release(record); })>;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_RECORD_H_
