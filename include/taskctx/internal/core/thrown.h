// SPDX-License-Identifier: Apache-2.0
//
// What bodies have thrown: the context of each of them, on its way to the call that waits for it.
//
//   const BodiesCall call;  // on the stack of the thread that waits, until the call ends
//   try {                   // a body, on any thread, in its context
//     body();
//   } catch (...) {
//     call.remember();
//     throw;
//   }
//
// Without an exception a body does nothing for this, and a call looks at one counter twice. A
// body's exception is known by its identity, which the scheduler keeps when it rethrows it
// elsewhere.

#ifndef TASKCTX_INTERNAL_CORE_THROWN_H_
#define TASKCTX_INTERNAL_CORE_THROWN_H_

#include <atomic>
#include <cstdint>
#include <exception>

#include "taskctx/internal/core/node.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// How many exceptions are remembered, on their way or by a thread. Relaxed: a thread looks for what
// it has remembered itself, or what was remembered before the end of a body that it has waited for.
extern constinit std::atomic<std::uint32_t> thrown_count;
inline bool has_thrown() noexcept { return thrown_count.load(std::memory_order_relaxed) != 0; }

// Remembers the exception that is being handled, which the code that runs in the current context
// has thrown, for `call`: any address that stands for it, until hand_over_thrown(). If an inner
// call has thrown it there, the context of that one's body stays. Without memory, nothing is
// remembered.
void remember_thrown(const void* call) noexcept;
// Does so only if an inner call has thrown it.
void pass_on_thrown(const void* call) noexcept;
// Lets the code that runs here know what was remembered for `call`, whose bodies have ended.
// Returns whether there was anything.
bool hand_over_thrown(const void* call) noexcept;
// Lets the code that runs here know that `error` comes from `node`.
void know_thrown(const std::exception_ptr& error, NodeRef node) noexcept;
// Forgets what was remembered for `call`.
void forget_thrown(const void* call) noexcept;
// Lets this thread forget what it knows, but for exceptions that are being handled or unwind its
// stack.
void forget_what_was_thrown() noexcept;

// Returns the node that `error` comes from, if the code that runs here knows it, or the empty one.
NodeRef node_of_thrown(const std::exception_ptr& error) noexcept;

// A call that waits for bodies, or one wait for those of `call`.
class BodiesCall {
 public:
  BodiesCall() noexcept : BodiesCall(this) {}
  explicit BodiesCall(const void* call) noexcept : call_(call) {
    if (has_thrown()) [[unlikely]] {
      forget_what_was_thrown();
    }
  }
  BodiesCall(const BodiesCall&) = delete;
  BodiesCall& operator=(const BodiesCall&) = delete;
  ~BodiesCall() {
    if (has_thrown()) [[unlikely]] {
      (void)hand_over_thrown(call_);
    }
  }

  // For a body's handler: remembers the exception, in the body's context.
  void remember() const noexcept { remember_thrown(call_); }

 private:
  const void* const call_;
};

// For a fork.
void lock_thrown() noexcept;
void unlock_thrown() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_THROWN_H_
