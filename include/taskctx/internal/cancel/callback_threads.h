// SPDX-License-Identifier: Apache-2.0
//
// The threads that call the user's callbacks when a deadline has passed: the timer's thread only
// finds that out. One that blocks in a callback delays no other deadline: the next one gets another
// thread.

#ifndef TASKCTX_INTERNAL_CANCEL_CALLBACK_THREADS_H_
#define TASKCTX_INTERNAL_CANCEL_CALLBACK_THREADS_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A list of callbacks, to be called one after the other.
struct CallbackList {
  void (*call)(CallbackList* self) noexcept;  // The list may be gone when this returns.
  CallbackList* next = nullptr;               // While it is queued.
};

// Makes sure that there is a thread. Throws std::system_error if there can be none.
void prepare_callback_threads();

// Lets one of the threads call these. Needs no memory.
void leave_to_callback_threads(CallbackList& callbacks) noexcept;

// For a fork.
void lock_callback_threads() noexcept;
void unlock_callback_threads(bool is_child) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_CALLBACK_THREADS_H_
