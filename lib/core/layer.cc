// SPDX-License-Identifier: Apache-2.0
//
// Families of layers: how they grow, and what they release.

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

// The mutexes of all families. They are few, so that fork() can lock them all: the address of a
// family's first layer says which one it has. They are locked for a few instructions, so it hardly
// matters that other families have the same.
struct alignas(64) FamilyMutex {
  std::mutex mutex;
};
constinit std::array<FamilyMutex, 16> mutexes;

std::mutex& mutex_for(const Layer* first) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(first);
  return mutexes[(address * 0x9e37'79b9'7f4a'7c15) >> 60].mutex;  // Fibonacci hashing
}

// A function that takes one is called with the family's mutex locked.
using Lock = std::lock_guard<std::mutex>;

void link(Layer* layer, Layer* below, const Lock& /*held*/) noexcept {
  layer->below = below;
  if (below != nullptr) {
    ++below->count;
    below->above += reinterpret_cast<std::uintptr_t>(layer);
  }
}

// Returns what the layer lay on.
Layer* unlink(Layer* layer, const Lock& /*held*/) noexcept {
  Layer* const below = std::exchange(layer->below, nullptr);
  if (below != nullptr) {
    --below->count;
    below->above -= reinterpret_cast<std::uintptr_t>(layer);
  }
  return below;
}

Layer* only_one_above(const Layer* layer, const Lock& /*held*/) noexcept {
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
Layer* take_out(Layer* layer, Dead& dead, const Lock& held) noexcept {
  Layer* const below = unlink(layer, held);
  if (Layer* const above = only_one_above(layer, held)) {
    above->below = nullptr;
    link(above, below, held);
  }
  dead.add(layer);
  return below;
}

// Tells whether nobody except the layer can see its value, now and later. A count of 1 stays 1,
// because copies are made with the lock. use_count() does not acquire what was done with the copies
// before they were dropped, but dropping one more copy does. (A fence would, too; ThreadSanitizer
// knows of none.)
bool is_only_owner(const Layer* layer, const Lock& /*held*/) noexcept {
  if (layer->own.use_count() != 1) {
    return false;
  }
  (void)LayerValue(layer->own);
  return true;
}

// Moves into a frozen layer the values of the frozen ones below it that only it lies on.
void merge_down(Layer* layer, Dead& dead, const Lock& held) noexcept {
  while (layer->below != nullptr && layer->below->is_frozen && layer->below->count == 1 &&
         is_only_owner(layer, held) && is_only_owner(layer->below, held)) {
    layer->merge(layer->own, layer->below->own);
    take_out(layer->below, dead, held);
  }
}

// Applies the rules to a layer, and to those below it that this concerns.
void settle(Layer* layer, Dead& dead, const Lock& held) noexcept {
  while (layer != nullptr && layer->is_frozen) {
    if (layer->count == 0) {
      layer = take_out(layer, dead, held);
    } else if (layer->merge != nullptr) {
      merge_down(layer, dead, held);
      if (Layer* const above = only_one_above(layer, held); above != nullptr && above->is_frozen) {
        merge_down(above, dead, held);
      }
      return;
    } else if (layer->own != nullptr) {
      layer = unlink(layer, held);
    } else {
      if (layer->count == 1) {
        take_out(layer, dead, held);
      }
      return;
    }
  }
}

const LayerValue& effective(const Layer& layer, const Lock& /*held*/) noexcept {
  const Layer* at = &layer;
  while (at->own == nullptr && at->below != nullptr) {
    at = at->below;
  }
  return at->own;
}

}  // namespace

Layer::Layer(LayerValue initial, MergeLayers merges) noexcept
    : own(std::move(initial)), merge(merges), mutex(mutex_for(this)) {}

Layer::Layer(Layer* lower, LayerValue initial) noexcept
    : own(std::move(initial)), merge(lower->merge), mutex(lower->mutex) {
  const Lock lock(mutex);
  link(this, lower, lock);
}

void freeze(Layer* layer) noexcept {
  Dead dead;
  const Lock lock(layer->mutex);
  layer->is_frozen = true;
  settle(layer, dead, lock);
}

LayerValue find_value(const Layer& layer) noexcept {
  const Lock lock(layer.mutex);
  return effective(layer, lock);
}

LayerValue own_value(const Layer& layer) noexcept {
  const Lock lock(layer.mutex);
  return layer.own;
}

void store_value(Layer& layer, LayerValue fresh) noexcept {
  const Lock lock(layer.mutex);
  layer.own.swap(fresh);  // The old one is destroyed with the argument, after the lock.
}

bool store_value_if(Layer& layer, const LayerValue& expected, LayerValue fresh) noexcept {
  const Lock lock(layer.mutex);
  if (effective(layer, lock) != expected) {
    return false;
  }
  layer.own.swap(fresh);
  return true;
}

void clear_value(Layer& layer) noexcept {
  LayerValue removed;
  const Lock lock(layer.mutex);
  if (layer.below != nullptr) {
    layer.own.swap(removed);
  }
}

std::size_t layers_from(const Layer& layer) noexcept {
  const Lock lock(layer.mutex);
  std::size_t count = 0;
  for (const Layer* at = &layer; at != nullptr; at = at->below) {
    ++count;
  }
  return count;
}

void lock_all_layers() noexcept {
  for (FamilyMutex& family : mutexes) {
    family.mutex.lock();
  }
}

void unlock_all_layers() noexcept {
  for (FamilyMutex& family : mutexes) {
    family.mutex.unlock();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
