// SPDX-License-Identifier: Apache-2.0
//
// JobOptions, JobPoolOptions: the options of one job, and of a pool.
//
//   taskctx::JobPool pool{{.concurrency = 8, .context_factory = only_the_user}};
//   pool.submit({.name = "reindex", .detached = true}, [] { reindex(); });
//
// Which request used the pool:
//
//   taskctx::Attribution account{request_id};
//   taskctx::JobPool measured{{.attribution = account}};
//
// Threads:  options are plain values; a pool and a job copy what they need.
// Errors:   std::invalid_argument, which names the option, where options contradict each other.

#ifndef TASKCTX_JOB_OPTIONS_H_
#define TASKCTX_JOB_OPTIONS_H_

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>

#include "taskctx/context.h"

namespace taskctx {
inline namespace v1 {

// A function that makes the context of a new task, which gets a copy of it (O(1)). It is called
// once for each task, on the thread that creates the task. Its argument is the context that the
// task would have inherited, valid during the call, or nullptr if nothing is set there. It may use
// the library, and create tasks of its own. If it throws, the call that would have created the task
// throws the same, and there is no task.
//
//   taskctx::ContextFactory only_the_user = [](const taskctx::Context* parent) {
//     return parent != nullptr ? parent->only(user) : taskctx::Context();
//   };
//   taskctx::JobPool pool{{.context_factory = only_the_user}};
using ContextFactory = std::function<Context(const Context* parent)>;

// A function that gets the exception of a job that nobody waits for, on the thread that finds that
// out. It must not throw.
using ExceptionHandler = std::function<void(std::exception_ptr)>;

namespace internal {
class Accountant;
}

// Which context: `context` for one that you have; `detached` for none at all; `context_factory` to
// choose from the submitter's. At most one of `context`, `detached` and `context_factory` may be
// given. None of them: the pool's factory decides; without one the job starts with a snapshot of
// the submitter's context.
struct JobOptions {
  // The context to run in, of which the job gets a copy.
  std::optional<Context> context = {};

  // A name for messages and reports. It need not be unique.
  std::string name = {};

  // Starts the job in an empty context.
  bool detached = false;

  // Makes the job's context, in place of the pool's factory.
  ContextFactory context_factory = {};

  // Keeps the job's context after the job has ended, for the handle's context(), as long as there
  // is a handle. Otherwise a job releases its context, and the values in it, before any thread can
  // see that it has ended, so that a handle does not keep those values alive.
  bool keep_context = false;

  // The place that messages and reports give for the job's submission. Default: where these options
  // are written, if that is in braces: `{.name = "a"}`, or `JobOptions options{}`. A function that
  // submits for others passes its caller's.
  std::source_location place = std::source_location::current();
};

enum class JobPriority { low, normal, high };

// What happens to a job if there is no room in the queue.
enum class WhenFull {
  block,   // submit() waits for room; in a job of the same pool it goes over the limit instead.
  reject,  // submit() throws JobRejected, and has touched nothing.
  run_in_caller,  // submit() runs the job before it returns, on the calling thread.
};

struct JobPoolOptions {
  // How many jobs, and leaves of their parallel loops, run at once. 0: one per core that the
  // process may use. The pool raises oneTBB's limit of threads for its lifetime if that is needed;
  // a smaller limit set by the program itself wins.
  int concurrency = 0;

  // Gets the exceptions of jobs that nobody waits for: they were posted, or their Job was dropped.
  // Default: writes what() to stderr and terminates the program.
  ExceptionHandler exception_handler = {};

  // Makes the context of each job that is given none. Default: a snapshot of the submitter's.
  ContextFactory context_factory = {};

  // A name for messages.
  std::string name = {};

  // How the pool's jobs compete with those of other pools. oneTBB is strict: as long as a pool has
  // work, a pool with a lower priority gets no thread.
  JobPriority priority = JobPriority::normal;

  // How many jobs may be queued. 0: any number. Continuations, and jobs that wait for their time,
  // don't count.
  std::size_t queue_capacity = 0;

  // What submit() does if that many are queued.
  WhenFull when_full = WhenFull::block;

  // Sums up which value of a variable used the pool (attribution.h): `.attribution = account`.
  // Default: nothing is measured.
  std::shared_ptr<internal::Accountant> attribution = {};
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_OPTIONS_H_
