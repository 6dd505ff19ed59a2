// SPDX-License-Identifier: Apache-2.0
//
// What the job pool throws: misuse of a job or pool, a job that was cancelled, one that was
// rejected.
//
//   try { job.get(); } catch (const taskctx::JobCancelled&) { return; }
//
// Every message reads "cannot <verb> job '<name>': <reason>". A call that throws JobError or
// JobRejected has changed nothing.

#ifndef TASKCTX_JOB_ERRORS_H_
#define TASKCTX_JOB_ERRORS_H_

#include <stdexcept>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// Reports a call that can't work: on a handle without a job, on a pool that was shut down, in a
// forked process, or waiting for oneself, also by way of other jobs (Job::wait()).
class JobError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Comes out of get() if the job was cancelled. A job may throw it itself: it counts as cancelled
// then.
class JobCancelled : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Comes out of submit() where the queue is full, and the pool rejects what finds it so.
class JobRejected : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_ERRORS_H_
