// SPDX-License-Identifier: Apache-2.0
//
// The dictionary of a task: a context variable whose value is a layer of maps (layer.h).

#include "taskctx/dict.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/layer.h"

namespace taskctx {
inline namespace v1 {
namespace {

using internal::Layer;
using internal::LayerRef;
using internal::LayerValue;
using Value = std::shared_ptr<const internal::DictValue>;
using Map = std::map<std::string, Value, std::less<>>;  // What a layer has.

// The task's own layer.
struct Dictionary {
  LayerRef layer;
};
constinit const ContextVar<Dictionary> dictionary{"dictionary"};

const Map& map_of(const LayerValue& value) { return *static_cast<const Map*>(value.get()); }

// See MergeLayers. Moves what is in the upper map into the lower one, which becomes the upper one.
void merge_maps(LayerValue& upper, LayerValue& lower) noexcept {
  Map& from = *static_cast<Map*>(const_cast<void*>(upper.get()));
  Map& into = *static_cast<Map*>(const_cast<void*>(lower.get()));
  Map replaced;
  while (!from.empty()) {
    auto [place, inserted, node] = into.insert(from.extract(from.begin()));
    if (!inserted) {
      std::swap(place->second, node.mapped());
      replaced.insert(std::move(node));
    }
  }
  from.swap(replaced);
  upper.swap(lower);
}

LayerValue made(Map map) { return internal::make_mortal<const Map>(std::move(map)); }

const Dictionary& own(const std::string& what) {
  const Dictionary* found = dictionary.find();
  if (found == nullptr) {
    throw ContextError("cannot " + what +
                       ": there is no dictionary here; a factory of taskctx::dict makes a task's");
  }
  return *found;
}

Layer* layer_of(const Context* parent) {
  const Dictionary* found = parent != nullptr ? parent->find(dictionary) : nullptr;
  return found != nullptr ? found->layer.get() : nullptr;
}

Context with_layer(const Context* parent, LayerRef layer) {
  Context context = parent != nullptr ? *parent : Context();
  return context.run([&layer] {
    dictionary.set(Dictionary{std::move(layer)});
    return copy_context();  // Which lets go of the parent's.
  });
}

LayerRef new_layer(Map map) { return LayerRef(new Layer(made(std::move(map)), &merge_maps)); }

// Returns what is seen in the layer and has been set in it or below: the maps, the upper ones
// first, as they were at one moment.
std::vector<LayerValue> maps_from(const Layer& layer) {
  std::vector<LayerValue> maps;
  bool is_complete = false;
  while (!is_complete) {  // Nothing is allocated under the lock.
    maps.clear();
    maps.reserve(internal::layers_from(layer));
    is_complete = true;
    internal::for_each_value(layer, [&](const LayerValue& map) {
      is_complete = maps.size() < maps.capacity();
      if (is_complete) {
        maps.push_back(map);
      }
      return !is_complete;
    });
  }
  return maps;
}

}  // namespace

namespace internal {

Value find_in_dict(std::string_view key, const void* type) {
  const Dictionary* here = dictionary.find();
  if (here == nullptr) {
    return nullptr;
  }
  const LayerRef layer = here->layer;
  Value found;
  internal::for_each_value(*layer.get(), [&](const LayerValue& map) {
    if (const auto place = map_of(map).find(key); place != map_of(map).end()) {
      found = place->second;
    }
    return found != nullptr;
  });
  if (found != nullptr && found->type() != type) {
    throw LookupError("cannot get key '" + std::string(key) + "': its value is of another type");
  }
  return found;
}

void set_in_dict(std::string_view key, Value value) {
  const LayerRef layer = own("set key '" + std::string(key) + "'").layer;
  while (true) {
    const LayerValue before = own_value(*layer.get());
    Map map = map_of(before);
    map.insert_or_assign(std::string(key), value);
    if (store_value_if(*layer.get(), before, made(std::move(map)))) {
      return;
    }
  }
}

std::size_t layers_of_dict() {
  const Dictionary* here = dictionary.find();
  return here != nullptr ? layers_from(*here->layer.get()) : 0;
}

}  // namespace internal

namespace dict {

Context share(const Context* parent) {
  Layer* const parents = layer_of(parent);
  return parents != nullptr ? *parent : with_layer(parent, new_layer({}));
}

Context copy(const Context* parent) {
  const Layer* const parents = layer_of(parent);
  Map copies;
  for (const LayerValue& map :
       parents != nullptr ? maps_from(*parents) : std::vector<LayerValue>{}) {
    for (const auto& [key, value] : map_of(map)) {
      if (copies.find(key) != copies.end()) {
        continue;  // Another one is seen.
      }
      Value copy = value->copied();
      if (copy == nullptr) {
        throw ContextError("cannot copy value of key '" + key +
                           "': its type has no copy constructor");
      }
      copies.emplace(key, std::move(copy));
    }
  }
  return with_layer(parent, new_layer(std::move(copies)));
}

Context overlay(const Context* parent) {
  Layer* const parents = layer_of(parent);
  return with_layer(parent,
                    parents != nullptr ? LayerRef(new Layer(parents, made({}))) : new_layer({}));
}

void clear() {
  const LayerRef layer = own("clear dictionary").layer;
  store_value(*layer.get(), made({}));
}

std::vector<std::string> keys() {
  std::set<std::string> keys;
  if (const Dictionary* here = dictionary.find()) {
    const LayerRef layer = here->layer;
    for (const LayerValue& map : maps_from(*layer.get())) {
      for (const auto& entry : map_of(map)) {
        keys.insert(entry.first);
      }
    }
  }
  return {keys.begin(), keys.end()};
}

}  // namespace dict
}  // namespace v1
}  // namespace taskctx
