// SPDX-License-Identifier: Apache-2.0

#include "taskctx/internal/node.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

#include "taskctx/internal/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Its count is never looked at but for the in-place write, which must not take place: so it is
// not 1.
constinit Node empty_node{.refs = 0, .limit = 0, .boxes = 0};

namespace {

// Nodes grow by half, in steps of four slots: a context of eight ints takes 144 bytes.
std::uint32_t grown_limit(std::uint32_t limit, std::uint32_t offset) {
  constexpr std::uint32_t kStep = 4 * kSlotSize;
  const std::uint32_t wanted = std::max(offset + kSlotSize, limit + limit / 2);
  return (wanted + kStep - 1) / kStep * kStep;
}

}  // namespace

Node* clone(const Node* node, std::uint32_t offset) {
  const std::uint32_t limit = offset < node->limit ? node->limit : grown_limit(node->limit, offset);
  void* memory = ::operator new(kNodeHeader + limit);
  Node* copy = new (memory) Node{.refs = 1, .limit = limit, .boxes = node->boxes};
  std::memcpy(static_cast<void*>(entry_at(copy, 0)), entry_at(node, 0), node->limit);
  std::memset(static_cast<void*>(entry_at(copy, node->limit)), 0, limit - node->limit);
  for (std::uint32_t at = 0, left = node->boxes; left != 0; at += kSlotSize) {
    if (const Entry* entry = entry_at(copy, at); (entry->key & kBoxedBit) != 0) {
      add_ref(box_of(*entry));
      --left;
    }
  }
  return copy;
}

void destroy(Node* node) noexcept {
  for (std::uint32_t at = 0, left = node->boxes; left != 0; at += kSlotSize) {
    if (const Entry* entry = entry_at(node, at); (entry->key & kBoxedBit) != 0) {
      release(box_of(*entry));
      --left;
    }
  }
  ::operator delete(node);
}

void release(Box* box) noexcept {
  if (box->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    box->record->ops->destroy(box);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
