// SPDX-License-Identifier: Apache-2.0
//
// What algorithms of oneTBB call of a user's code: a body, a value, a range. Each throws where it
// is told to.
//
//   bomb.set(At::copy_of_body, 3);  // the fourth copy throws Thrown

#ifndef TASKCTX_TESTS_THROWING_H_
#define TASKCTX_TESTS_THROWING_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/tbb.h"

namespace taskctx_test {

namespace ctbb = taskctx::tbb;

// What may throw.
enum class At {
  nothing,
  body,
  copy_of_body,
  move_of_body,
  split_of_body,
  join,
  assign,
  merge,
  copy_of_value,
  move_of_value,
  swap_of_values,
  compare,
  copy_of_range,
  split_of_range,
  is_divisible,
  increment,
  dereference,
  compare_iterators,
  copy_of_iterator,
};

struct Thrown {
  At at;
};

// Throws at the n-th call for `at` since it was set.
class Bomb {
 public:
  void set(At at, int count) {
    at_ = at;
    left_ = count;
    is_blown_ = false;
  }
  void visit(At at) {
    if (at == at_ && left_.fetch_sub(1) == 0) {
      is_blown_ = true;
      throw Thrown{at};
    }
  }
  [[nodiscard]] bool is_blown() const { return is_blown_; }

 private:
  At at_ = At::nothing;
  std::atomic<int> left_{0};
  std::atomic<bool> is_blown_{false};
};
inline Bomb bomb;

// Merged in the join of a reduction, and copied when a task begins with it.
inline const taskctx::ContextVar<long> total(
    "total", {.policy = taskctx::policy::copy([](const long&) { return 0L; }),
              .merge = [](const long& left, const long& right) {
                bomb.visit(At::merge);
                return left + right;
              }});
inline const taskctx::ContextVar<std::string> user("user");

// A value, counted while it lives.
struct Value {
  explicit Value(long start) : number(start) { ++alive; }
  Value(const Value& other) : number(other.number) {
    bomb.visit(At::copy_of_value);
    ++alive;
  }
  Value(Value&& other) : number(other.number) {  // NOLINT(performance-noexcept-move-constructor)
    bomb.visit(At::move_of_value);
    ++alive;
  }
  Value& operator=(const Value& other) {  // NOLINT(bugprone-unhandled-self-assignment)
    bomb.visit(At::copy_of_value);
    number = other.number;
    return *this;
  }
  Value& operator=(Value&& other) {  // NOLINT(performance-noexcept-move-constructor)
    bomb.visit(At::move_of_value);
    number = other.number;
    return *this;
  }
  ~Value() { --alive; }
  friend void swap(Value& a, Value& b) {
    bomb.visit(At::swap_of_values);
    std::swap(a.number, b.number);
  }

  long number;
  static inline std::atomic<int> alive{0};
};

class Range {
 public:
  Range(int begin, int end) : begin_(begin), end_(end) {}
  Range(const Range& other) : begin_(other.begin_), end_(other.end_) {
    bomb.visit(At::copy_of_range);
  }
  Range(Range& other, ctbb::split /*split*/) : begin_(other.begin_), end_(other.end_) {
    bomb.visit(At::split_of_range);
    begin_ = begin_ + (end_ - begin_) / 2;
    other.end_ = begin_;
  }
  Range& operator=(const Range&) = delete;
  ~Range() = default;
  [[nodiscard]] bool empty() const { return begin_ >= end_; }
  [[nodiscard]] bool is_divisible() const {
    bomb.visit(At::is_divisible);
    return end_ - begin_ > 1;
  }
  [[nodiscard]] long size() const { return end_ - begin_; }

 private:
  int begin_;
  int end_;
};
// Counts from one number to another.
template <typename Category>
class Number {
 public:
  using iterator_category = Category;
  using value_type = int;
  using difference_type = std::ptrdiff_t;
  using pointer = const int*;
  using reference = const int&;

  Number() = default;
  explicit Number(int number) : number_(number) {}
  Number(const Number& other) : number_(other.number_) { bomb.visit(At::copy_of_iterator); }
  Number& operator=(const Number&) = default;
  ~Number() = default;
  reference operator*() const {
    bomb.visit(At::dereference);
    return number_;
  }
  Number& operator++() {
    bomb.visit(At::increment);
    ++number_;
    return *this;
  }
  Number operator++(int) {
    Number before(*this);
    ++*this;
    return before;
  }
  friend bool operator==(const Number& a, const Number& b) {
    bomb.visit(At::compare_iterators);
    return a.number_ == b.number_;
  }

 private:
  int number_ = 0;
};

constexpr int kSize = 64;
template <typename Category>
void visit_numbers() {
  std::atomic<int> sum{0};
  ctbb::parallel_for_each(Number<Category>(0), Number<Category>(kSize), [&](int number) {
    bomb.visit(At::body);
    sum += number;
  });
  if (!bomb.is_blown()) {
    EXPECT_EQ(sum, kSize * (kSize - 1) / 2);
  }
}

inline const Range& whole() {
  static const Range range(0, kSize);
  return range;
}

// A body of each kind; its own count tells whether oneTBB destroys all that it makes.
class Body {
 public:
  Body() { ++alive; }
  Body(const Body&) {
    bomb.visit(At::copy_of_body);
    ++alive;
  }
  Body(Body&&) {  // NOLINT(performance-noexcept-move-constructor)
    bomb.visit(At::move_of_body);
    ++alive;
  }
  Body(Body& /*other*/, ctbb::split /*split*/) {
    bomb.visit(At::split_of_body);
    ++alive;
  }
  Body& operator=(const Body&) = delete;
  ~Body() { --alive; }

  void operator()() const { bomb.visit(At::body); }
  void operator()(const Range& range) const {
    total.set(total.get(0) + range.size());
    bomb.visit(At::body);
  }
  void operator()(const Range& range) {
    std::as_const (*this)(range);
    sum += range.size();
  }
  template <typename Tag>
  void operator()(const Range& range, Tag /*tag*/) {
    bomb.visit(At::body);
    sum += range.size();
  }
  void join(const Body& right) {
    bomb.visit(At::join);
    sum += right.sum;
  }
  void reverse_join(const Body& left) {
    bomb.visit(At::join);
    sum += left.sum;
  }
  void assign(const Body& other) {
    bomb.visit(At::assign);
    sum = other.sum;
  }

  long sum = 0;
  static inline std::atomic<int> alive{0};
};

inline Value reduced(const Range& range, Value value) {
  total.set(total.get(0) + range.size());
  bomb.visit(At::body);
  value.number += range.size();
  return value;
}
inline Value joined(Value left, const Value& right) {
  bomb.visit(At::join);
  left.number += right.number;
  return left;
}
inline Value scanned(const Range& range, const Value& value, bool /*is_final*/) {
  bomb.visit(At::body);
  return Value(value.number + range.size());
}

inline void expect_all(long sum) {
  if (!bomb.is_blown()) {
    EXPECT_EQ(sum, kSize);
  }
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_THROWING_H_
