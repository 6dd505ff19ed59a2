// SPDX-License-Identifier: Apache-2.0
//
// What a LeakCheck compares, and how it tells what was left.

#include "taskctx/testing.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/core/node_memory.h"
#include "taskctx/context.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/internal/core/write.h"

namespace taskctx {
inline namespace v1 {

namespace gtest {
namespace {

// Adds a line for the variable with this key; none if it was destroyed, for nobody can see it then.
void add_line(std::string& lines, std::uint64_t key, std::string_view problem) {
  if (internal::VariableRecord* record = internal::find_record(key)) {
    lines.append("\n  variable '").append(record->name).append("' ").append(problem);
    internal::release(record);
  }
}

// Lists the variables whose values are not the very same in both nodes.
std::string differences(const internal::Node* before, const internal::Node* after) {
  std::string lines;
  std::uint32_t slot = 0;
  for (; const internal::Entry* entry = internal::next_entry(after, slot); ++slot) {
    const internal::Entry* old = internal::find_entry(before, entry->key);
    if (old == nullptr) {
      add_line(lines, entry->key, "is still set");
    } else if (old->word != entry->word) {
      add_line(lines, entry->key, "still has another value than before");
    }
  }
  slot = 0;
  for (; const internal::Entry* entry = internal::next_entry(before, slot); ++slot) {
    if (internal::find_entry(after, entry->key) == nullptr) {
      add_line(lines, entry->key, "is still unset");
    }
  }
  return lines;
}

// Counts the nodes that somebody holds; not those that this thread knows as an exception's.
std::int64_t held_nodes() noexcept {
  internal::forget_what_was_thrown();
  return internal::live_nodes();
}

}  // namespace

void apply(const Context& snapshot) {
  const internal::NodeRef node = internal::ContextAccess::node(snapshot);
  internal::overlay_current(node.get());
}

LeakCheck::LeakCheck(SourcePlace place)
    : place_(place), live_nodes_(held_nodes()), activation_(internal::current_activation()) {}

LeakCheck::~LeakCheck() {
  if (isolated_.has_value()) {
    if (const ::testing::AssertionResult result = end(); !result) {
      ADD_FAILURE_AT(place_.file, static_cast<int>(place_.line)) << result.message();
    }
  }
}

::testing::AssertionResult LeakCheck::end() {
  std::string problems;
  if (internal::current_activation() == activation_) {
    const internal::NodeRef before = internal::ContextAccess::node(before_);
    problems = differences(before.get(), internal::current_node());
  } else {
    problems = "\n  a context that was entered was not left";
  }
  isolated_.reset();
  if (const std::int64_t leaked = held_nodes() - live_nodes_; leaked > 0) {
    problems += "\n  a snapshot is still held, by a Context, a bound callable or a job (" +
                std::to_string(leaked) + (leaked == 1 ? " node)" : " nodes)");
  }
  if (problems.empty()) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "the test left something behind:" << problems;
}

}  // namespace gtest
}  // namespace v1
}  // namespace taskctx
