// SPDX-License-Identifier: Apache-2.0
//
// Merging: how values that several tasks have set become one.

#include "taskctx/internal/core/merged.h"

#include <cstdint>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/internal/core/write.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Sets in `result`, for each variable with a merge function, what is set in `right` and differs
// from `base`: merged with what `left` has, if anything.
void merge_into(NodeRef& result, const Node* left, const Node* right, const Node* base) {
  merged_keys.for_each([&](std::uint64_t key) {
    const Entry* entry = find_entry(right, key);
    if (entry == nullptr) {
      return;
    }
    if (const Entry* before = find_entry(base, key);
        before != nullptr && before->word == entry->word) {
      return;
    }
    const RecordRef record(find_record(key));
    if (record == nullptr) {
      return;
    }
    const Entry* other = find_entry(left, key);
    Entry merged = *entry;
    if (other != nullptr) {
      merged = record->ops->merge(record.get(), *other, *entry);
    } else {
      add_ref(merged);
    }
    move_in(result, merged);
  });
}

}  // namespace

void Merged::add_slowly(const Node* right, const Node* base) {
  // Merging runs user code, which may change the contexts that these come from.
  const NodeRef right_side = NodeRef::share(const_cast<Node*>(right));
  const NodeRef left_side = values_;
  merge_into(values_, left_side.get(), right_side.get(), base);
}

void Merged::apply_slowly() const {
  const NodeRef here = NodeRef::share(current_node());
  NodeRef result;
  merge_into(result, here.get(), values_.get(), &empty_node);
  overlay_current(result.get());
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
