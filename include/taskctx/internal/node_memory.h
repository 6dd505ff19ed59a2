// SPDX-License-Identifier: Apache-2.0
//
// Where nodes get their memory: from what the calling thread has given back lately, else from
// operator new.
//
// A write after a capture takes one node and gives another back soon, and so does each task that
// writes: a thread's own short lists serve that at a third of malloc's price. A list is bounded,
// and ends with its thread.

#ifndef TASKCTX_INTERNAL_NODE_MEMORY_H_
#define TASKCTX_INTERNAL_NODE_MEMORY_H_

#include <cstdint>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns memory for a node with `size` bytes behind its header. Throws std::bad_alloc.
void* allocate_node(std::uint32_t size);

// Takes back what came from allocate_node(size), on any thread.
void free_node(void* node, std::uint32_t size) noexcept;

// Gives back what the calling thread keeps, and lets it keep nothing from here on: for tests that
// count allocations, or let them fail.
void keep_no_free_nodes() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_NODE_MEMORY_H_
