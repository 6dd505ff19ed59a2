// SPDX-License-Identifier: Apache-2.0
//
// Nodes: the one that is empty, and what needs no knowledge of the others' forms: versions, and the
// ends of values. Looking up is in node_forms.cc, sharing and the end of nodes in loan.cc.

#include "taskctx/internal/core/node.h"

#include <atomic>
#include <cstdint>

#include "taskctx/internal/core/ids.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit Node empty_node{.refs = RefCount(RefCount::kStatic)};
constinit const Entry no_entry{};

std::uint64_t version_of(Node* node) noexcept {
  // Relaxed: the number is all there is. Whoever reads the content got it in another way.
  std::uint64_t version = node->version.load(std::memory_order_relaxed);
  if (version == 0) {
    const std::uint64_t fresh = draw_id();
    // The first thread gives the version; the others take it.
    if (node->version.compare_exchange_strong(version, fresh, std::memory_order_relaxed)) {
      version = fresh;
    }
  }
  return version;
}

Node* NodeRef::detach_plain() noexcept {
  if (is_spread()) {
    Node* const node = get();
    node->refs.add_plain();
    *this = adopt(node);
  }
  return detach();
}

void release(Box* box) noexcept {
  if (box->refs.drop()) {
    box->refs.end();
    box->record()->ops->end(box);
  }
}

void release_spread(Box* box) noexcept {
  if (box->refs.drop_spread()) {
    box->refs.end();
    box->record()->ops->end(box);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
