// SPDX-License-Identifier: Apache-2.0
//
// How deep each thread is in ending objects, and what waits for its end there.

#include "taskctx/internal/core/ending.h"

#include <atomic>
#include <cstdint>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// What one thread has. Without a constructor or destructor, so that it works before the thread's
// first and after its last thread_local object.
struct Endings {
  std::uint32_t depth;  // How many are being destroyed around; kEndingDepth: one empties the list.
  std::uint32_t moves;  // What `moves` was when that one began, and the job that it belongs to.
  const Workplace* job;
  Mortal* waiting;
};
constinit thread_local Endings endings{};

// How often a destructor was seen to resume on another thread: destructors run any code, and it may
// suspend. The depth that it leaves on the first thread is not that of what runs there next.
// Relaxed: it is only compared, and publishes nothing.
constinit std::atomic<std::uint32_t> moves{0};

// Returns what this thread has. Never inlined: each call asks anew which thread this is.
[[gnu::noinline]] Endings* here() noexcept {
  asm volatile("");
  return &endings;
}

// Destroys an object whose end has begun on the thread of `before`. Returns what this thread has
// afterwards.
Endings* destroy(Mortal* object, const Endings* before) noexcept {
  object->rule->destroy(object);
  Endings* const after = here();
  if (after != before) [[unlikely]] {
    moves.fetch_add(1, std::memory_order_relaxed);
  }
  return after;
}

[[gnu::noinline]] void end_deep(Mortal* object, Endings* thread) noexcept {
  const Workplace* const job = current_activation()->origin.job();
  Endings outer = *thread;
  const std::uint32_t seen = moves.load(std::memory_order_relaxed);
  const bool somebody_empties = outer.depth == kEndingDepth && outer.moves == seen;
  // Another job may run on top of a destructor that waits: the ends of its values don't wait for
  // that destructor.
  if (somebody_empties && outer.job == job) {
    object->behind = std::exchange(thread->waiting, object);
    return;
  }
  // No other call will end what is in the list: so that is ended here, too.
  (somebody_empties ? thread->waiting : outer.waiting) = nullptr;
  while (object != nullptr) {
    thread->depth = kEndingDepth;
    thread->moves = moves.load(std::memory_order_relaxed);
    thread->job = job;
    thread = destroy(object, thread);
    object = thread->waiting;
    if (object != nullptr) {
      thread->waiting = object->behind;
    }
  }
  if (!somebody_empties && outer.moves != seen) {
    outer.depth = 0;  // The code that has counted up to there may be gone.
  }
  *thread = outer;
}

}  // namespace

void end(Mortal* object) noexcept {
  Endings* thread = here();
  const std::uint32_t depth = thread->depth;
  if (depth + 1 >= kEndingDepth) [[unlikely]] {
    end_deep(object, thread);
    return;
  }
  thread->depth = depth + 1;
  thread = destroy(object, thread);
  thread->depth = depth;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
