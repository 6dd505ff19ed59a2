// SPDX-License-Identifier: Apache-2.0
//
// JobPool: jobs on oneTBB's work-stealing scheduler, each in the context of its submitter.
//
//   taskctx::JobPool pool{{.concurrency = 8}};
//   taskctx::Scope scope{request_id, "r-1"};
//   auto job = pool.submit([] { return request_id.get(); });  // the snapshot is taken here
//   job.get();                                                // "r-1"
//
// Threads:  all calls are thread-safe. What a thread did before submit() is visible to the job;
//           what the job did is visible to whoever has waited for it. Jobs begin in the order of
//           their submission, more or less; oneTBB promises no more.
// Lifetime: the destructor waits for every job, also for those that jobs submit meanwhile.
// Errors:   what a job throws comes out of Job::get(), or goes to the pool's exception handler when
//           nobody waits.
//
// A job starts from the bindings of its snapshot; what it sets dies with it. (In asyncio, tasks
// that are given the same context= share it; here each job gets a copy of JobOptions::context.)
// Inside a job, use taskctx::tbb for parallel loops. A job's own waiting, for its loops and its
// sub-jobs, runs no other job's code on the waiting thread, but for the sub-jobs themselves.

#ifndef TASKCTX_JOB_POOL_H_
#define TASKCTX_JOB_POOL_H_

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/job_state.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// What can be submitted: called once, without arguments, from a copy of its own.
template <typename F>
concept JobFunction = std::invocable<std::decay_t<F>>;

template <typename F>
using JobResultOf = std::invoke_result_t<std::decay_t<F>>;
template <typename F>
using JobOf = Job<JobResultOf<F>>;

}  // namespace internal

class JobPool {
 public:
  // Starts a pool. Its threads are oneTBB's and come with the first jobs. Throws
  // std::invalid_argument if `concurrency` is negative.
  explicit JobPool(JobPoolOptions options = {});
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // Waits for every job. In a job of this very pool that would never end: it is reported as a
  // misuse, and the pool is left to end with its last job.
  ~JobPool();

  // Returns how many jobs may run at once.
  [[nodiscard]] int concurrency() const noexcept;

  // Runs `function()` in a snapshot of the current context, taken now, or in the context that
  // `options` ask for, and returns the handle of its result. `function` is destroyed in that
  // context, too, on the thread that ran it. Never blocks. O(1) beside moving the function,
  // allocates twice. Throws std::bad_alloc, std::invalid_argument if options contradict each other,
  // and what the context factory or moving the function throws; there is no job then.
  template <internal::JobFunction F>
  internal::JobOf<F> submit(F&& function) {
    return submit_in(core_->context(), std::forward<F>(function));
  }
  template <internal::JobFunction F>
  internal::JobOf<F> submit(const JobOptions& options, F&& function) {
    return submit_in(core_->context(options), std::forward<F>(function));
  }

  // Runs `function()` likewise, without a handle: what it throws goes to the exception handler.
  // Allocates once.
  template <internal::JobFunction F>
  void post(F&& function) {
    core_->post(core_->context(), std::forward<F>(function));
  }
  template <internal::JobFunction F>
  void post(const JobOptions& options, F&& function) {
    core_->post(core_->context(options), std::forward<F>(function));
  }

 private:
  template <typename F>
  internal::JobOf<F> submit_in(internal::NodeRef context, F&& function) {
    using R = internal::JobResultOf<F>;
    auto* task = new internal::JobTask<R, std::decay_t<F>>(core_, std::move(context),
                                                           std::forward<F>(function));
    internal::JobRef<internal::JobResult<R>> handle(task);
    core_->enqueue(task);
    return Job<R>(std::move(handle));
  }

  internal::PoolCore* core_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_POOL_H_
