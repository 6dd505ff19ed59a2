// SPDX-License-Identifier: Apache-2.0
//
// dict: a dictionary for each task, with strings for keys (the way of Python's aiotask-context).
//
//   taskctx::JobPool pool{{.context_factory = taskctx::dict::overlay}};
//   pool.submit([] {
//     taskctx::dict::set("user", "ann");
//     pool.submit([] { return taskctx::dict::get<std::string>("user"); }).get();  // "ann"
//   });
//
// A task has a dictionary if a factory of this file has made its context. What a task's own tasks
// get depends on the factory that makes theirs:
//
//              the child sees               the parent sees     clear() in the child removes
//   share      one dictionary for both, whoever writes to it    what is in it, for both
//   copy       copies of the values         nothing of it       the child's copies
//   overlay    the parent's, also what is   nothing of it       what the child has set
//              set later, below its own
//
// A task that is created without a factory shares its creator's dictionary.
//
// Threads:  all calls are thread-safe, and linearizable for one dictionary, whoever shares it.
// Lifetime: the caller owns what get() and find() return.
// Errors:   LookupError if a value has another type than it is asked for; ContextError where a
//           value can't be copied, and for set() and clear() where there is no dictionary.
//
// New code is better served by a ContextVar: it is typed, can't be misspelt, and costs a hundredth.

#ifndef TASKCTX_DICT_H_
#define TASKCTX_DICT_H_

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/internal/core/ending.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// A value of any type. Never changes.
class DictValue {
 public:
  DictValue(const DictValue&) = delete;
  DictValue& operator=(const DictValue&) = delete;
  virtual ~DictValue() = default;

  // Returns a copy, nullptr if the type has none.
  [[nodiscard]] virtual std::shared_ptr<const DictValue> copied() const = 0;
  [[nodiscard]] const void* type() const noexcept { return type_; }

 protected:
  explicit DictValue(const void* type) noexcept : type_(type) {}

 private:
  const void* const type_;
};

template <typename T>
inline constexpr char kDictType = 0;  // Its address stands for the type.

template <typename T>
class TypedDictValue final : public DictValue {
 public:
  explicit TypedDictValue(T initial) : DictValue(&kDictType<T>), value(std::move(initial)) {}

  [[nodiscard]] std::shared_ptr<const DictValue> copied() const override {
    if constexpr (std::is_copy_constructible_v<T>) {
      return make_mortal<const TypedDictValue>(value);
    } else {
      return nullptr;
    }
  }

  const T value;
};
template <typename T>
inline constexpr bool kMayHold<TypedDictValue<T>> = kMayHold<T>;

// Text literals are kept as strings.
template <typename T>
using DictStored = std::conditional_t<std::is_same_v<std::decay_t<T>, const char*> ||
                                          std::is_same_v<std::decay_t<T>, char*>,
                                      std::string, std::decay_t<T>>;

// Returns what is set under `key`, nullptr if nothing is. Throws LookupError if it is not of
// `type`.
std::shared_ptr<const DictValue> find_in_dict(std::string_view key, const void* type);
void set_in_dict(std::string_view key, std::shared_ptr<const DictValue> value);
// Counts the layers that a look-up here may pass; for tests.
std::size_t layers_of_dict();

}  // namespace internal

namespace dict {

// Make the context of a task whose parent is in `parent`, as the table above tells; with an empty
// dictionary if the parent has none, or is nullptr. All other bindings are the parent's. They are
// factories for JobOptions and JobPoolOptions, and can be used in factories of your own. copy()
// throws ContextError if a value has no copy constructor, and what copying throws.
[[nodiscard]] Context share(const Context* parent);
[[nodiscard]] Context copy(const Context* parent);
[[nodiscard]] Context overlay(const Context* parent);

// Returns the value under `key`, which stays alive as long as the caller holds it; nullptr if there
// is none, or no dictionary. O(log n).
template <typename T>
[[nodiscard]] std::shared_ptr<const T> find(std::string_view key) {
  std::shared_ptr<const internal::DictValue> found =
      internal::find_in_dict(key, &internal::kDictType<T>);
  if (found == nullptr) {
    return nullptr;
  }
  const T* value = &static_cast<const internal::TypedDictValue<T>&>(*found).value;
  return {std::move(found), value};
}

// Returns a copy of the value under `key`; nothing if there is none, or no dictionary.
template <std::copy_constructible T>
[[nodiscard]] std::optional<T> get(std::string_view key) {
  const std::shared_ptr<const T> value = find<T>(key);
  return value != nullptr ? std::optional<T>(*value) : std::nullopt;
}

// Does likewise, and returns `otherwise` if there is none. Its type is the value's; a text
// literal asks for a std::string.
template <typename T>
[[nodiscard]] internal::DictStored<T> get(std::string_view key, T&& otherwise) {
  using Stored = internal::DictStored<T>;
  const std::shared_ptr<const Stored> value = find<Stored>(key);
  return value != nullptr ? *value : Stored(std::forward<T>(otherwise));
}

// Sets `key` to `value`, of any movable type; a text literal becomes a std::string. O(n): the
// dictionary is copied on write, without its values. Throws ContextError where there is none.
template <typename T>
void set(std::string_view key, T&& value) {
  using Stored = internal::DictStored<T>;
  internal::set_in_dict(key, internal::make_mortal<const internal::TypedDictValue<Stored>>(
                                 Stored(std::forward<T>(value))));
}

// Removes what is set: the table above tells what, and for whom. Throws ContextError where there is
// no dictionary.
void clear();

// Returns the keys that are set, in alphabetical order; none where there is no dictionary.
[[nodiscard]] std::vector<std::string> keys();

}  // namespace dict
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_DICT_H_
