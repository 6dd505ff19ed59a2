// SPDX-License-Identifier: Apache-2.0
//
// The owner of the two thread-local words.

#include "taskctx/internal/core/activation.h"

#include <cstdint>

#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit Activation no_activation = outermost_activation();
constinit Activation hidden_activation = outermost_activation();

// Defined in node.cc: this unit knows nodes by name only.
extern Node empty_node;

Origin Origin::at_work() const noexcept {
  Origin origin = innermost();
  while (const Frame* const frame = origin.tagged_frame()) {
    origin = frame->outer.innermost();
  }
  return origin;
}

const Activation* Origin::outer() const noexcept {
  Origin origin = *this;
  while (const Frame* const frame = origin.tagged_frame()) {
    origin = frame->outer;
  }
  return origin.next();
}

Executor* Origin::executor() const noexcept {
  const Origin origin = at_work();
  const Workplace* const job = origin.tagged_job();
  return job != nullptr ? job->executor : reinterpret_cast<Executor*>(origin.untagged(kPool));
}

bool Origin::is_in_group() const noexcept {
  Origin origin = *this;
  while (origin.kind() != kInGroup) {
    if (const Frame* const frame = origin.tagged_frame(); frame != nullptr) {
      if (frame->whose.kind() != kAsOuter) {
        return frame->whose.kind() == kLinkInGroup;
      }
      origin = frame->outer;
    } else if (const Activation* const around = origin.next()) {
      origin = around->origin;
    } else {
      return false;
    }
  }
  return true;
}

// The words. taskctx_v1_current is the name that activation.h uses.
struct Current {
  Node* now;
  Activation* activation;
  std::uint32_t tag;
  Part* parts;
};
extern constinit thread_local Current current asm("taskctx_v1_current");
constinit thread_local Current current{.now = &empty_node,
                                       .activation = &no_activation,
                                       .tag = kNoThreadTag,
                                       .parts = closed_parts.data()};

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
[[gnu::noinline]] std::uint32_t thread_tag() noexcept {
  asm volatile("");
  return current.tag;
}
[[gnu::noinline]] Part* thread_parts() noexcept {
  asm volatile("");
  return current.parts;
}
[[gnu::noinline]] void set_current(Node* node, Activation* activation) noexcept {
  asm volatile("");
  current.now = node;
  current.activation = activation;
}
#endif

void set_thread_tag(std::uint32_t tag, Part* parts) noexcept {
  current.tag = tag;
  current.parts = parts;
}

const void* this_thread() noexcept { return &current; }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
