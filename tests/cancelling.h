// SPDX-License-Identifier: Apache-2.0
//
// For tests of cancellation: waiting for it without sleeping, and how a job has ended.

#ifndef TASKCTX_TESTS_CANCELLING_H_
#define TASKCTX_TESTS_CANCELLING_H_

#include <atomic>
#include <thread>

#include "absl/status/status.h"
#include "taskctx/cancel.h"

namespace taskctx_test {

// Asks until the answer is yes.
inline void wait_until_cancelled() {
  while (!taskctx::cancelled()) {
    std::this_thread::yield();
  }
}
inline void wait_for(const std::atomic<bool>& flag) {
  while (!flag) {
    std::this_thread::yield();
  }
}

// Returns OK, or why it was cancelled.
template <typename J>
absl::Status end_of(J& job) {
  try {
    job.get();
    return absl::OkStatus();
  } catch (const taskctx::Cancelled& error) {
    return error.status();
  }
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_CANCELLING_H_
