// SPDX-License-Identifier: Apache-2.0
//
// JobOptions, JobPoolOptions: what can be chosen for one job, and for a pool.
//
//   taskctx::JobPool pool{{.concurrency = 8, .context_factory = only_the_user}};
//   pool.submit({.name = "reindex", .detached = true}, [] { reindex(); });
//
// Threads:  options are plain values; a pool and a job copy what they need.
// Errors:   std::invalid_argument, which names the option, where options contradict each other.

#ifndef TASKCTX_JOB_OPTIONS_H_
#define TASKCTX_JOB_OPTIONS_H_

#include <exception>
#include <functional>
#include <optional>
#include <string>

#include "taskctx/context.h"
#include "taskctx/policy.h"

namespace taskctx {
inline namespace v1 {

// Gets what was thrown by a job that nobody waits for, on the thread where that was found out. It
// must not throw.
using ExceptionHandler = std::function<void(std::exception_ptr)>;

// At most one of `context`, `detached` and `context_factory` may be given. None of them: the pool's
// factory decides, or else the job starts with a snapshot of the submitter's context.
struct JobOptions {
  // The context to run in, of which the job gets a copy.
  std::optional<Context> context = {};

  // For people: in messages and reports. Names need not be unique.
  std::string name = {};

  // Starts the job in an empty context.
  bool detached = false;

  // Makes the job's context, in place of the pool's factory.
  ContextFactory context_factory = {};
};

struct JobPoolOptions {
  // How many jobs, and leaves of their parallel loops, run at once. 0: one per core that the
  // process may use. The pool raises oneTBB's limit of threads for its lifetime if that is needed;
  // a smaller limit set by the program itself wins.
  int concurrency = 0;

  // Gets what is thrown by a job that nobody waits for: posted, or its Job was dropped. Default:
  // writes what() to stderr and terminates the program.
  ExceptionHandler exception_handler = {};

  // Makes the context of each job that is not given one. Default: a snapshot of the submitter's.
  ContextFactory context_factory = {};
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_OPTIONS_H_
