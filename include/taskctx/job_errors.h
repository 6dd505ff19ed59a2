// SPDX-License-Identifier: Apache-2.0
//
// The job pool's exceptions: misuse of a job or pool, a cancelled job, a rejected job.
//
//   try { job.get(); } catch (const taskctx::JobCancelled&) { return; }
//
// Every message reads "cannot <verb> job '<name>': <reason>". A call that throws JobError or
// JobRejected has changed nothing.

#ifndef TASKCTX_JOB_ERRORS_H_
#define TASKCTX_JOB_ERRORS_H_

#include <stdexcept>

#include "taskctx/cancelled.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// A call that can't work: on a handle without a job, on a pool that was shut down, in a forked
// process, or a job's wait for itself, directly or through other jobs (Job::wait()), which the
// message names:
//
//   cannot wait for job 'b': it would wait for itself: job 7 'b' (submitted at server.cc:31) waits
//   for job 5 'a' (submitted at server.cc:20), which waits for it
class JobError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Thrown by get() if the job was cancelled, or its time was over before it began. A job may throw
// it itself, as any Cancelled, and then counts as cancelled. (Plain Cancelled is thrown by get() if
// the code that waits is to stop.)
class JobCancelled : public Cancelled {
 public:
  using Cancelled::Cancelled;
};

// Thrown by submit() if the queue is full and the pool rejects jobs then (WhenFull::reject).
class JobRejected : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_ERRORS_H_
