// SPDX-License-Identifier: Apache-2.0
//
// Merged: what tasks have set of the variables that have a merge function, on its way to the code
// that waits for them.
//
//   merged.add_written(base);  // in the task, at its end: what it has set since it began in base
//   left.add(right);           // associative, and in the order of the tasks
//   merged.apply();            // in the context of the code that waited

#ifndef TASKCTX_INTERNAL_CORE_MERGED_H_
#define TASKCTX_INTERNAL_CORE_MERGED_H_

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The values, merged. A call costs a load and a test or two where there is nothing to merge. Each
// call may throw what a merge function throws, and std::bad_alloc.
class Merged {
 public:
  // Adds on the right what the current activation has set.
  void add_written(const Node* base) {
    if (current_activation()->node != nullptr && !merged_keys.empty()) [[unlikely]] {
      add_slowly(current_node(), base);
    }
  }
  void add(const Merged& right) {
    if (right.values_.get() != &empty_node) [[unlikely]] {
      add_slowly(right.values_.get(), &empty_node);
    }
  }

  [[nodiscard]] bool is_empty() const noexcept { return values_.get() == &empty_node; }

  // Merges into what is set in the current context, on its right.
  void apply() const {
    if (values_.get() != &empty_node) [[unlikely]] {
      apply_slowly();
    }
  }

 private:
  void add_slowly(const Node* right, const Node* base);
  void apply_slowly() const;

  NodeRef values_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_MERGED_H_
