// SPDX-License-Identifier: Apache-2.0
//
// Job: the handle of one piece of work in a JobPool: wait for it, take its result.
//
//   taskctx::Job<int> job = pool.submit([] { return 42; });
//   job.get();  // 42, or what the job threw
//
// Threads:  any number of threads may wait on a handle; one at a time may get() or move it. What
//           the job did is visible to whoever has waited for it.
// Lifetime: a handle may outlive its pool. Dropping it detaches: the job runs all the same, and if
//           it throws, the pool's exception handler gets the exception.
// Errors:   JobError where there is no job: the handle is empty, or its result was taken.

#ifndef TASKCTX_JOB_H_
#define TASKCTX_JOB_H_

#include <stdexcept>
#include <type_traits>
#include <utility>

#include "taskctx/internal/job_state.h"

namespace taskctx {
inline namespace v1 {

// Reports the use of a Job without a job in it.
class JobError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// R is what the job returns: void, an object type (which may be move-only), or a reference.
template <typename R>
class [[nodiscard]] Job {
 public:
  // Makes a handle without a job.
  Job() = default;
  Job(Job&&) noexcept = default;
  Job& operator=(Job&&) noexcept = default;

  // Detaches the job, if there is one. Never waits.
  ~Job() = default;

  // Tells whether there is a job whose result has not been taken.
  [[nodiscard]] bool valid() const noexcept { return state_.get() != nullptr; }

  // Tells whether the job has ended: wait() and get() don't block then. Throws JobError if not
  // valid(). O(1).
  [[nodiscard]] bool ready() const { return state("ask").is_done(); }

  // Waits until the job has ended, and leaves the result where it is. Throws JobError if not
  // valid().
  //
  // In a job of the same pool, and in a leaf of taskctx::tbb's algorithms there, a job that nobody
  // has begun is run right here; any other waiting blocks the thread. So waiting never hangs,
  // whatever the number of threads, as long as jobs don't wait for each other in a circle.
  void wait() const { state("wait for").wait(); }

  // Waits as wait() does, and takes the result: returns it, or throws what the job threw. The
  // handle is empty afterwards. Throws JobError if not valid().
  R get() {
    state("get result of").wait();
    const internal::JobRef<internal::JobResult<R>> taken = std::move(state_);
    return taken->take();
  }

 private:
  friend class JobPool;
  explicit Job(internal::JobRef<internal::JobResult<R>> state) noexcept
      : state_(std::move(state)) {}

  internal::JobResult<R>& state(const char* verb) const {
    if (!valid()) {
      throw JobError(std::string("cannot ") + verb +
                     " job: the handle is empty, or its result was taken already");
    }
    return *state_;
  }

  internal::JobRef<internal::JobResult<R>> state_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_H_
