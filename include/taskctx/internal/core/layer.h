// SPDX-License-Identifier: Apache-2.0
//
// Layer: a value that may be missing, over another layer that shows through. Shared, Overlay and
// dict keep their values in layers.
//
//   LayerRef parents(make_layer(value));
//   LayerRef childs(make_layer_over(parents.get()));  // sees the parent's value until it has one
//
// Layers that lie on each other are a family, a tree with the lowest one as its root, and have one
// lock, so that a look through all of them takes place at one moment. A layer without handles
// (LayerRef) is frozen: nobody will write to it again. The family keeps only what can be seen:
//
//   a frozen layer under nothing                  is removed
//   a frozen layer without a value, under one     is removed: the other lies on what was below it
//   what lies under a frozen layer with a value   is released, unless values are merged (below)
//
// So a family has at most twice as many layers as there are handles, and a task that submits itself
// again for ever has three at most. Each rule is O(1) and applied when the last handle is gone.
//
// Threads: all functions are thread-safe. No user's code runs under a lock, and nothing allocates
// there: values are made before and destroyed after it.

#ifndef TASKCTX_INTERNAL_CORE_LAYER_H_
#define TASKCTX_INTERNAL_CORE_LAYER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A value of a type that the owner of the layer knows. It never changes while it can be seen.
using LayerValue = std::shared_ptr<const void>;

// A function that moves what `lower` has and `upper` has not into one value, `upper`, and leaves in
// `lower` what is to be destroyed. Nobody else has either. It is called with the lock: so it
// neither allocates nor destroys values.
using MergeLayers = void (*)(LayerValue& upper, LayerValue& lower) noexcept;

struct Layer {
  // Makes the first layer of a family. Values are merged if `merges` is not null, and such layers
  // always have one; otherwise a value hides what is below.
  Layer(LayerValue initial, MergeLayers merges) noexcept;
  // Makes a layer that lies on `lower`.
  Layer(Layer* lower, LayerValue initial) noexcept;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  std::atomic<std::uint32_t> handles{1};
  // Guarded by the mutex:
  std::uint32_t count = 0;   // How many lie directly on this one.
  std::uintptr_t above = 0;  // The sum of their addresses: if there is one, it is its address.
  Layer* below = nullptr;
  bool is_frozen = false;
  LayerValue own;
  const MergeLayers merge;
  std::mutex& mutex;  // The family's.
};

// Freezes a layer whose last handle is gone. The layer may be gone afterwards.
void freeze(Layer* layer) noexcept;

// The owner of one handle.
class LayerRef {
 public:
  // Takes over a handle that the caller has.
  explicit LayerRef(Layer* layer) noexcept : layer_(layer) {}
  LayerRef(const LayerRef& other) noexcept : layer_(other.layer_) {
    if (layer_ != nullptr) {
      layer_->handles.fetch_add(1, std::memory_order_relaxed);
    }
  }
  LayerRef(LayerRef&& other) noexcept : layer_(std::exchange(other.layer_, nullptr)) {}
  LayerRef& operator=(LayerRef other) noexcept {
    std::swap(layer_, other.layer_);
    return *this;
  }
  ~LayerRef() {
    // The release publishes what was done through this handle; the last one acquires it here.
    if (layer_ != nullptr && layer_->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      freeze(layer_);
    }
  }

  [[nodiscard]] Layer* get() const noexcept { return layer_; }
  Layer* operator->() const noexcept { return layer_; }
  friend bool operator==(const LayerRef&, const LayerRef&) = default;

 private:
  Layer* layer_;  // nullptr if it was moved from.
};

// Returns the value that is seen in the layer: its own, or that of the next one below that has one.
LayerValue find_value(const Layer& layer) noexcept;
// Returns the layer's own value, or nullptr.
LayerValue own_value(const Layer& layer) noexcept;
// Puts `fresh` in the place of the layer's own value.
void store_value(Layer& layer, LayerValue fresh) noexcept;
// Does so if `expected` is still what find_value() returns.
[[nodiscard]] bool store_value_if(Layer& layer, const LayerValue& expected,
                                  LayerValue fresh) noexcept;
// Removes the layer's own value, unless nothing would show through.
void clear_value(Layer& layer) noexcept;

// Calls `function(value)` for each value from the layer down, until it returns true. It is called
// with the lock: so it neither allocates nor destroys values.
template <typename F>
void for_each_value(const Layer& layer, F function) {
  const std::lock_guard lock(layer.mutex);
  for (const Layer* at = &layer; at != nullptr; at = at->below) {
    if (at->own != nullptr && function(at->own)) {
      return;
    }
  }
}

// Counts the layers that a look through all of them passes.
[[nodiscard]] std::size_t layers_from(const Layer& layer) noexcept;

// Take and give back all locks of all families, in one order, around a fork.
void lock_all_layers() noexcept;
void unlock_all_layers() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_LAYER_H_
