// SPDX-License-Identifier: Apache-2.0
//
// The lists of free nodes, one set for each thread, and the count of live nodes.

#include "taskctx/internal/node_memory.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>

#include "taskctx/internal/node.h"
#include "taskctx/internal/variable.h"

// This library or program, for __cxa_thread_atexit.
extern "C" void* __dso_handle;  // NOLINT: the ABI's name

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// AddressSanitizer sees the use of a dead node only if the node goes back to it.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeep = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kKeep = false;
#else
constexpr bool kKeep = true;
#endif
#else
constexpr bool kKeep = true;
#endif

constexpr std::size_t kStep = 64;             // Bytes between two sizes.
constexpr std::size_t kLargest = kLeafLimit;  // A full leaf, which malloc serves fast as it is.
constexpr std::uint32_t kLongest = kKeep ? 8 : 0;  // So many free nodes of each size.

constexpr std::size_t index_of(std::size_t size) noexcept { return (size + kStep - 1) / kStep; }

struct Free {
  Free* next;
};

// What one thread has. Without a constructor or destructor, so that it works before the thread's
// first and after its last thread_local object.
struct ThreadMemory {
  struct List {
    Free* first;
    std::uint32_t room;  // 0 until the thread is registered, and once more at its end.
  };
  std::array<List, index_of(kLargest) + 1> lists;
  std::atomic<std::int64_t> live;  // Made here minus ended here. Only this thread writes it.
  bool is_registered;
  bool is_over;
  ThreadMemory* next;  // In the list of all threads.
  ThreadMemory* previous;
};

constinit thread_local ThreadMemory memory{};

// The threads that have made or ended nodes. Trivially destructible, so there to the very end.
struct Threads {
  std::mutex mutex;
  ThreadMemory* first = nullptr;
  std::int64_t live_of_ended_threads = 0;
};
constinit Threads threads;

void count(std::int64_t nodes) noexcept {
  memory.live.store(memory.live.load(std::memory_order_relaxed) + nodes, std::memory_order_relaxed);
}

// Empties and closes the lists of this thread.
void close_lists() noexcept {
  for (ThreadMemory::List& list : memory.lists) {
    list.room = 0;
    while (list.first != nullptr) {
      ::operator delete(std::exchange(list.first, list.first->next));
    }
  }
}

// Runs at the thread's end. Destructors that run later allocate without the lists.
void end_thread(void* /*unused*/) {
  memory.is_over = true;
  close_lists();
  const std::lock_guard lock(threads.mutex);
  (memory.previous != nullptr ? memory.previous->next : threads.first) = memory.next;
  if (memory.next != nullptr) {
    memory.next->previous = memory.previous;
  }
  threads.live_of_ended_threads += memory.live.exchange(0, std::memory_order_relaxed);
}

// Opens the lists of this thread, once.
void register_thread() noexcept {
  if (memory.is_registered || abi::__cxa_thread_atexit(&end_thread, nullptr, &__dso_handle) != 0) {
    return;
  }
  memory.is_registered = true;
  for (ThreadMemory::List& list : memory.lists) {
    list.room = kLongest;
  }
  const std::lock_guard lock(threads.mutex);
  memory.next = threads.first;
  if (threads.first != nullptr) {
    threads.first->previous = &memory;
  }
  threads.first = &memory;
}

// Counts a node where the lists can't help: before the thread is known, or after its end.
void count_slowly(std::int64_t nodes) noexcept {
  register_thread();
  if (memory.is_registered && !memory.is_over) {
    count(nodes);
    return;
  }
  const std::lock_guard lock(threads.mutex);
  threads.live_of_ended_threads += nodes;
}

[[gnu::noinline]] void* allocate_slowly(std::size_t index) {
  void* node = ::operator new(kNodeHeader + std::min(index * kStep, kLargest));
  count_slowly(1);
  return node;
}

[[gnu::noinline]] void free_slowly(void* node) noexcept {
  count_slowly(-1);
  ::operator delete(node);
}

}  // namespace

void* allocate_node(std::uint32_t size) {
  ThreadMemory::List& list = memory.lists[index_of(size)];
  Free* node = list.first;
  if (node == nullptr) [[unlikely]] {
    return allocate_slowly(index_of(size));
  }
  list.first = node->next;
  ++list.room;
  count(1);
  return node;
}

void free_node(void* node, std::uint32_t size) noexcept {
  ThreadMemory::List& list = memory.lists[index_of(size)];
  if (list.room == 0) [[unlikely]] {
    free_slowly(node);
    return;
  }
  list.first = new (node) Free{list.first};
  --list.room;
  count(-1);
}

void keep_no_free_nodes() noexcept {
  register_thread();
  close_lists();
}

std::int64_t live_nodes() noexcept {
  const std::lock_guard lock(threads.mutex);
  std::int64_t live = threads.live_of_ended_threads;
  for (const ThreadMemory* thread = threads.first; thread != nullptr; thread = thread->next) {
    live += thread->live.load(std::memory_order_relaxed);
  }
  return live;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
