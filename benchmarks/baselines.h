// SPDX-License-Identifier: Apache-2.0
//
// The contenders: taskctx, and what people use instead of it. Each holds `size` ints, of which
// number i is value_of(i), while it lives, and has the same members as the others:
//
//   read(i)                   the int number i
//   read()                    the one in the middle, whose place is known before the loop
//   set_scoped(i, v, body)    sets it while the body runs
//   set(i, v)                 sets it for good
//   capture()                 takes what a task would carry
//   bind(body)                captures, and returns what puts that in place, runs the body and puts
//                             back what was there
//
// Those that can't be captured lack the last two. The reads are inlined whatever the compiler
// thinks of a loop that is unrolled: what they call in turn is up to it.

#ifndef TASKCTX_BENCHMARKS_BASELINES_H_
#define TASKCTX_BENCHMARKS_BASELINES_H_

#include <absl/container/flat_hash_map.h>
#include <oneapi/tbb/enumerable_thread_specific.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "benchmarks/bench.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace bench {

// Is 0 in the middle, where loops add it to an index to make the next read depend on it.
inline int value_of(std::size_t i, std::size_t size) {
  return static_cast<int>(i) - static_cast<int>(size / 2);
}

// A row of variables that are made at run time, without defaults.
template <typename T>
class Variables {
 public:
  explicit Variables(std::size_t size) : first_(allocator_.allocate(size)), size_(size) {
    for (std::size_t i = 0; i < size; ++i) {
      std::construct_at(first_ + i, "variable " + std::to_string(i));
    }
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  // The last one first: so the next row gets the same slots, in the same order.
  ~Variables() {
    for (std::size_t i = size_; i-- > 0;) {
      std::destroy_at(first_ + i);
    }
    allocator_.deallocate(first_, size_);
  }

  const taskctx::ContextVar<T>& operator[](std::size_t i) const { return first_[i]; }

 private:
  [[no_unique_address]] std::allocator<taskctx::ContextVar<T>> allocator_;
  taskctx::ContextVar<T>* const first_;
  const std::size_t size_;
};

class Taskctx {
 public:
  static constexpr const char* kName = "taskctx";

  explicit Taskctx(std::size_t size) : variables_(size), middle_(variables_[size / 2]) {
    context_.enter();
    for (std::size_t i = 0; i < size; ++i) {
      variables_[i].set(value_of(i, size));
    }
  }
  ~Taskctx() { context_.leave(); }

  [[nodiscard, gnu::always_inline]] int read() const { return middle_.get(); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return variables_[i].get(); }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    const taskctx::Scope scope{variables_[i], value};
    body();
  }
  void set(std::size_t i, int value) const { variables_[i].set(value); }
  [[nodiscard]] taskctx::Context capture() const { return taskctx::copy_context(); }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return taskctx::bind(body);
  }

 private:
  Variables<int> variables_;
  const taskctx::ContextVar<int>& middle_;
  taskctx::Context context_;
};

extern constinit thread_local int thread_local_int;
extern constinit thread_local int thread_local_ints[kMaxSize];

class ThreadLocal {
 public:
  static constexpr const char* kName = "thread_local";

  explicit ThreadLocal(std::size_t size);

  [[nodiscard, gnu::always_inline]] int read() const { return thread_local_int; }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return thread_local_ints[i]; }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    const int old = std::exchange(thread_local_ints[i], value);
    body();
    thread_local_ints[i] = old;
  }
};

// As thread_locals are whose type has a constructor, such as std::string: whoever uses one in
// another file calls a wrapper first, which looks whether it was initialised.
struct DynamicInts {
  DynamicInts();
  int values[kMaxSize] = {};
};
extern thread_local DynamicInts dynamic_ints;

class ThreadLocalWrapper {
 public:
  static constexpr const char* kName = "thread_local_wrapper";

  explicit ThreadLocalWrapper(std::size_t size);

  [[nodiscard, gnu::always_inline]] int read() const { return dynamic_ints.values[middle_]; }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return dynamic_ints.values[i]; }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    const int old = std::exchange(dynamic_ints.values[i], value);
    body();
    dynamic_ints.values[i] = old;
  }

 private:
  std::size_t middle_;
};

// A struct that every function passes on by reference.
class Parameter {
 public:
  static constexpr const char* kName = "parameter";

  explicit Parameter(std::size_t size);

  [[nodiscard, gnu::always_inline]] int read() const { return values_[middle_]; }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return values_[i]; }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) {
    const int old = std::exchange(values_[i], value);
    body();
    values_[i] = old;
  }

 private:
  std::size_t middle_;
  std::unique_ptr<int[]> values_;
};

using Map = absl::flat_hash_map<std::size_t, int>;

// An immutable map that is replaced by a changed copy at each set.
class SharedMap {
 public:
  static constexpr const char* kName = "shared_ptr_map";
  using Captured = std::shared_ptr<const Map>;
  static constinit thread_local Captured current;

  explicit SharedMap(std::size_t size);
  ~SharedMap() { current = nullptr; }

  [[nodiscard, gnu::always_inline]] int read() const { return read(middle_); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const {
    return current->find(i)->second;
  }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    Captured old = current;
    set(i, value);
    body();
    current = std::move(old);
  }
  void set(std::size_t i, int value) const {
    auto changed = std::make_shared<Map>(*current);
    changed->find(i)->second = value;
    current = std::move(changed);
  }
  [[nodiscard]] Captured capture() const { return current; }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return [captured = current, body] {
      Captured old = std::exchange(current, captured);
      body();
      current = std::move(old);
    };
  }

 private:
  std::size_t middle_;
};

// A map that is copied for every task.
class MapCopy {
 public:
  static constexpr const char* kName = "map_copy";
  static thread_local Map current;

  explicit MapCopy(std::size_t size);
  ~MapCopy() { current = {}; }

  [[nodiscard, gnu::always_inline]] int read() const { return read(middle_); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const {
    return current.find(i)->second;
  }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    const int old = std::exchange(current.find(i)->second, value);
    body();
    current.find(i)->second = old;
  }
  void set(std::size_t i, int value) const { current.find(i)->second = value; }
  [[nodiscard]] Map capture() const { return current; }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return [captured = current, body]() mutable {
      std::swap(current, captured);
      body();
      std::swap(current, captured);
    };
  }

 private:
  std::size_t middle_;
};

class Ets {
 public:
  static constexpr const char* kName = "enumerable_thread_specific";

  explicit Ets(std::size_t size);

  [[nodiscard, gnu::always_inline]] int read() const { return read(middle_); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return values_[i].local(); }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    int& place = values_[i].local();
    const int old = std::exchange(place, value);
    body();
    place = old;
  }

 private:
  std::size_t middle_;
  mutable std::deque<oneapi::tbb::enumerable_thread_specific<int>> values_;
};

// One thread_local pointer to what the task's creator owns: the least that a hand-written carrier
// can do, with the lifetime left to the program.
class ThreadLocalPointer {
 public:
  static constexpr const char* kName = "thread_local_pointer";
  using Captured = const int*;
  static constinit thread_local const int* current;

  explicit ThreadLocalPointer(std::size_t size);
  ~ThreadLocalPointer() { current = nullptr; }

  [[nodiscard, gnu::always_inline]] int read() const { return current[middle_]; }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return current[i]; }
  [[nodiscard]] Captured capture() const { return current; }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return [captured = current, body] {
      Captured old = std::exchange(current, captured);
      body();
      current = old;
    };
  }

 private:
  std::size_t middle_;
  std::unique_ptr<int[]> values_;
};

// The same with two words, as taskctx has them. Two variables: g++ would move a struct of two as
// one vector, which no store of one half can be forwarded to.
class ThreadLocalTwoWords {
 public:
  static constexpr const char* kName = "thread_local_two_words";
  struct Captured {
    const int* values;
    const void* owner;
  };
  static constinit thread_local const int* current;
  static constinit thread_local const void* current_owner;

  explicit ThreadLocalTwoWords(std::size_t size);
  ~ThreadLocalTwoWords() { current = nullptr; }

  [[nodiscard, gnu::always_inline]] int read() const { return current[middle_]; }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return current[i]; }
  [[nodiscard]] Captured capture() const { return {current, current_owner}; }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return [captured = capture(), body] {
      const int* old = std::exchange(current, captured.values);
      const void* old_owner = std::exchange(current_owner, captured.owner);
      body();
      current = old;
      current_owner = old_owner;
    };
  }

 private:
  std::size_t middle_;
  std::unique_ptr<int[]> values_;
};

extern thread_local std::string thread_local_string;

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_BASELINES_H_
