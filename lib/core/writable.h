// SPDX-License-Identifier: Apache-2.0
//
// Copy on write: makes an entry of a node one that its owner may write.
//
//   Writable writable = try_make_writable(node, is_exclusive, key, loan);
//   if (writable.node == nullptr) ...;             // fetch_to_write(), and try again
//   const Entry old = put(writable, {key, word});  // the owner holds writable.node from now on

#ifndef TASKCTX_LIB_CORE_WRITABLE_H_
#define TASKCTX_LIB_CORE_WRITABLE_H_

#include <cstdint>

#include "lib/core/loan.h"
#include "lib/core/node_memory.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A node, and an entry in it, or in a leaf below it, that its owner may write.
struct Writable {
  Node* node;
  Node* leaf;
  Entry* entry;
};

// Makes the entry of `key` writable: in `node` itself if it is `exclusive`, that is, the caller has
// its only reference, and there is room; else in another node with one reference, for the caller.
// Shared parts below are copied in either case. The other node is a copy, which borrows by `loan`,
// a pinned one; or, of an exclusive node, it has taken over all that the first one had, which the
// caller then releases. Returns no node, and has changed nothing, if this thread's lists have
// not enough memory: fetch_to_write() gets it, with operator new, whose code may change anything.
Writable try_make_writable(Node* node, bool exclusive, std::uint64_t key, Loan loan) noexcept;
void fetch_to_write(NodeSupply& supply, const Node* node, bool exclusive, std::uint64_t key,
                    Loan loan);

// Puts `fresh` there, and returns what was there. References to boxes change hands: the caller gets
// one to what was there, also if that was borrowed. An entry without key stands for "unset".
Entry put_slowly(const Writable& writable, Entry fresh) noexcept;
inline Entry put(const Writable& writable, Entry fresh) noexcept {
  const Entry old = *writable.entry;
  if (((fresh.key | old.key) & kBoxedBit) != 0 || writable.leaf->mask != 0) {
    return put_slowly(writable, fresh);
  }
  *writable.entry = fresh;
  return old;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_WRITABLE_H_
