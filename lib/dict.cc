// SPDX-License-Identifier: Apache-2.0
//
// The dictionary of a task: a context variable whose value is a pile of shared maps.

#include "taskctx/dict.h"

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
#include "taskctx/shared.h"

namespace taskctx {
inline namespace v1 {
namespace {

using Value = std::shared_ptr<const internal::DictValue>;
using Map = std::map<std::string, Value, std::less<>>;
// The task's own layer is the first one.
using Layers = std::vector<Shared<Map>>;

constinit const ContextVar<Layers> dictionary{"dictionary"};

const Shared<Map>& own_layer(const std::string& what) {
  const Layers* layers = dictionary.find();
  if (layers == nullptr) {
    throw ContextError("cannot " + what +
                       ": there is no dictionary here; a factory of taskctx::dict makes a task's");
  }
  return layers->front();
}

Layers layers_of(const Context* parent) {
  const Layers* layers = parent != nullptr ? parent->find(dictionary) : nullptr;
  return layers != nullptr ? *layers : Layers{};
}

Context with_layers(const Context* parent, Layers layers) {
  if (layers.empty()) {
    layers.emplace_back();
  }
  Context context = parent != nullptr ? *parent : Context();
  context.run([&layers] { dictionary.set(std::move(layers)); });
  return context;
}

Shared<Map> copied(const Shared<Map>& layer) {
  Map copies;
  for (const auto& [key, value] : *layer.snapshot()) {
    Value copy = value->copied();
    if (copy == nullptr) {
      throw ContextError("cannot copy value of key '" + key +
                         "': its type has no copy constructor");
    }
    copies.emplace(key, std::move(copy));
  }
  return Shared<Map>(std::move(copies));
}

}  // namespace

namespace internal {

Value find_in_dict(std::string_view key, const void* type) {
  const Layers* found = dictionary.find();
  if (found == nullptr) {
    return nullptr;
  }
  const Layers layers = *found;
  for (const Shared<Map>& layer : layers) {
    const std::shared_ptr<const Map> map = layer.snapshot();
    if (const auto place = map->find(key); place != map->end()) {
      if (place->second->type() != type) {
        throw LookupError("cannot get key '" + std::string(key) +
                          "': its value is of another type");
      }
      return place->second;
    }
  }
  return nullptr;
}

void set_in_dict(std::string_view key, Value value) {
  own_layer("set key '" + std::string(key) + "'").update([&](Map& map) {
    map.insert_or_assign(std::string(key), value);
  });
}

}  // namespace internal

namespace dict {

Context share(const Context* parent) { return with_layers(parent, layers_of(parent)); }

Context copy(const Context* parent) {
  Layers layers = layers_of(parent);
  for (Shared<Map>& layer : layers) {
    layer = copied(layer);
  }
  return with_layers(parent, std::move(layers));
}

Context overlay(const Context* parent) {
  Layers layers = layers_of(parent);
  layers.insert(layers.begin(), Shared<Map>());
  return with_layers(parent, std::move(layers));
}

void clear() { own_layer("clear dictionary").store(Map()); }

std::vector<std::string> keys() {
  std::set<std::string> keys;
  if (const Layers* layers = dictionary.find()) {
    for (const Shared<Map>& layer : Layers(*layers)) {
      for (const auto& entry : *layer.snapshot()) {
        keys.insert(entry.first);
      }
    }
  }
  return {keys.begin(), keys.end()};
}

}  // namespace dict
}  // namespace v1
}  // namespace taskctx
