// SPDX-License-Identifier: Apache-2.0
//
// Shared and Overlay: values that tasks share on purpose. (What a task does to a plain value, no
// other task sees.)
//
//   inline taskctx::ContextVar<taskctx::Shared<int>> hits{"hits"};
//   taskctx::Scope scope{hits, taskctx::Shared<int>(0)};
//   pool.post([] { hits.get().update([](int& count) { ++count; }); });  // seen by all our tasks
//
//   inline taskctx::ContextVar<taskctx::Overlay<Config>> config{"config"};
//   pool.post([] { config.get().store(Config::quiet()); });  // seen by that task and its own tasks
//
// Threads:  all calls are thread-safe and linearizable: each takes effect at one moment. A lock is
//           held for a few instructions, never while code of T or of the caller runs.
// Lifetime: the value lives as long as anything that refers to it. load() copies it, because
//           another thread may replace it at any time.
// Errors:   what copying T and the caller's function throw; nothing has changed then.
//
// Both are handles, like a shared_ptr: copies refer to the same value, and `const` is the handle's.

#ifndef TASKCTX_SHARED_H_
#define TASKCTX_SHARED_H_

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/layer.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// The common part of Shared and Overlay.
template <typename T>
class CellHandle {
 public:
  // Returns a copy of the value that is seen here.
  [[nodiscard]] T load() const { return *snapshot(); }

  // Returns the value itself, which never changes: a store() puts another in its place. Keeps it
  // alive. O(1), copies nothing.
  [[nodiscard]] std::shared_ptr<const T> snapshot() const {
    return std::static_pointer_cast<const T>(find_value(*layer_.get()));
  }

  // Puts `value` in the place of the value.
  void store(T value) const { store_value(*layer_.get(), made(std::move(value))); }

  // Calls `function(T&)` on a copy of the value, stores the copy, and returns a copy of that. If
  // another thread has stored something meanwhile, the function is called again, on a copy of that.
  // It must not write to this value itself: it would be called for ever.
  template <std::invocable<T&> F>
  T update(F function) const {
    while (true) {
      const LayerValue before = find_value(*layer_.get());
      auto after = make_mortal<T>(*static_cast<const T*>(before.get()));
      std::invoke(function, *after);
      T result = *after;
      if (store_value_if(*layer_.get(), before, std::move(after))) {
        return result;
      }
    }
  }
  template <typename F>
    requires(!std::invocable<F, T&>)
  __attribute__((unavailable("update() takes a function that changes the value: [](T& value)"))) T
  update(F /*function*/) const {
    return load();
  }

  // Tells whether both are handles of the same value.
  [[nodiscard]] friend bool operator==(const CellHandle& a, const CellHandle& b) {
    return a.layer_ == b.layer_;
  }

 protected:
  explicit CellHandle(T value) : layer_(new Layer(made(std::move(value)), nullptr)) {}
  explicit CellHandle(LayerRef layer) noexcept : layer_(std::move(layer)) {}

  static LayerValue made(T value) { return make_mortal<const T>(std::move(value)); }

  LayerRef layer_;

 private:
  friend std::size_t layers_from(const CellHandle& handle) noexcept {  // For tests.
    return internal::layers_from(*handle.layer_.get());
  }
};

}  // namespace internal

// A value that is shared by all tasks that inherit it: what one of them stores, all see. T is
// copyable.
template <typename T>
class Shared : public internal::CellHandle<T> {
 public:
  // Makes a value of its own, shared with nobody yet.
  Shared()
    requires std::default_initializable<T>
      : Shared(T()) {}
  explicit Shared(T value) : internal::CellHandle<T>(std::move(value)) {}
};

// A value over the parent's. A task sees what its parent has, also what the parent stores later,
// until it stores something itself. Only the task and its own tasks see that. T is copyable.
//
// A task gets its layer when it is created (see Policy): O(1). A look-up walks up to the next task
// that has stored something: O(tasks on the way that are still there). Tasks that have ended leave
// no more than what others can see: a task that submits itself again, for ever, looks no further
// and keeps no more than the first one. store() and update() write to the layer of this task.
template <typename T>
class Overlay : public internal::CellHandle<T> {
 public:
  // Makes the lowest layer, with a value.
  Overlay()
    requires std::default_initializable<T>
      : Overlay(T()) {}
  explicit Overlay(T value) : internal::CellHandle<T>(std::move(value)) {}

  // Makes an empty layer over this one: what a task gets of its parent's.
  [[nodiscard]] static Overlay inherited(const Overlay& parents) {
    return Overlay(internal::LayerRef(new internal::Layer(parents.layer_.get(), nullptr)));
  }

  // Tells whether this layer has a value of its own.
  [[nodiscard]] bool is_overridden() const {
    return internal::own_value(*this->layer_.get()) != nullptr;
  }

  // Removes this layer's value, so that the parent's is seen again. Does nothing in the lowest
  // layer.
  void clear() const { internal::clear_value(*this->layer_.get()); }

 private:
  explicit Overlay(internal::LayerRef layer) noexcept : internal::CellHandle<T>(std::move(layer)) {}
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_SHARED_H_
