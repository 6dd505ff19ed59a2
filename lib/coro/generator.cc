// SPDX-License-Identifier: Apache-2.0
//
// How a generator's context is made of its consumer's and of what it has set itself.

#include "taskctx/generator.h"

#include <cstdint>
#include <utility>

#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

GeneratorFlow::GeneratorFlow(GeneratorReads reads)
    : PromiseFlow(&empty_node),
      reads_(reads),
      seen_(reads == GeneratorReads::creator ? capture() : NodeRef()) {
  node_ = seen_.get();
}

void GeneratorFlow::prepare_to_end() noexcept {
  if (!is_at_work_) {
    try {
      see(current_node());
    } catch (...) {  // No memory: it keeps the context that it had last.
    }
  }
}

void GeneratorFlow::see(Node* consumer) {
  if (reads_ == GeneratorReads::creator) {
    return;
  }
  NodeRef seen = NodeRef::share(consumer);
  if (writes_.get() == &empty_node) {
    node_ = consumer;
  } else {
    own_.node = overlay_on(NodeRef::share(consumer), writes_.get()).detach_plain();
    own_.base = consumer;
    node_ = own_.node;
  }
  seen_ = std::move(seen);
  is_at_work_ = true;
}

void GeneratorFlow::keep() {
  is_at_work_ = false;
  frame_.whose = Origin::as_outer();  // The consumer may be another one next time.
  if (reads_ == GeneratorReads::creator || own_.node == nullptr) {
    return;
  }
  const NodeRef written = NodeRef::adopt(std::exchange(own_.node, nullptr));
  node_ = seen_.get();
  NodeRef writes;
  std::uint32_t slot = 0;
  for (; const Entry* entry = next_entry(written.get(), slot); ++slot) {
    const Entry* seen = find_entry(seen_.get(), entry->key);
    if (seen == nullptr || !(*seen == *entry)) {
      put_in(writes, *entry);
    }
  }
  writes_ = std::move(writes);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
