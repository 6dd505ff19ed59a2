// SPDX-License-Identifier: Apache-2.0
//
// The memory of nodes: it comes from what the calling thread has given back lately, or from
// operator new.
//
// A write after a capture takes one node and gives another back soon, and so does each task that
// writes: a thread's own short lists serve that at a third of malloc's price. A list is bounded,
// and ends with its thread.
//
// Operator new may be the program's own, and write in the current context. So a write that has
// begun never calls it: it looks first whether the lists have enough. If not, it fetches more, and
// begins anew.
//
//   NodeSupply supply;
//   while (!try_to_write()) {
//     supply.fetch(size, number);  // whatever was read before may have changed here
//     supply.hand_over();
//   }

#ifndef TASKCTX_LIB_CORE_NODE_MEMORY_H_
#define TASKCTX_LIB_CORE_NODE_MEMORY_H_

#include <cstdint>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Tells whether the calling thread's lists have memory for `number` nodes with `size` bytes after
// their headers.
bool has_free_nodes(std::uint32_t size, int number) noexcept;

// Tells whether nodes of these sizes come from one list: what is needed of both adds up.
bool is_one_list(std::uint32_t size, std::uint32_t other) noexcept;

// Takes memory for such a node from them; returns nullptr if there is none. Never calls operator
// new.
void* take_node(std::uint32_t size) noexcept;

// Takes back what came from take_node(size), on any thread.
void free_node(void* node, std::uint32_t size) noexcept;

// Memory for nodes, which the lists lack.
class NodeSupply {
 public:
  NodeSupply() = default;
  NodeSupply(const NodeSupply&) = delete;
  NodeSupply& operator=(const NodeSupply&) = delete;
  // Gives back what was fetched, except what the lists are to keep.
  ~NodeSupply();

  // Gets memory for `number` nodes from operator new. Throws std::bad_alloc.
  void fetch(std::uint32_t size, int number);
  // Puts all that was fetched into the thread's lists. The caller takes it from there before any
  // other code runs.
  void hand_over() noexcept;
  // Makes the lists keep all that is freed on this thread from here on, for the next attempt.
  void keep_freed() noexcept;

 private:
  struct Fetched {
    Fetched* next;
    std::uint32_t size;
  };

  Fetched* first_ = nullptr;
  bool has_handed_over_ = false;
  bool keeps_freed_ = false;
};

// Counts the nodes that are alive in this process, without twins. O(threads), takes a lock; exact
// while no other thread is at work.
std::int64_t live_nodes() noexcept;
// Counts the twins (loan.h), which come and go with other nodes.
std::int64_t live_twins() noexcept;
void count_twin(int number) noexcept;

// Take and give back the lock of the list of threads, around a fork. A child has no other threads.
void lock_threads() noexcept;
void unlock_threads(bool is_child) noexcept;

// Gives back what the calling thread keeps, and makes it keep nothing from here on: for tests that
// count allocations, or make them fail.
void keep_no_free_nodes() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CORE_NODE_MEMORY_H_
