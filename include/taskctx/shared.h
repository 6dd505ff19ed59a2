// SPDX-License-Identifier: Apache-2.0
//
// Shared and Overlay: values that tasks share on purpose, because a plain value is never seen to
// change by anybody else.
//
//   inline taskctx::ContextVar<taskctx::Shared<int>> hits{"hits"};
//   taskctx::Scope scope{hits, taskctx::Shared<int>(0)};
//   pool.post([] { hits.get().update([](int& count) { ++count; }); });  // seen by all tasks of
//   ours
//
//   inline taskctx::ContextVar<taskctx::Overlay<Config>> config{"config"};
//   pool.post([] { config.get().store(Config::quiet()); });  // seen by that task and its own tasks
//
// Threads:  all calls are thread-safe and linearizable: each takes effect at one moment. A lock is
//           held for a few instructions, never while code of T or of the caller runs.
// Lifetime: the value lives as long as anything that refers to it. load() copies it,
//           because another thread may replace it at any time.
// Errors:   what copying T and the caller's function throw; nothing has changed then.
//
// Both are handles, like a shared_ptr: copies refer to the same value, and `const` is the handle's.

#ifndef TASKCTX_SHARED_H_
#define TASKCTX_SHARED_H_

#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "taskctx/internal/ending.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A value that may be missing, over another cell that shows through where it is. Cells that lie on
// each other have one lock, so that a look through all of them is one moment.
template <typename T>
class Cell {
 public:
  using Value = std::shared_ptr<const T>;

  explicit Cell(Value value) : mutex_(std::make_shared<std::mutex>()), own_(std::move(value)) {}
  explicit Cell(std::shared_ptr<Cell> below) : mutex_(below->mutex_), below_(std::move(below)) {}
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  [[nodiscard]] Value find() const {
    const std::lock_guard lock(*mutex_);
    return effective();
  }
  [[nodiscard]] bool has_own() const {
    const std::lock_guard lock(*mutex_);
    return own_ != nullptr;
  }

  // Puts `fresh` in the place of this cell's own value. That is destroyed without the lock.
  void store(Value fresh) {
    const std::lock_guard lock(*mutex_);
    own_.swap(fresh);
  }
  // Does so if `expected` is still what find() returns.
  [[nodiscard]] bool store_if(const Value& expected, Value fresh) {
    const std::lock_guard lock(*mutex_);
    if (effective() != expected) {
      return false;
    }
    own_.swap(fresh);
    return true;
  }

  // Removes this cell's own value, unless nothing would show through.
  void clear() {
    Value removed;
    const std::lock_guard lock(*mutex_);
    if (below_ != nullptr) {
      own_.swap(removed);
    }
  }

  // Replaces the value by one that `function` makes of a copy of it.
  template <typename F>
  T update(F& function) {
    while (true) {
      const Value before = find();
      auto after = make_mortal<T>(*before);
      std::invoke(function, *after);
      T result = *after;
      if (store_if(before, std::move(after))) {
        return result;
      }
    }
  }

 private:
  // With the lock.
  [[nodiscard]] const Value& effective() const {
    const Cell* cell = this;
    while (cell->own_ == nullptr && cell->below_ != nullptr) {
      cell = cell->below_.get();
    }
    return cell->own_;
  }

  const std::shared_ptr<std::mutex> mutex_;
  std::shared_ptr<Cell> below_;
  Value own_;
};

}  // namespace internal

// What Shared and Overlay have in common.
template <typename T>
class CellHandle {
 public:
  // Returns a copy of the value that is seen here.
  [[nodiscard]] T load() const { return *cell_->find(); }

  // Returns the value itself, which never changes: a store() puts another in its place. Keeps it
  // alive. O(1), copies nothing.
  [[nodiscard]] std::shared_ptr<const T> snapshot() const { return cell_->find(); }

  // Puts `value` in the place of the value.
  void store(T value) const { cell_->store(internal::make_mortal<const T>(std::move(value))); }

  // Calls `function(T&)` on a copy of the value, stores the copy, and returns a copy of that. If
  // another thread has stored something meanwhile the function is called again, on a copy of that.
  // It must not write to this value itself: it would be called for ever.
  template <std::invocable<T&> F>
  T update(F function) const {
    return cell_->update(function);
  }
  template <typename F>
  requires(!std::invocable<F, T&>)
      __attribute__((unavailable("update() takes a function that changes the value: [](T& value)")))
      T update(F /*function*/) const {
    return load();
  }

  // Tells whether both are handles of one value.
  [[nodiscard]] friend bool operator==(const CellHandle& a, const CellHandle& b) {
    return a.cell_ == b.cell_;
  }

 protected:
  explicit CellHandle(T value)
      : cell_(internal::make_mortal<internal::Cell<T>>(
            internal::make_mortal<const T>(std::move(value)))) {}
  explicit CellHandle(std::shared_ptr<internal::Cell<T>> cell) : cell_(std::move(cell)) {}

  std::shared_ptr<internal::Cell<T>> cell_;
};

// A value that all tasks share that inherit it: what one of them stores, all see. T is copyable.
template <typename T>
class Shared : public CellHandle<T> {
 public:
  // Makes a value of its own, shared with nobody yet.
  Shared() requires std::default_initializable<T> : Shared(T()) {}
  explicit Shared(T value) : CellHandle<T>(std::move(value)) {}
};

// A value over the parent's: a task sees what its parent has, also what that stores later, until it
// stores something itself; that is seen by it and by its own tasks only. T is copyable.
//
// A task gets its layer when it is created (see Policy). A look-up walks up to the next task that
// has stored something: O(tasks on the way). store() and update() write to the layer of this task.
template <typename T>
class Overlay : public CellHandle<T> {
 public:
  // Makes the lowest layer, with a value.
  Overlay() requires std::default_initializable<T> : Overlay(T()) {}
  explicit Overlay(T value) : CellHandle<T>(std::move(value)) {}

  // Makes an empty layer over this one: what a task gets of its parent's.
  [[nodiscard]] static Overlay inherited(const Overlay& parents) {
    return Overlay(internal::make_mortal<internal::Cell<T>>(parents.cell_));
  }

  // Tells whether this layer has a value of its own.
  [[nodiscard]] bool is_overridden() const { return this->cell_->has_own(); }

  // Takes this layer's value away, so that the parent's is seen again. In the lowest layer it does
  // nothing.
  void clear() const { this->cell_->clear(); }

 private:
  explicit Overlay(std::shared_ptr<internal::Cell<T>> cell) : CellHandle<T>(std::move(cell)) {}
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_SHARED_H_
