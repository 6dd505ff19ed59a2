// SPDX-License-Identifier: Apache-2.0
//
// Variables whose values may fail to be copied or moved, and what they all hold.

#ifndef TASKCTX_TESTS_FRAGILE_H_
#define TASKCTX_TESTS_FRAGILE_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/core/node_memory.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/token.h"
#include "tests/fuse.h"
#include "tests/support.h"

namespace taskctx_test {

// Asked by Fragile.
inline constinit Fuse moves;

// A counted value whose copies and moves may fail.
class Fragile {
 public:
  explicit Fragile(int value) : tracked_(value) {}
  Fragile(const Fragile& other) : tracked_(other.tracked_) { maybe_throw(); }
  Fragile(Fragile&& other) : tracked_(other.tracked_) { maybe_throw(); }
  Fragile& operator=(const Fragile&) = delete;
  Fragile& operator=(Fragile&&) = delete;
  ~Fragile() = default;

  [[nodiscard]] int value() const { return tracked_.value(); }

 private:
  static void maybe_throw() {
    if (moves.fails()) {
      throw std::runtime_error("move");
    }
  }

  Tracked tracked_;
};

// Variables that are set, so that those of a test get the slots behind them.
class Padding {
 public:
  explicit Padding(std::size_t count) {
    variables_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      variables_.push_back(std::make_unique<taskctx::ContextVar<int>>("padding"));
      variables_.back()->set(static_cast<int>(i));
    }
  }
  Padding(const Padding&) = delete;
  Padding& operator=(const Padding&) = delete;
  ~Padding() {
    while (
        !variables_.empty()) {  // The last one first: so the next ones' slots are in order again.
      variables_.pop_back();
    }
  }

  [[nodiscard]] bool is_intact() const {
    int expected = 0;
    return std::all_of(variables_.begin(), variables_.end(),
                       [&](const auto& each) { return each->get() == expected++; });
  }

 private:
  std::vector<std::unique_ptr<taskctx::ContextVar<int>>> variables_;
};

// All that can be seen of the world below.
struct State {
  std::vector<std::optional<int>> values;
  std::size_t size = 0;
  std::size_t snapshot_size = 0;
  bool same_as_snapshot = false;
  bool token_used = false;
  int alive = 0;
  bool padding_intact = false;

  friend bool operator==(const State&, const State&) = default;
};

// What the operations work on: three variables that are set, and three that never were.
struct World {
  World(std::size_t padding_count, bool snapshot_is_out) : padding(padding_count) {
    number.set(1);
    text.set("one");
    token.emplace(fragile.set(Fragile(1)));
    if (snapshot_is_out) {
      snapshot = taskctx::copy_context();
    }
  }

  [[nodiscard]] State state() const {
    const auto value = [](const Fragile* found) {
      return found != nullptr ? std::optional(found->value()) : std::nullopt;
    };
    const auto length = [](const std::string* found) {
      return found != nullptr ? std::optional(static_cast<int>(found->size())) : std::nullopt;
    };
    const taskctx::Context here = taskctx::copy_context();
    return {.values = {number.get(-1), new_number.get(-1), length(text.find()),
                       length(new_text.find()), value(fragile.find()), value(new_fragile.find()),
                       value(other.find(fragile)), other.contains(number)},
            .size = here.size(),
            .snapshot_size = snapshot.size(),
            .same_as_snapshot = here == snapshot,
            .token_used = token->used(),
            .alive = Tracked::alive(),
            .padding_intact = padding.is_intact()};
  }

  const Padding padding;
  const taskctx::ContextVar<int> number{"number"};
  const taskctx::ContextVar<std::string> text{"text"};
  const taskctx::ContextVar<Fragile> fragile{"fragile"};
  const taskctx::ContextVar<int> new_number{"new_number"};
  const taskctx::ContextVar<std::string> new_text{"new_text"};
  const taskctx::ContextVar<Fragile> new_fragile{"new_fragile"};
  std::optional<taskctx::Token<Fragile>> token;  // Of the first set() of `fragile`.
  taskctx::Context snapshot;
  taskctx::Context other;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_FRAGILE_H_
