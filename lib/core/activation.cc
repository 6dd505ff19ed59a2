// SPDX-License-Identifier: Apache-2.0
//
// The owner of the two thread-local words.

#include "taskctx/internal/core/activation.h"

#include <cstdint>

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit Activation no_activation = outermost_activation();
constinit Activation hidden_activation = outermost_activation();

// Defined in node.cc: this unit knows nodes by name only.
extern Node empty_node;

Origin Origin::innermost() const noexcept {
  Origin origin = *this;
  while (origin.bits_ != 0 && (origin.bits_ & (kPool | kJob)) == 0) {
    origin = reinterpret_cast<const Activation*>(origin.bits_)->origin;
  }
  return origin.is_lost() ? Origin() : origin;
}

// The two words. taskctx_v1_current is the name that activation.h uses.
struct Current {
  Node* now;
  Activation* activation;
};
extern constinit thread_local Current current asm("taskctx_v1_current");
constinit thread_local Current current{.now = &empty_node, .activation = &no_activation};

#if !(defined(__x86_64__) && defined(__LP64__) && defined(__ELF__))
// The empty asm makes the functions impure: otherwise their result might be kept over a suspension.
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

const void* this_thread() noexcept { return &current; }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
