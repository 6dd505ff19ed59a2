// SPDX-License-Identifier: Apache-2.0
//
// JobOptions, JobPoolOptions: what can be chosen for one job, and for a pool.
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
#include <string>

#include "taskctx/context.h"

namespace taskctx {
inline namespace v1 {

// Makes the context of a new task, which gets a copy of it (O(1)). Is called once for each task, on
// the thread that creates it, with what the task would have inherited from its creator, valid
// during the call; with nullptr where that is nothing. It may use the library, and create tasks of
// its own. What it throws comes out of the call that would have created the task, and there is no
// task then.
//
//   taskctx::ContextFactory only_the_user = [](const taskctx::Context* parent) {
//     return parent != nullptr ? parent->only(user) : taskctx::Context();
//   };
//   taskctx::JobPool pool{{.context_factory = only_the_user}};
using ContextFactory = std::function<Context(const Context* parent)>;

// Gets what was thrown by a job that nobody waits for, on the thread where that was found out. It
// must not throw.
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

  // For people: in messages and reports. Names need not be unique.
  std::string name = {};

  // Starts the job in an empty context.
  bool detached = false;

  // Makes the job's context, in place of the pool's factory.
  ContextFactory context_factory = {};

  // Keeps the job's context when the job has ended, for context() of its handle, until that is
  // gone. Otherwise a job lets go of its context, and of the values there, before anybody can see
  // that it has ended: so what keeps a handle does not keep what the job had to do with.
  bool keep_context = false;
};

enum class JobPriority { low, normal, high };

// What becomes of a job for which there is no room in the queue.
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

  // Gets what is thrown by a job that nobody waits for: posted, or its Job was dropped. Default:
  // writes what() to stderr and terminates the program.
  ExceptionHandler exception_handler = {};

  // Makes the context of each job that is not given one. Default: a snapshot of the submitter's.
  ContextFactory context_factory = {};

  // For people: in messages.
  std::string name = {};

  // How the pool's jobs compete with those of other pools. oneTBB is strict about it: as long as a
  // pool has work, one with a lower priority gets no thread.
  JobPriority priority = JobPriority::normal;

  // How many jobs may be queued that nobody has begun. 0: any number. Continuations and what waits
  // for its time don't count.
  std::size_t queue_capacity = 0;

  // What submit() does where that many are queued.
  WhenFull when_full = WhenFull::block;

  // Sums up which value of a variable used the pool (attribution.h): `.attribution = account`.
  // Default: nothing is measured.
  std::shared_ptr<internal::Accountant> attribution = {};
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_OPTIONS_H_
