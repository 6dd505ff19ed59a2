// SPDX-License-Identifier: Apache-2.0
//
// The limit of a bounded queue: taking room, giving it back, refusing.

#include "taskctx/internal/pool/queue_limit.h"

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

bool QueueLimit::take() noexcept {
  // Pairs with give(): seq_cst, so that a thread which finds no room here is seen there, in
  // blocked_.
  if (counted_.fetch_add(1, std::memory_order_seq_cst) < capacity_) {
    return true;
  }
  counted_.fetch_sub(1, std::memory_order_seq_cst);  // As above.
  return false;
}

void QueueLimit::give() noexcept {
  counted_.fetch_sub(1, std::memory_order_seq_cst);     // Pairs with wait(), as the next line does:
  if (blocked_.load(std::memory_order_seq_cst) != 0) {  // either we see it, or it sees the room.
    {
      const std::lock_guard lock(mutex_);  // A thread that found no room waits by now.
    }
    changed_.notify_all();
  }
}

void QueueLimit::refuse(std::string_view job, const std::string& pool) {
  rejected_.fetch_add(1, std::memory_order_relaxed);
  throw JobRejected("cannot submit job" +
                    (job.empty() ? std::string() : " '" + std::string(job) + "'") + ": " +
                    std::to_string(capacity_) + " jobs are queued in pool '" + pool + "' already");
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
