// SPDX-License-Identifier: Apache-2.0
//
// What is taken for a value: what set() takes, wherever a value is given. Nothing is cast.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/dict.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/task.h"

namespace {

using namespace taskctx;

enum class Level : std::uint8_t { low, high };
enum Old { kOld = 3 };

struct Explicit {
  explicit Explicit(int initial) : value(initial) {}
  int value;
};

template <typename T, typename V>
constexpr bool kSetTakes =
    requires(const ContextVar<T>& variable, V&& value) { variable.set(std::forward<V>(value)); };
template <typename T, typename V>
constexpr bool kScopeTakes = requires(const ContextVar<T>& variable, V&& value) {
  Scope{variable, std::forward<V>(value)};
};
template <typename T, typename V>
constexpr bool kLaterInScope =
    requires(const ContextVar<T>& variable, V&& value, const ContextVar<int>& first) {
      Scope{first, 1, variable, std::forward<V>(value)};
    };
template <typename T, typename V>
constexpr bool kMemberTakes =
    std::is_constructible_v<std::optional<Scope<T>>, std::in_place_t, const ContextVar<T>&, V>;
template <typename T, typename V>
constexpr bool kScopeAgrees =
    kScopeTakes<T, V> == kSetTakes<T, V> && kLaterInScope<T, V> == kSetTakes<T, V> &&
    kMemberTakes<T, V> == kSetTakes<T, V>;
template <typename P, typename V>
constexpr bool kReturns =
    requires(P promise, V&& value) { promise.return_value(std::forward<V>(value)); };

// M35: a Scope takes what set() takes, in each of its places and ways.
static_assert(!kSetTakes<std::int64_t, const char*> && kScopeAgrees<std::int64_t, const char*>);
static_assert(kScopeAgrees<std::int64_t, const char (&)[5]>);
static_assert(!kSetTakes<Level, int> && kScopeAgrees<Level, int> && kScopeAgrees<Level, Level&>);
static_assert(kScopeAgrees<int, Level> && kSetTakes<int, Old> && kScopeAgrees<int, Old>);
static_assert(!kSetTakes<int*, std::intptr_t> && kScopeAgrees<int*, std::intptr_t>);
static_assert(kScopeAgrees<int*, const int*> && kScopeAgrees<int*, std::nullptr_t>);
static_assert(kScopeAgrees<char*, const char*> && kScopeAgrees<int*, void*>);
static_assert(kScopeAgrees<std::unique_ptr<int>, int*>);
static_assert(kScopeAgrees<std::unique_ptr<int>, std::unique_ptr<int>>);
static_assert(!kSetTakes<Explicit, int> && kScopeAgrees<Explicit, int>);
static_assert(kScopeAgrees<taskctx::Shared<int>, int>);
static_assert(kScopeAgrees<std::string, const char*> && kScopeAgrees<std::string, std::size_t>);
static_assert(kScopeAgrees<float, double> && kScopeAgrees<std::size_t, int&>);

// M35: so do those that return a value, and a call-site default.
template <typename T>
using Promise = taskctx::internal::TaskPromise<T>;
static_assert(kReturns<Promise<long>, int> && kReturns<Promise<std::string>, const char*>);
static_assert(!kReturns<Promise<Level>, int> && !kReturns<Promise<std::int64_t>, const char*>);
static_assert(!kReturns<Promise<std::unique_ptr<int>>, int*> && !kReturns<Promise<Explicit>, int>);
// A reference to what ends with the coroutine is none.
static_assert(kReturns<Promise<std::string&>, std::string&>);
static_assert(!kReturns<Promise<std::string&>, std::string>);
static_assert(kReturns<Promise<const std::string&>, const std::string&>);
static_assert(kReturns<Promise<const std::string&>, std::reference_wrapper<const std::string>>);
static_assert(!kReturns<Promise<const std::string&>, std::string>);
static_assert(!kReturns<Promise<const std::string&>, const std::string>);
static_assert(!kReturns<Promise<const std::string&>, const char*>);

// M35: numbers are converted without a warning, as always.
TEST(Conversions, NumbersMayBeOfAnotherType) {
  const ContextVar<std::size_t> size("size");
  const ContextVar<std::uint8_t> byte("byte");
  const ContextVar<float> real("real");
  int number = 5;
  const Scope scope{size, number, byte, number, real, 2.5};
  EXPECT_EQ(size.get(), 5u);
  EXPECT_EQ(byte.get(), 5);
  EXPECT_EQ(real.get(), 2.5F);
  EXPECT_EQ(ContextVar<std::size_t>("unset").get(number), 5u);
}

// Prefers another constructor when it is cast than when it is passed.
struct Chosen {
  Chosen(double /*passed*/) : how("passed") {}  // NOLINT(google-explicit-constructor)
  explicit Chosen(int /*cast*/) : how("cast") {}
  std::string how;
};

// M35: a value is made as set() makes it, also where a type has more ways.
TEST(Conversions, AreTheOnesOfAnArgument) {
  const ContextVar<Chosen> variable("variable");
  variable.set(1);
  EXPECT_EQ(variable.get().how, "passed");
  const Scope scope{variable, 1};
  EXPECT_EQ(variable.get().how, "passed");
  EXPECT_EQ(ContextVar<Chosen>("unset").get(1).how, "passed");
  const auto task = []() -> taskctx::Task<Chosen> { co_return 1; };
  EXPECT_EQ(taskctx::sync_wait(task()).how, "passed");
}

// M35: a dictionary keeps what it gets; only text becomes a std::string.
TEST(Conversions, OfADictionaryAreThoseOfText) {
  struct Text {
    operator const char*() const { return "text"; }  // NOLINT(google-explicit-constructor)
  };
  taskctx::dict::share(nullptr).run([] {
    char array[] = "array";
    taskctx::dict::set("array", array);
    taskctx::dict::set("null", nullptr);
    taskctx::dict::set("text", Text());
    EXPECT_EQ(taskctx::dict::get<std::string>("array"), "array");
    EXPECT_NE(taskctx::dict::find<std::nullptr_t>("null"), nullptr);
    EXPECT_NE(taskctx::dict::find<Text>("text"), nullptr);
  });
}

}  // namespace
