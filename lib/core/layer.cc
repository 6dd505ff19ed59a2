// SPDX-License-Identifier: Apache-2.0
//
// Families of layers: how they grow, and what is let go.

#include "taskctx/internal/core/layer.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The locks of all families, which are few so that fork() can take them all: a family has the one
// that its first layer's address leads to. They are held for a few instructions, so that it hardly
// matters that others have the same.
struct alignas(64) Lock {
  std::mutex mutex;
};
constinit std::array<Lock, 16> locks;

std::mutex& lock_of(const Layer* layer) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(layer);
  return locks[(address * 0x9e37'79b9'7f4a'7c15) >> 60].mutex;  // Fibonacci hashing
}

// What follows is called with the lock.

void link(Layer* layer, Layer* below) noexcept {
  layer->below = below;
  if (below != nullptr) {
    ++below->count;
    below->above += reinterpret_cast<std::uintptr_t>(layer);
  }
}

// Returns what the layer lay on.
Layer* unlink(Layer* layer) noexcept {
  Layer* const below = std::exchange(layer->below, nullptr);
  if (below != nullptr) {
    --below->count;
    below->above -= reinterpret_cast<std::uintptr_t>(layer);
  }
  return below;
}

Layer* only_one_above(const Layer* layer) noexcept {
  return layer->count == 1 ? reinterpret_cast<Layer*>(layer->above) : nullptr;
}

// Layers that are to be destroyed without the lock, linked through `below`.
class Dead {
 public:
  Dead() = default;
  Dead(const Dead&) = delete;
  Dead& operator=(const Dead&) = delete;
  ~Dead() {
    while (first_ != nullptr) {
      delete std::exchange(first_, first_->below);
    }
  }
  // It lies on nothing any more.
  void add(Layer* layer) noexcept { layer->below = std::exchange(first_, layer); }

 private:
  Layer* first_ = nullptr;
};

// Takes a frozen layer out of the family, and puts what lies on it on what it lay on. Returns that.
Layer* take_out(Layer* layer, Dead& dead) noexcept {
  Layer* const below = unlink(layer);
  if (Layer* const above = only_one_above(layer)) {
    above->below = nullptr;
    link(above, below);
  }
  dead.add(layer);
  return below;
}

// Tells whether nobody but the layer can see its value, now and later. (A count of 1 stays: copies
// are made with the lock. use_count() does not acquire what was done with the copies before they
// were dropped, but dropping another one does. A fence would, too; ThreadSanitizer knows of none.)
bool is_only_owner(const Layer* layer) noexcept {
  if (layer->own.use_count() != 1) {
    return false;
  }
  (void)LayerValue(layer->own);
  return true;
}

// Has a frozen layer take over the values of the frozen ones below it that only it lies on.
void merge_down(Layer* layer, Dead& dead) noexcept {
  while (layer->below != nullptr && layer->below->is_frozen && layer->below->count == 1 &&
         is_only_owner(layer) && is_only_owner(layer->below)) {
    layer->merge(layer->own, layer->below->own);
    take_out(layer->below, dead);
  }
}

// Applies the rules to a layer, and to those below it that this concerns.
void settle(Layer* layer, Dead& dead) noexcept {
  while (layer != nullptr && layer->is_frozen) {
    if (layer->count == 0) {
      layer = take_out(layer, dead);
    } else if (layer->merge != nullptr) {
      merge_down(layer, dead);
      if (Layer* const above = only_one_above(layer); above != nullptr && above->is_frozen) {
        merge_down(above, dead);
      }
      return;
    } else if (layer->own != nullptr) {
      layer = unlink(layer);
    } else {
      if (layer->count == 1) {
        take_out(layer, dead);
      }
      return;
    }
  }
}

const LayerValue& effective(const Layer& layer) noexcept {
  const Layer* at = &layer;
  while (at->own == nullptr && at->below != nullptr) {
    at = at->below;
  }
  return at->own;
}

}  // namespace

Layer::Layer(LayerValue initial, MergeLayers merges) noexcept
    : own(std::move(initial)), merge(merges), mutex(lock_of(this)) {}

Layer::Layer(Layer* lower, LayerValue initial) noexcept
    : own(std::move(initial)), merge(lower->merge), mutex(lower->mutex) {
  const std::lock_guard lock(mutex);
  link(this, lower);
}

void freeze(Layer* layer) noexcept {
  Dead dead;
  const std::lock_guard lock(layer->mutex);
  layer->is_frozen = true;
  settle(layer, dead);
}

LayerValue find_value(const Layer& layer) noexcept {
  const std::lock_guard lock(layer.mutex);
  return effective(layer);
}

LayerValue own_value(const Layer& layer) noexcept {
  const std::lock_guard lock(layer.mutex);
  return layer.own;
}

void store_value(Layer& layer, LayerValue fresh) noexcept {
  const std::lock_guard lock(layer.mutex);
  layer.own.swap(fresh);  // The old one goes with the argument, after the lock.
}

bool store_value_if(Layer& layer, const LayerValue& expected, LayerValue fresh) noexcept {
  const std::lock_guard lock(layer.mutex);
  if (effective(layer) != expected) {
    return false;
  }
  layer.own.swap(fresh);
  return true;
}

void clear_value(Layer& layer) noexcept {
  LayerValue removed;
  const std::lock_guard lock(layer.mutex);
  if (layer.below != nullptr) {
    layer.own.swap(removed);
  }
}

std::size_t layers_from(const Layer& layer) noexcept {
  const std::lock_guard lock(layer.mutex);
  std::size_t count = 0;
  for (const Layer* at = &layer; at != nullptr; at = at->below) {
    ++count;
  }
  return count;
}

void lock_all_layers() noexcept {
  for (Lock& lock : locks) {
    lock.mutex.lock();
  }
}

void unlock_all_layers() noexcept {
  for (Lock& lock : locks) {
    lock.mutex.unlock();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
