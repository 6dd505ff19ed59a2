// SPDX-License-Identifier: Apache-2.0
//
// The owner of the two thread-local words, of the activations' ids, and of what a thread writes
// outside any guard.

#include "taskctx/internal/current.h"

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "taskctx/internal/node.h"
#include "taskctx/internal/variable.h"

// This library or program, for __cxa_thread_atexit.
extern "C" void* __dso_handle;  // NOLINT: the ABI's name

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit Activation no_activation;

Origin Origin::innermost() const noexcept {
  Origin origin = *this;
  while (origin.bits_ != 0 && (origin.bits_ & (kPool | kJob)) == 0) {
    origin = reinterpret_cast<const Activation*>(origin.bits_)->origin;
  }
  return origin;
}

// The two words. taskctx_v1_current is the name that current.h uses.
struct Current {
  Node* now;
  Activation* activation;
};
extern constinit thread_local Current current asm("taskctx_v1_current");
constinit thread_local Current current{.now = &empty_node, .activation = &no_activation};

#if !(defined(__x86_64__) && defined(__LP64__) && defined(__ELF__))
// The empty asm makes the functions impure: else their result might be kept over a suspension.
[[gnu::noinline]] Node* current_node() noexcept {
  asm volatile("");
  return current.now;
}
[[gnu::noinline]] Activation* current_activation() noexcept {
  asm volatile("");
  return current.activation;
}
[[gnu::noinline]] void set_current(Node* node, Activation* activation) noexcept {
  asm volatile("");
  current = {node, activation};
}
#endif

namespace {

// Threads take ids from the process in blocks, so that drawing one is two instructions and shares
// nothing.
constexpr std::uint64_t kIdBlock = 1 << 16;
constinit std::atomic<std::uint64_t> next_id_block{1};
constinit thread_local std::uint64_t next_id = 0;
constinit thread_local std::uint64_t last_id = 0;

// Owns what the thread writes outside any guard.
constinit thread_local Activation root;

// Runs at the thread's end, after its last guard. Destructors of values may use the library: they
// see an empty context, and what they set is cleaned up by another call of this function.
void release_root(void* /*unused*/) {
  Node* node = root.node;
  root = Activation{};
  set_current(&empty_node, &no_activation);
  if (node != nullptr) {
    release(node);
  }
}

[[gnu::noinline]] Activation* enter_root() {
  // A thread_local object with a destructor would not do: it can't be used again once it has been
  // destroyed.
  if (abi::__cxa_thread_atexit(&release_root, nullptr, &__dso_handle) != 0) {
    throw std::bad_alloc();
  }
  set_current(current_node(), &root);
  return &root;
}

// Returns the current activation with an id.
Activation* identified_activation() {
  Activation* activation = current_activation();
  if (activation == &no_activation) {
    activation = enter_root();
  }
  if (activation->id == 0) {
    activation->id = draw_activation_id();
  }
  return activation;
}

}  // namespace

std::uint64_t draw_activation_id() noexcept {
  if (next_id == last_id) {
    next_id = next_id_block.fetch_add(kIdBlock, std::memory_order_relaxed);
    last_id = next_id + kIdBlock;
  }
  return next_id++;
}

Entry exchange(std::uint64_t key, Entry fresh) {
  Activation* activation = identified_activation();
  Node* node = current_node();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};  // Nothing to unset.
  }
  const bool owned = activation->node == node;
  const bool exclusive = owned && node->refs.load(std::memory_order_acquire) == 1;
  const Writable writable =
      make_writable(node, exclusive, static_cast<std::uint32_t>(key) & ~kBoxedBit);
  if (writable.node != node) {
    activation->node = writable.node;
    set_current(writable.node, activation);
  }
  Entry old = std::exchange(*writable.entry, fresh);
  writable.leaf->boxes += static_cast<std::uint32_t>(fresh.key & kBoxedBit) -
                          static_cast<std::uint32_t>(old.key & kBoxedBit);

  // From here on the context is whole again, so destructors of values may use it.
  if (owned && writable.node != node) {
    release(node);
  }
  if (old.key != key && old.key != 0) {  // Left by a dead variable that had the slot before.
    if ((old.key & kBoxedBit) != 0) {
      release(box_of(old));
    }
    old = Entry{};
  }
  return old;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
