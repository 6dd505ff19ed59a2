// SPDX-License-Identifier: Apache-2.0
//
// The lists of free nodes, one set for each thread, and the count of live nodes.

#include "lib/core/node_memory.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>

#include "taskctx/internal/core/key.h"

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

constexpr std::size_t kStep = 64;                 // Bytes between two sizes.
constexpr std::size_t kLargest = 1152;            // The twin of the largest packed leaf.
constexpr std::int32_t kLongest = kKeep ? 8 : 0;  // How many free nodes of each size are kept.

constexpr std::size_t index_of(std::size_t size) noexcept { return (size + kStep - 1) / kStep; }

struct Free {
  Free* next;
};

// What one thread has. Without a constructor or destructor, so that it works before the thread's
// first and after its last thread_local object.
struct ThreadMemory {
  struct List {
    Free* first;
    std::int32_t room;  // Below 0 while the list has more than it is to keep.
  };
  std::array<List, index_of(kLargest) + 1> lists;
  std::int32_t most;  // What a list is to keep: 0 until the thread is registered, and at its end.
  // Made here minus ended here. Only this thread writes it; relaxed, as nothing hangs on it.
  std::atomic<std::int64_t> live;
  std::int32_t keepers;  // How many supplies want the lists to keep everything.
  bool is_registered;
  bool is_over;
  ThreadMemory* next;  // In the list of all threads.
  ThreadMemory* previous;
};

constinit thread_local ThreadMemory memory{};

// The threads that have made or ended nodes. Nobody allocates with the mutex. Trivially
// destructible, so there to the very end.
struct Threads {
  std::mutex mutex;
  ThreadMemory* first = nullptr;
  std::int64_t live_of_ended_threads = 0;
};
constinit Threads threads;

// Few: one for all threads.
constinit std::atomic<std::int64_t> twins{0};

void count(std::int64_t nodes) noexcept {
  memory.live.store(memory.live.load(std::memory_order_relaxed) + nodes, std::memory_order_relaxed);
}

// Gives back what the lists of this thread are not to keep. Returns how much that was.
int trim_lists() noexcept {
  int trimmed = 0;
  for (ThreadMemory::List& list : memory.lists) {
    for (; list.room < 0; ++trimmed) {
      ++list.room;
      ::operator delete(std::exchange(list.first, list.first->next));
    }
  }
  return trimmed;
}

void keep_in_lists(std::int32_t most) noexcept {
  const std::int32_t more = most - std::exchange(memory.most, most);
  for (ThreadMemory::List& list : memory.lists) {
    list.room += more;
  }
  (void)trim_lists();
}

// Runs at the thread's end. Destructors that run later allocate without the lists.
void end_thread(void* /*unused*/) {
  memory.is_over = true;
  keep_in_lists(0);
  const std::lock_guard lock(threads.mutex);
  (memory.previous != nullptr ? memory.previous->next : threads.first) = memory.next;
  if (memory.next != nullptr) {
    memory.next->previous = memory.previous;
  }
  threads.live_of_ended_threads += memory.live.exchange(0, std::memory_order_relaxed);
}

// Opens the lists of this thread, once.
void register_thread() noexcept {
  if (memory.is_registered) {
    return;
  }
  memory.is_registered = true;  // At once: malloc() may come here again.
  if (abi::__cxa_thread_atexit(&end_thread, nullptr, &__dso_handle) != 0) {
    memory.is_registered = false;
    return;
  }
  keep_in_lists(kLongest);
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

void push(ThreadMemory::List& list, void* node) noexcept {
  list.first = new (node) Free{list.first};
  --list.room;
}

[[gnu::noinline]] void free_slowly(ThreadMemory::List& list, void* node) noexcept {
  if (memory.keepers != 0) {
    push(list, node);
    count(-1);
    return;
  }
  count_slowly(-1);
  ::operator delete(node);
}

}  // namespace

bool has_free_nodes(std::uint32_t size, int number) noexcept {
  return memory.most - memory.lists[index_of(size)].room >= number;
}

bool is_one_list(std::uint32_t size, std::uint32_t other) noexcept {
  return index_of(size) == index_of(other);
}

void* take_node(std::uint32_t size) noexcept {
  ThreadMemory::List& list = memory.lists[index_of(size)];
  Free* node = list.first;
  if (node != nullptr) [[likely]] {
    list.first = node->next;
    ++list.room;
    count(1);
  }
  return node;
}

void free_node(void* node, std::uint32_t size) noexcept {
  ThreadMemory::List& list = memory.lists[index_of(size)];
  if (list.room <= 0) [[unlikely]] {
    free_slowly(list, node);
    return;
  }
  push(list, node);
  count(-1);
}

void NodeSupply::fetch(std::uint32_t size, int number) {
  for (; number > 0; --number) {
    const std::size_t index = index_of(size);
    void* const node = ::operator new(kNodeHeader + std::min(index * kStep, kLargest));
    first_ = new (node) Fetched{first_, size};
  }
}

void NodeSupply::hand_over() noexcept {
  register_thread();
  while (first_ != nullptr) {
    Fetched* const node = std::exchange(first_, first_->next);
    push(memory.lists[index_of(node->size)], node);
    has_handed_over_ = true;
    if (memory.is_over) {  // Whoever takes it counts it where nobody looks any more.
      count_slowly(1);
    }
  }
}

NodeSupply::~NodeSupply() {
  while (first_ != nullptr) {
    ::operator delete(std::exchange(first_, first_->next));
  }
  memory.keepers -= keeps_freed_ ? 1 : 0;
  if ((has_handed_over_ || keeps_freed_) && memory.keepers == 0) {
    const int trimmed = trim_lists();
    if (memory.is_over) {
      count_slowly(-trimmed);
    }
  }
}

void NodeSupply::keep_freed() noexcept {
  keeps_freed_ = true;
  ++memory.keepers;
}

void keep_no_free_nodes() noexcept {
  register_thread();
  keep_in_lists(0);
}

void lock_threads() noexcept { threads.mutex.lock(); }

void unlock_threads(bool is_child) noexcept {
  if (is_child) {  // The others' memory may be another thread's stack soon.
    for (ThreadMemory* thread = threads.first; thread != nullptr; thread = thread->next) {
      if (thread != &memory) {
        threads.live_of_ended_threads += thread->live.load(std::memory_order_relaxed);
      }
    }
    memory.next = nullptr;
    memory.previous = nullptr;
    threads.first = memory.is_registered && !memory.is_over ? &memory : nullptr;
  }
  threads.mutex.unlock();
}

std::int64_t live_twins() noexcept { return twins.load(std::memory_order_relaxed); }

void count_twin(int number) noexcept { twins.fetch_add(number, std::memory_order_relaxed); }

std::int64_t live_nodes() noexcept {
  const std::lock_guard lock(threads.mutex);
  std::int64_t live = threads.live_of_ended_threads - live_twins();
  for (const ThreadMemory* thread = threads.first; thread != nullptr; thread = thread->next) {
    live += thread->live.load(std::memory_order_relaxed);
  }
  return live;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
