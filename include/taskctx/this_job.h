// SPDX-License-Identifier: Apache-2.0
//
// this_job: what a job can ask about itself, in its own code and in its parallel loops' leaves.
//
//   auto job = pool.submit({.name = "scan"}, [] {
//     while (!taskctx::this_job::cancel_requested() && scan_one_more()) {}
//   });
//   job.cancel();
//
// Threads:  all calls are thread-safe, and answer for the job that the calling code belongs to: the
//           one that has created it. That may be over: tasks of a group, bound callables and tasks
//           of an arena may outlive their job, and have its number and name nevertheless.
// Errors:   none: outside any job there is a plain answer.

#ifndef TASKCTX_THIS_JOB_H_
#define TASKCTX_THIS_JOB_H_

#include <cstdint>
#include <string_view>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace this_job {

// Tells whether this job was asked to end, by Job::cancel() or the pool's shutdown(), or this code
// is to stop for another reason (cancelled()). Stays true in a coroutine that has caught its
// JobCancelled, where cancelled() is false again. Costs as cancelled(): a loop may ask often.
//
//   if (taskctx::this_job::cancel_requested()) throw taskctx::JobCancelled("stopped half-way");
[[nodiscard]] bool cancel_requested() noexcept;

// Returns the number of this job, as Job::id() does; 0 outside any job. O(1).
//
//   log("job ", taskctx::this_job::id());
[[nodiscard]] std::uint64_t id() noexcept;

// Returns JobOptions::name of this job; empty if it has none. Valid as long as the code that asks
// runs. O(1).
//
//   log("in ", taskctx::this_job::name());
[[nodiscard]] std::string_view name() noexcept;

}  // namespace this_job
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_THIS_JOB_H_
