// SPDX-License-Identifier: Apache-2.0
//
// TypeOps of a type: how its values are compared, printed, copied, merged and destroyed.

#ifndef TASKCTX_INTERNAL_CORE_TYPE_OPS_H_
#define TASKCTX_INTERNAL_CORE_TYPE_OPS_H_

#include <ostream>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

#include "taskctx/context_var_options.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename T>
void destroy_box(Mortal* box) noexcept {
  auto* const typed = static_cast<TypedBox<T>*>(box);
  VariableRecord* const record = typed->record();
  delete typed;
  release(record);
}

template <typename T>
bool equal_values(const Entry& a, const Entry& b) {
  return static_cast<bool>(*value_of<T>(a) == *value_of<T>(b));
}

// Tells whether values of type T can be compared. The standard library's containers, pairs, tuples
// and variants declare operator== whatever their elements are, and fail in its body: so the
// elements are asked, too.
template <typename T>
concept HasEquality = requires(const T& a, const T& b) { static_cast<bool>(a == b); };
template <typename T>
concept HasElements = requires { typename T::value_type; };
template <typename T>
struct Comparable : std::false_type {};
template <HasEquality T>
struct Comparable<T> : std::true_type {};
template <HasEquality T>
  requires HasElements<T>
struct Comparable<T> : std::disjunction<std::is_same<T, typename T::value_type>,
                                        Comparable<std::remove_cv_t<typename T::value_type>>> {};
template <typename... Ts>
struct Comparable<std::tuple<Ts...>> : std::conjunction<Comparable<std::remove_cv_t<Ts>>...> {};
template <typename... Ts>
struct Comparable<std::variant<Ts...>> : std::conjunction<Comparable<std::remove_cv_t<Ts>>...> {};
template <typename A, typename B>
struct Comparable<std::pair<A, B>> : Comparable<std::tuple<A, B>> {};

template <typename T>
concept Printable =
    std::is_enum_v<T> || requires(std::ostream& out, const T& value) { out << value; };

// Prints text in quotation marks, as std::quoted does.
void print_quoted(std::ostream& out, std::string_view text);

// Prints numbers as numbers, also those that are a char in disguise, and quotes strings.
template <typename T>
void print_value(std::ostream& out, const Entry& entry) {
  const T& value = *value_of<T>(entry);
  if constexpr (std::is_same_v<T, bool>) {
    out << (value ? "true" : "false");
  } else if constexpr (std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>) {
    out << static_cast<int>(value);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view> && std::is_class_v<T>) {
    print_quoted(out, std::string_view(value));
  } else if constexpr (std::is_enum_v<T> && !requires { out << value; }) {
    out << +static_cast<std::underlying_type_t<T>>(value);
  } else {
    out << value;
  }
}

// Borrows the value of an entry that may be unset.
template <typename T>
const T* find_value(const Entry& entry) noexcept {
  return entry.key != 0 ? value_of<T>(entry) : nullptr;
}

template <typename T>
Entry copy_value(VariableRecord* record, const Entry& entry) {
  const auto copy = reinterpret_cast<T (*)(const T&)>(record->rules.copy);
  return {entry.key, make_word<T>(record, copy(*value_of<T>(entry)))};
}

template <typename T>
Entry merge_values(VariableRecord* record, const Entry& left, const Entry& right) {
  const auto merge = reinterpret_cast<T (*)(const T&, const T&)>(record->rules.merge);
  return {right.key, make_word<T>(record, merge(*value_of<T>(left), *value_of<T>(right)))};
}

template <typename T>
void notify_of_change(const VariableRecord* record, const Entry& before, const Entry& after,
                      bool by_switch) {
  const auto notify = reinterpret_cast<void (*)(const Change<T>&)>(record->rules.on_change);
  notify({.before = find_value<T>(before), .after = find_value<T>(after), .by_switch = by_switch});
}

// Returns a name of the type, which is the same in all modules.
template <typename T>
const char* type_name() noexcept {
#ifdef __GXX_RTTI
  return typeid(T).name();
#else
  return __PRETTY_FUNCTION__;
#endif
}

template <typename T>
constexpr TypeOps make_type_ops() {
  TypeOps ops{.end = nullptr,
              .destroy = nullptr,
              .equal = nullptr,
              .print = nullptr,
              .copy = &copy_value<T>,
              .merge = &merge_values<T>,
              .notify = &notify_of_change<T>,
              .name = &type_name<T>,
              .size = sizeof(T),
              .alignment = alignof(T)};
  if constexpr (!kInline<T>) {
    ops.destroy = &destroy_box<T>;
    ops.end = kMayHold<T> ? &end : ops.destroy;
  }
  if constexpr (Comparable<T>::value) {
    ops.equal = &equal_values<T>;
  }
  if constexpr (Printable<T>) {
    ops.print = &print_value<T>;
  }
  return ops;
}

template <typename T>
inline constexpr TypeOps kTypeOps = make_type_ops<T>();

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_TYPE_OPS_H_
