// SPDX-License-Identifier: Apache-2.0
//
// The activations of a thread that no guard has: made at its first write, released at its end.

#include "taskctx/internal/core/unguarded.h"

#include <cxxabi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/node.h"

// This library or program, for __cxa_thread_atexit.
extern "C" void* __dso_handle;  // NOLINT: the ABI's name

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Owns what the thread writes outside any guard.
constinit thread_local Activation root = outermost_activation();

// All of this thread, linked through themselves.
constinit thread_local Foreign* foreign = nullptr;
// Whether release_thread() will be called.
constinit thread_local bool is_registered = false;

void release_activation(Activation* activation) noexcept {
  Node* node = activation->node;
  *activation = outermost_activation();
  if (node != nullptr) {
    release_written(node);
  }
}

// How often a thread's end releases what was set meanwhile: operator delete may set something each
// time. What is left after that goes to the next thread that ends. Linked by their versions.
constexpr int kMostRounds = 32;
constinit thread_local int rounds = 0;
constinit std::atomic<Node*> left_behind{nullptr};

void leave_behind(Node* node) noexcept {
  Node* next = left_behind.load(std::memory_order_relaxed);
  do {
    node->version.store(reinterpret_cast<std::uintptr_t>(next), std::memory_order_relaxed);
    // The release publishes the node: it pairs with the acquire in release_left_behind().
  } while (!left_behind.compare_exchange_weak(next, node, std::memory_order_release,
                                              std::memory_order_relaxed));
}

void release_left_behind() noexcept {
  // Pairs with the releases in leave_behind(), each of which continues the sequence of the one
  // before.
  Node* node = left_behind.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    auto* const next = reinterpret_cast<Node*>(
        static_cast<std::uintptr_t>(node->version.exchange(0, std::memory_order_relaxed)));
    release_written(node);
    node = next;
  }
}

// Runs at the thread's end, after its last guard. Destructors of values, and operator delete, may
// use the library: they see an empty context, and another call of this function releases what they
// set.
void release_thread(void* /*unused*/) {
  is_registered = false;
  set_current(&empty_node, &no_activation);
  if (++rounds >= kMostRounds) {
    Node* const node = root.node;
    root = outermost_activation();
    // If the node is only ours, its version is free to use.
    if (node != nullptr && node->refs.is_one()) {
      leave_behind(node);
    } else if (node != nullptr) {
      release_written(node);
    }
    return;
  }
  release_activation(&root);
  while (foreign != nullptr) {
    Foreign* last = std::exchange(foreign, foreign->next);
    release_activation(last);
    delete last;
  }
  if (rounds == 1) {
    release_left_behind();
  }
}

[[gnu::noinline]] Activation* enter_unguarded(const Activation* current) {
  // A thread_local object with a destructor would not do: it can't be used again once it has been
  // destroyed.
  if (!is_registered) {
    is_registered = true;  // At once: malloc() may come here again.
    if (abi::__cxa_thread_atexit(&release_thread, nullptr, &__dso_handle) != 0) {
      is_registered = false;
      throw std::bad_alloc();
    }
  }
  Activation* fresh = &root;
  if (current == &hidden_activation || root.id != 0) [[unlikely]] {
    auto another = std::make_unique<Foreign>(Foreign{outermost_activation()});
    if (current_activation() == current) {
      another->next = foreign;
      foreign = another.release();
      fresh = foreign;
    }
  }
  if (current_activation() != current) [[unlikely]] {
    return current_activation();  // The program's operator new has written, too, and was faster.
  }
  set_current(current_node(), fresh);
  return fresh;
}

}  // namespace

Activation* identify(Activation* current) {
  // These two never get an id, because many threads have them.
  if (current == &no_activation || current == &hidden_activation) {
    current = enter_unguarded(current);
  }
  if (current->id == 0) {
    current->id = draw_id();
    current->scopes = 0;
  }
  return current;
}

bool is_root(const Activation* activation) noexcept { return activation == &root; }

std::unique_ptr<Foreign> take_foreign(const Activation* activation) noexcept {
  // One that is not in the list is not ours: this thread has left the stack that it was on.
  for (Foreign** link = &foreign; *link != nullptr; link = &(*link)->next) {
    if (*link == activation) {
      return std::unique_ptr<Foreign>(std::exchange(*link, (*link)->next));
    }
  }
  return nullptr;
}

bool is_unguarded(const Activation* activation) noexcept {
  bool is_foreign = false;
  for (const Foreign* known = foreign; known != nullptr; known = known->next) {
    is_foreign = is_foreign || known == activation;
  }
  return is_foreign || is_outermost(activation) || activation == &hidden_activation;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
