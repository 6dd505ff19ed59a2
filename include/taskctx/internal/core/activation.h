// SPDX-License-Identifier: Apache-2.0
//
// The thread's current context: two thread-local words, and the only code that touches them.
//
//   now         the node that look-ups read; never null
//   activation  who runs here: owns what is written; its id is what tokens are matched by
//
// A guard (current.h) puts a captured node in place with a fresh activation. The activation owns
// nothing at first, so the first write copies the node; from then on it owns the copy and writes in
// place while nothing else holds it. The guard's end puts both words back and drops what the
// activation owns: references belong to guards, never to threads. A Context brings its own
// activation, which owns its node all the time, so that what is written in Context::run stays
// there.
//
// A suspended task may resume on another thread, in the middle of a function. A compiler assumes
// that the thread stays the same there, and may keep the words' address over the call that
// suspends: g++ does with -fPIC in its default TLS model, clang 16 in every model. So the words
// have no name in C++: on x86-64 each access is one instruction relative to the thread register,
// and elsewhere a call that is never inlined.

#ifndef TASKCTX_INTERNAL_CORE_ACTIVATION_H_
#define TASKCTX_INTERNAL_CORE_ACTIVATION_H_

#include <cstdint>

#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Activation;
struct Node;

// Where code runs: in a pool, in a job of a pool, or wherever the code around it does. A plain
// pointer, good for as long as the code that has it is waited for. What may run later than that
// holds the pool (ExecutorRef) and makes an origin of it when it runs.
class Origin {
 public:
  constexpr Origin() = default;
  explicit Origin(const Activation* outer) noexcept
      : bits_(reinterpret_cast<std::uintptr_t>(outer)) {}
  // Makes the origin of code in a pool, in no job of it; nullptr: in no pool.
  static Origin pool(const Executor* executor) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(executor) | kPool);
  }
  // Makes the origin of what began in something that has ended: nobody knows where it is now.
  static Origin lost() noexcept { return Origin(kPool | kJob); }
  // Makes the origin of code in a job, which must outlive whatever runs with it.
  static Origin job(const Workplace* job) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(job) | kJob);
  }

  [[nodiscard]] bool is_lost() const noexcept { return bits_ == (kPool | kJob); }

  // Returns the origin without the guards around: good on any thread, for code that ends before the
  // caller's does. O(guards around the code within the pool's task).
  [[nodiscard]] Origin innermost() const noexcept;

  // Returns the activation around this one; nullptr where a task begins.
  [[nodiscard]] const Activation* outer() const noexcept {
    return (bits_ & (kPool | kJob)) == 0 ? reinterpret_cast<const Activation*>(bits_) : nullptr;
  }

  // Returns the pool that runs this code, or nullptr. Costs as much.
  [[nodiscard]] Executor* executor() const noexcept {
    const Origin origin = innermost();
    const Workplace* workplace = origin.tagged_job();
    return workplace != nullptr ? workplace->executor
                                : reinterpret_cast<Executor*>(origin.bits_ & ~kPool);
  }
  // Returns the job that this code belongs to, or nullptr. Costs as much.
  [[nodiscard]] const Workplace* job() const noexcept { return innermost().tagged_job(); }

 private:
  static constexpr std::uintptr_t kPool = 1;
  static constexpr std::uintptr_t kJob = 2;

  explicit Origin(std::uintptr_t bits) noexcept : bits_(bits) {}
  [[nodiscard]] const Workplace* tagged_job() const noexcept {
    return (bits_ & kJob) != 0 ? reinterpret_cast<const Workplace*>(bits_ & ~kJob) : nullptr;
  }

  std::uintptr_t bits_ = 0;
};

// Who runs here. Its owner is a guard, a Context, or the thread (unguarded.h).
struct Activation {
  Node* node = nullptr;  // The current node, if this activation owns it; id is not 0 then.
  std::uint64_t id = 0;  // Never used twice in a process; 0 until it is needed.
  Origin origin = {};
  // Not set before they are needed, because a switch is to set little.
  Node* base;            // Where there is a node of a guard's: what the guard has installed.
  std::uint32_t scopes;  // Where there is an id: how many scopes are open here.
  // What was current before, and will be again when this ends; nullptr where it never ends.
  Node* outer_node;
  Activation* outer;
};

// Returns an activation that is around no other, all of it set.
constexpr Activation outermost_activation(Node* node = nullptr) noexcept {
  return {.node = node, .base = nullptr, .scopes = 0, .outer_node = nullptr, .outer = nullptr};
}

// The activation of a thread that no guard has touched and that has written nothing yet.
extern Activation no_activation;

// The activation of a thread that waits, and meanwhile runs any task that it gets. Immortal, as
// no_activation is: where tasks suspend, a thread may leave the stack that waits, and what it runs
// next must not find a pointer into that stack.
extern Activation hidden_activation;

// Tells whether this is a Context's. Those of other kinds know what they have begun with, once they
// have a node.
inline bool is_context(const Activation* activation) noexcept {
  return activation->node != nullptr && activation->base == nullptr;
}

#if defined(__x86_64__) && defined(__LP64__) && defined(__ELF__)

// Returns where the words are, relative to the thread register: the same for all threads, so it may
// be kept.
inline std::uintptr_t current_offset() noexcept {
  std::uintptr_t offset;
  asm("movq taskctx_v1_current@GOTTPOFF(%%rip), %0" : "=r"(offset));  // initial-exec
  return offset;
}
inline Node* current_node() noexcept {
  Node* node;
  asm volatile("movq %%fs:(%1), %0" : "=r"(node) : "r"(current_offset()));
  return node;
}
inline Activation* current_activation() noexcept {
  Activation* activation;
  asm volatile("movq %%fs:8(%1), %0" : "=r"(activation) : "r"(current_offset()));
  return activation;
}
inline bool is_current(const Activation* activation) noexcept {
  bool is_it;
  asm volatile("cmpq %%fs:8(%1), %2" : "=@cce"(is_it) : "r"(current_offset()), "r"(activation));
  return is_it;
}
inline void set_current(Node* node, Activation* activation) noexcept {
  const std::uintptr_t offset = current_offset();
  asm volatile("movq %1, %%fs:(%0)" : : "r"(offset), "r"(node));
  asm volatile("movq %1, %%fs:8(%0)" : : "r"(offset), "r"(activation));
}

#else

Node* current_node() noexcept;
Activation* current_activation() noexcept;
inline bool is_current(const Activation* activation) noexcept {
  return activation == current_activation();
}
void set_current(Node* node, Activation* activation) noexcept;

#endif

// Returns a pointer that no two threads have in common at the same time.
const void* this_thread() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_ACTIVATION_H_
