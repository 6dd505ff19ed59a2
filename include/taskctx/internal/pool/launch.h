// SPDX-License-Identifier: Apache-2.0
//
// launch(): how every job begins. The steps, in an order that matters:
//
//   1. The pool says that it takes the job: an entry is made, which throws if not. A job that is
//      refused leaves no trace: no factory was called, and no argument was moved.
//   2. The job's extras and its context are made. That may throw, too: it needs memory, and the
//      context may come from a factory of the user's. The arguments are still untouched.
//   3. The job is made: function and arguments are copied or moved into it.
//   4. The handle gets its reference. Once the job has entered, another thread may run it to its
//      end, and drop the queue's reference, before this thread returns.
//   5. The job enters the pool. Only a shutdown that came since step 1 can refuse it here: it drops
//      the queue's reference then, and throws.
//
// A posted job has no handle, and leaves out step 4.

#ifndef TASKCTX_INTERNAL_POOL_LAUNCH_H_
#define TASKCTX_INTERNAL_POOL_LAUNCH_H_

#include <utility>

#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The entry of a job that waits before it is queued: it takes no room in the queue.
// (PoolCore::Admission is that of a job that is queued at once.)
template <typename Start>
class WaitingEntry {
 public:
  // Throws the JobError that says why the pool can't do `what`. `start(job)` gives the pool the
  // job.
  WaitingEntry(PoolCore* core, const char* what, const JobOptions* options, Start start)
      : core_(core), start_(std::move(start)) {
    core->check_open(what, name_in(options));
  }

  [[nodiscard]] PoolCore* core() const noexcept { return core_; }
  Inherited inherited(const JobOptions* options) { return core_->inherited(options); }
  template <typename J>
  void accept(J* job) {
    start_(job);
  }

 private:
  PoolCore* const core_;
  Start start_;
};

// Does steps 2 and 3, and returns the job, which has not entered its pool. `entry` has core() and
// inherited(options). `place`: that of the call; options have one of their own. `args` are what J's
// constructor takes after pool and context.
template <typename J, typename Entry, typename... Args>
J* new_job(Entry& entry, const JobOptions* options, CallPlace place, Args&&... args) {
  PoolCore* const core = entry.core();
  auto extras = core->extras(options);
  auto* const job = new J(core, entry.inherited(options), std::forward<Args>(args)...);
  job->describe(std::move(extras));
  job->set_place(options != nullptr ? options->place : place.get());
  return job;
}

// Does steps 2 to 5, and returns the handle's reference.
template <typename J, typename Entry, typename... Args>
JobRef<JobResult<typename J::Result>> launch(Entry& entry, const JobOptions* options,
                                             CallPlace place, Args&&... args) {
  auto* const job = new_job<J>(entry, options, place, std::forward<Args>(args)...);
  JobRef<JobResult<typename J::Result>> handle(job);
  entry.accept(job);
  return handle;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_LAUNCH_H_
