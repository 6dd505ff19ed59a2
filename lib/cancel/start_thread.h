// SPDX-License-Identifier: Apache-2.0
//
// start_thread(): a thread of our own that nobody joins. std::thread can't be told what signals it
// is to have blocked, and allocates.

#ifndef TASKCTX_LIB_CANCEL_START_THREAD_H_
#define TASKCTX_LIB_CANCEL_START_THREAD_H_

#include <pthread.h>

#include <csignal>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Has a new thread call `run(argument)`, with `blocked` as its blocked signals. Returns 0, or an
// error number if there can be no thread.
inline int start_thread(void* (*run)(void*), void* argument, const sigset_t& blocked) noexcept {
  sigset_t ours;
  pthread_sigmask(SIG_SETMASK, &blocked, &ours);  // A thread inherits them.
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &ours, nullptr);
  if (error == 0) {
    pthread_detach(thread);
  }
  return error;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CANCEL_START_THREAD_H_
