// SPDX-License-Identifier: Apache-2.0
//
// A variable whose type is chosen at run time, for random programs: each holds a number, in a value
// that is inline, boxed, move-only or counted.
//
//   std::unique_ptr<AnyVariable> variable = make_variable(1, "v1");
//   std::unique_ptr<AnyToken> token = variable->set(5);
//   variable->reset(*token);

#ifndef TASKCTX_TESTS_ANY_VARIABLE_H_
#define TASKCTX_TESTS_ANY_VARIABLE_H_

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "tests/support.h"

namespace taskctx_test {

// Returns the seed for random programs: TASKCTX_TEST_SEED, or another one each time. Prints it.
inline unsigned test_seed() {
  const char* given = std::getenv("TASKCTX_TEST_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  std::printf("TASKCTX_TEST_SEED=%u\n", seed);
  return seed;
}

// A number that can be moved, but not copied.
class MoveOnly {
 public:
  explicit MoveOnly(int value) : value_(value) {}
  MoveOnly(MoveOnly&&) noexcept = default;
  MoveOnly& operator=(MoveOnly&&) noexcept = default;
  MoveOnly(const MoveOnly&) = delete;
  MoveOnly& operator=(const MoveOnly&) = delete;
  ~MoveOnly() = default;

  [[nodiscard]] int value() const { return value_; }
  friend bool operator==(const MoveOnly& a, const MoveOnly& b) { return a.value_ == b.value_; }

 private:
  int value_;
};

// Turn numbers into values, and back.
template <typename T>
T value_of_number(int number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return "a text that is too long to be stored in the string itself " + std::to_string(number);
  } else {
    return T(number);
  }
}
inline int number_of(int value) { return value; }
inline int number_of(const std::string& value) {
  return std::stoi(value.substr(value.rfind(' ') + 1));
}
inline int number_of(const MoveOnly& value) { return value.value(); }
inline int number_of(const Tracked& value) { return value.value(); }

template <typename T>
std::optional<int> number_at(const T* value) {
  return value != nullptr ? std::optional(number_of(*value)) : std::nullopt;
}

// A token of an AnyVariable.
class AnyToken {
 public:
  AnyToken() = default;
  AnyToken(const AnyToken&) = delete;
  AnyToken& operator=(const AnyToken&) = delete;
  virtual ~AnyToken() = default;

  [[nodiscard]] virtual bool used() const = 0;
  [[nodiscard]] virtual std::optional<int> old_value() const = 0;
  // Returns the address of the ContextVar that made it.
  [[nodiscard]] virtual const void* variable() const = 0;
};

template <typename T>
class TypedToken : public AnyToken {
 public:
  explicit TypedToken(taskctx::Token<T>&& made) : token(std::move(made)) {}

  [[nodiscard]] bool used() const override { return token.used(); }
  [[nodiscard]] std::optional<int> old_value() const override {
    return number_at(token.old_value());
  }
  [[nodiscard]] const void* variable() const override { return &token.var(); }

  taskctx::Token<T> token;
};

// What a ContextVar<T> does, for any T.
class AnyVariable {
 public:
  AnyVariable() = default;
  AnyVariable(const AnyVariable&) = delete;
  AnyVariable& operator=(const AnyVariable&) = delete;
  virtual ~AnyVariable() = default;

  // Returns the address of the ContextVar, which is its identity.
  [[nodiscard]] virtual const void* address() const = 0;
  [[nodiscard]] virtual int get() const = 0;
  // A type that can't be copied has no such get(): find() stands in for it.
  [[nodiscard]] virtual int get(int otherwise) const = 0;
  [[nodiscard]] virtual std::optional<int> find() const = 0;
  [[nodiscard]] virtual std::optional<int> find_in(const taskctx::Context& context) const = 0;
  [[nodiscard]] virtual bool is_in(const taskctx::Context& context) const = 0;
  virtual std::unique_ptr<AnyToken> set(int number) const = 0;
  virtual std::unique_ptr<AnyToken> unset() const = 0;
  // `token` is one of a variable of the same kind.
  virtual void reset(AnyToken& token) const = 0;
  // Calls `body` in a scope in which the variable is set, or unset.
  virtual void scope(std::optional<int> number, const std::function<void()>& body) const = 0;
};

template <typename T>
class TypedVariable : public AnyVariable {
 public:
  explicit TypedVariable(std::string_view name) : variable(name) {}
  TypedVariable(std::string_view name, int default_number)
      : variable(name, value_of_number<T>(default_number)) {}

  [[nodiscard]] const void* address() const override { return &variable; }
  [[nodiscard]] int get() const override { return number_of(variable.get()); }
  [[nodiscard]] int get(int otherwise) const override {
    if constexpr (std::is_copy_constructible_v<T>) {
      return number_of(variable.get(value_of_number<T>(otherwise)));
    } else {
      return number_at(taskctx::copy_context().find(variable)).value_or(otherwise);
    }
  }
  [[nodiscard]] std::optional<int> find() const override { return number_at(variable.find()); }
  [[nodiscard]] std::optional<int> find_in(const taskctx::Context& context) const override {
    return number_at(context.find(variable));
  }
  [[nodiscard]] bool is_in(const taskctx::Context& context) const override {
    return context.contains(variable);
  }
  std::unique_ptr<AnyToken> set(int number) const override {
    return std::make_unique<TypedToken<T>>(variable.set(value_of_number<T>(number)));
  }
  std::unique_ptr<AnyToken> unset() const override {
    return std::make_unique<TypedToken<T>>(variable.unset());
  }
  void reset(AnyToken& token) const override {
    variable.reset(std::move(dynamic_cast<TypedToken<T>&>(token).token));
  }
  void scope(std::optional<int> number, const std::function<void()>& body) const override {
    if (number.has_value()) {
      const taskctx::Scope scope{variable, value_of_number<T>(*number)};
      body();
    } else {
      const taskctx::Scope scope{variable, taskctx::unset};
      body();
    }
  }

  const taskctx::ContextVar<T> variable;
};

// How many kinds of values there are.
inline constexpr std::size_t kKinds = 4;

// Makes a variable of kind number % kKinds.
template <typename... Default>
std::unique_ptr<AnyVariable> make_variable(std::size_t number, std::string_view name,
                                           Default... default_number) {
  switch (number % kKinds) {
    case 0:
      return std::make_unique<TypedVariable<int>>(name, default_number...);
    case 1:
      return std::make_unique<TypedVariable<std::string>>(name, default_number...);
    case 2:
      return std::make_unique<TypedVariable<MoveOnly>>(name, default_number...);
    default:
      return std::make_unique<TypedVariable<Tracked>>(name, default_number...);
  }
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_ANY_VARIABLE_H_
