// SPDX-License-Identifier: Apache-2.0
//
// Waiting until a Deadline, on a condition variable. A deadline may be a time of day, and the clock
// on the wall may be set meanwhile, which ends no wait: so such waits are cut into short ones.

#ifndef TASKCTX_LIB_CANCEL_TIMED_WAIT_H_
#define TASKCTX_LIB_CANCEL_TIMED_WAIT_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

#include "taskctx/deadline.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns when, on the clock of real_now(), to look again whether `clock` shows `ns`.
std::int64_t next_look(Deadline::Clock clock, std::int64_t ns) noexcept;

// Waits until `changed` is notified (or wakes up for no reason), or until real_now() is `time`.
void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                std::int64_t time);

// Waits until `changed` is notified (or wakes up for no reason), or until `deadline`. Returns false
// if the deadline has passed.
bool wait_on(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
             Deadline deadline);

// Makes a condition variable anew. For a forked process: the threads that wait on it do not exist
// there.
inline void renew(std::condition_variable& changed) noexcept {
  ::new (static_cast<void*>(std::addressof(changed))) std::condition_variable;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_CANCEL_TIMED_WAIT_H_
