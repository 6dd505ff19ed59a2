// SPDX-License-Identifier: Apache-2.0
//
// Job, SharedJob: handles of one piece of work in a JobPool: wait for it, take its result,
// continue with it, cancel it.
//
//   taskctx::Job<int> job = pool.submit([] { return 42; });
//   job.get();  // 42, or what the job threw
//
// Threads:  any number of threads may wait on a handle, ask it, or cancel its job; one at a
//           time may get(), then(), shared() or move it. What the job did is visible to a thread
//           that has waited.
// Lifetime: a handle may outlive its pool. Dropping it detaches: the job still runs, and if
//           it throws, the pool's exception handler gets the exception. A handle keeps the result
//           alive, or the error. A job that has ended lets go of its context, unless it is to keep
//           it (JobOptions::keep_context); one that has failed lets go when its error is taken, or
//           was handled. (So a failed job whose only handle is in what its context holds is kept by
//           that, and its error with it.)
// Errors:   JobError where there is no job: the handle is empty, or its result was taken; and where
//           waiting would never end: in a forked process, and in a job, for itself or for what
//           waits for it, as far as wait() says. JobCancelled out of get(), if the job was
//           cancelled. All waits throw Cancelled if the code that waits is to stop (cancel.h): the
//           handle is as before then. A destructor that waits does so inside a Shield.

#ifndef TASKCTX_JOB_H_
#define TASKCTX_JOB_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/job_refusals.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/launch.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/internal/pool/waiting_jobs.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

template <typename R>
class Job;
template <typename R>
class SharedJob;

namespace internal {

// Makes handles of references, and the other way round, for code that starts jobs.
struct JobAccess {
  template <typename R>
  static Job<R> make(JobRef<JobResult<R>> state) noexcept {
    return Job<R>(std::move(state));
  }
  template <typename R>
  static SharedJob<R> make(std::shared_ptr<JobRef<JobResult<R>>> state) noexcept {
    return SharedJob<R>(std::move(state));
  }
  template <typename Handle>
  static auto& state(const Handle& handle, const char* verb) {
    return handle.state(verb);
  }

  // Of a job that has ended: does what get() does, also for code that is to stop.
  template <typename R>
  static R take(Job<R>& job) {
    (void)job.state("get result of");
    const auto taken = std::move(job.state_);
    return taken->take();
  }
  template <typename R>
  static PeekOf<R> take(const SharedJob<R>& job) {
    return job.state("get result of").peek();
  }
};

template <typename Handle, typename R, typename Result>
struct Continue {
  template <typename F>
  static constexpr bool kNeedsResult = kTakesResult<F, Result>;

  template <typename F, typename Parent>
  decltype(auto) operator()(F&& function, Parent&& parent) const {
    Handle handle = JobAccess::make<R>(std::forward<Parent>(parent));
    if constexpr (!kTakesResult<F, Result>) {
      return std::invoke(std::forward<F>(function), std::move(handle));
    } else if constexpr (std::is_void_v<R>) {
      handle.get();
      return std::invoke(std::forward<F>(function));
    } else {
      return std::invoke(std::forward<F>(function), handle.get());
    }
  }
};

// Submits `function`, to be called with the end of `parent`, which is left empty.
template <typename Handle, typename R, typename Result, typename... Options, typename Parent,
          typename F>
auto then(Parent& parent, const JobOptions* options, CallPlace place, F&& function) {
  using Call = Continue<Handle, R, Result>;
  using Next = std::invoke_result_t<Call, std::decay_t<F>, Parent>;
  PoolCore* const core = state_of(parent)->pool();
  core->check_not_forked("continue job", state_of(parent)->name());
  WaitingEntry entry(core, "submit job", options, [&parent](auto* job) { job->start(parent); });
  return Started<Job<Next>, F, Options...>(
      JobAccess::make<Next>(launch<ThenJob<Next, Parent, std::decay_t<F>, Call>>(
          entry, options, place, std::forward<F>(function))));
}

// What Job and SharedJob have in common. `Ref`: what the handle holds the job by.
template <typename R, typename Ref>
class JobHandle {
 public:
  // Tells whether there is a job whose result has not been taken.
  //
  //   if (job.valid()) job.wait();
  [[nodiscard]] bool valid() const noexcept { return state_of() != nullptr; }

  // Tells whether the job has ended: wait() and get() don't block then. O(1).
  //
  //   if (job.ready()) use(job.get());
  [[nodiscard]] bool ready() const { return state("ask").is_done(); }

  // Waits until the job has ended, and leaves the result where it is.
  //
  // In a job of the same pool, and in a leaf or a plain task of oneTBB's there, what nobody has
  // begun is run right here: the job, or what it waits for. Any other waiting blocks the thread. So
  // waiting never hangs, whatever the number of threads, as long as jobs of different pools wait in
  // one direction only: a thread that waits for another pool's job is missing in its own pool,
  // where that job, or one that is queued before it, may wait for a job. (A coroutine that suspends
  // keeps no thread: that is always safe.)
  //
  // If jobs wait for each other in a circle, by whatever calls and co_awaits, and by way of
  // whatever continuations, the one that closes it gets JobError at that moment. The message names
  // each job of the circle, and where it was submitted (place()). Waits with a deadline are no part
  // of a circle: they end. when_any() is none, either. Finding it costs O(jobs that the target
  // waits for), and nothing where a wait does not block.
  //
  //   job.wait();
  void wait() const { state("wait for").wait(); }

  // Waits as wait() does, but no longer than until `deadline`, or for `timeout`, which may be
  // absl's or std::chrono's (deadline.h); returns whether the job has ended. A job that is run
  // right here is run to its end.
  //
  //   while (!job.wait_for(absl::Milliseconds(100))) report_progress();
  [[nodiscard]] bool wait_until(Deadline deadline) const {
    return state("wait for").wait_until(deadline);
  }
  [[nodiscard]] bool wait_for(Timeout timeout) const {
    return wait_until(Deadline::after(timeout));
  }

  // Asks the job to end, and all that it has created, and that what it has created has: also if the
  // job ends meanwhile, because it finds out before those do. If it has ended before, does nothing.
  // Returns true if it had not begun: then it never runs, its callable is destroyed here, in the
  // job's context, and get() throws JobCancelled. In a job that has begun, cancelled() is true from
  // now on, its loops and groups end early, and waiting and algorithms throw Cancelled (cancel.h);
  // a coroutine ends where it waits (coro.h). Waits for nothing but callbacks: those of
  // CancelCallbacks below the job run here. O(what waits, runs loops, or has a callback below it);
  // for a coroutine O(log n) more, for n pending times or waits for the same job.
  //
  //   if (!job.cancel()) job.wait();
  bool cancel() const { return state("cancel").cancel(); }

  // Returns a number that no other job of this process has. O(1).
  //
  //   log("waiting for job ", job.id());
  [[nodiscard]] std::uint64_t id() const { return state("ask").id(); }

  // Borrows JobOptions::name, which is empty if none was given. Valid as long as the handle. O(1).
  //
  //   log("waiting for ", job.name());
  [[nodiscard]] std::string_view name() const { return state("ask").name(); }

  // Returns where the job was submitted: the place of the call, or of its options
  // (JobOptions::place). Line 0 if that is not known: of a job whose function got arguments in a
  // call without options, and of when_all() and gather() of single jobs or tasks. O(1).
  //
  //   log("waiting for the job of ", job.place().file, ":", job.place().line);
  [[nodiscard]] SourcePlace place() const { return state("ask").place(); }

  // Returns a copy of the job's context. Before the job has ended, that is the context that it
  // starts with; afterwards, the one that it has left, if it was submitted with
  // JobOptions::keep_context. A failed job keeps its context in any case, until its error is taken.
  // Throws JobError if the job has released its context. O(1).
  //
  //   auto job = pool.submit({.keep_context = true}, f);
  //   job.wait();
  //   log("ended with status ", *job.context().find(status));
  [[nodiscard]] Context context() const { return ContextAccess::make(state("ask").context()); }

 protected:
  JobHandle() = default;
  explicit JobHandle(Ref state) noexcept : state_(std::move(state)) {}

  [[nodiscard]] JobResult<R>* state_of() const noexcept {
    if constexpr (std::is_same_v<Ref, JobRef<JobResult<R>>>) {
      return state_.get();
    } else {
      return state_ != nullptr ? state_->get() : nullptr;
    }
  }
  JobResult<R>& state(const char* verb) const {
    JobResult<R>* const state = state_of();
    if (state == nullptr) [[unlikely]] {
      throw_no_job(verb);
    }
    return *state;
  }

  Ref state_;

 private:
  friend struct JobAccess;
};

}  // namespace internal

// The handle of one job, whose only owner takes the result. For several owners: shared(). R is the
// job's return type: void, an object type (it may be move-only), or a reference.
template <typename R>
class [[nodiscard]] Job : public internal::JobHandle<R, internal::JobRef<internal::JobResult<R>>>,
                          private internal::ThenRefusals<Job<R>, R> {
 public:
  // Makes a handle without a job.
  Job() = default;
  Job(const Job&) = delete;  // One owner: std::move(job), or job.shared() for many.
  Job& operator=(const Job&) = delete;
  Job(Job&&) noexcept = default;
  Job& operator=(Job&&) noexcept = default;

  // Detaches the job, if there is one. Never waits.
  ~Job() = default;

  // Waits as wait() does, and takes the result: returns it, or throws what the job threw. Values
  // that the job has set of variables with a merge function (ContextVarOptions::merge) are merged
  // into the current context. The handle is empty afterwards.
  //
  //   int result = job.get();
  R get() {
    this->state("get result of").wait();
    const Ref taken = std::move(this->state_);
    return taken->take();
  }

  // Submits `function` to the job's pool, to run when the job has ended, in a snapshot of the
  // current context, or in the context that `options` ask for. The handle is empty afterwards.
  // `function` gets the result, or nothing if that is void; if the job threw, it is not called, and
  // the new job's get() throws the same. A `function` that takes a Job<R> gets that, and is called
  // in any case. Never blocks, even if the queue is full. Allocates once. Throws JobError after the
  // pool's shutdown; this handle is unchanged then.
  //
  //   Job<std::string> text = pool.submit(read).then([](Data data) { return format(data); });
  //   Job<void> sent = text.then([](Job<std::string> job) { try_to_send(job); });
  template <internal::ContinuationOf<Job<R>, R> F>
  auto then(F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    return continue_with(nullptr, place, std::forward<F>(function));
  }
  template <internal::ContinuationOf<Job<R>, R> F>
  auto then(const JobOptions& options, F&& function) {
    return continue_with<JobOptions>(&options, {}, std::forward<F>(function));
  }
  using internal::ThenRefusals<Job, R>::then;  // What is no continuation.

  // Makes this a handle that can be copied; this one is empty afterwards. Allocates once.
  //
  //   SharedJob<Config> config = pool.submit(read_config).shared();
  SharedJob<R> shared() {
    this->state("share");
    return SharedJob<R>(std::make_shared<Ref>(std::move(this->state_)));
  }

 private:
  friend struct internal::JobAccess;
  using Ref = internal::JobRef<internal::JobResult<R>>;
  using internal::JobHandle<R, Ref>::JobHandle;

  template <typename... Options, typename F>
  auto continue_with(const JobOptions* options, internal::CallPlace place, F&& function) {
    this->state("continue");
    return internal::then<Job<R>, R, R, Options...>(this->state_, options, place,
                                                    std::forward<F>(function));
  }
};

// A handle that can be copied. Its get() borrows the result, and does not take it. Use it if
// several threads or objects need one result; otherwise use a Job, which costs less. The job is
// detached when the last copy is dropped. Each copy may be used by a thread of its own.
template <typename R>
class [[nodiscard]] SharedJob
    : public internal::JobHandle<R, std::shared_ptr<internal::JobRef<internal::JobResult<R>>>>,
      private internal::ThenRefusals<SharedJob<R>, internal::PeekOf<R>> {
 public:
  // Makes a handle without a job.
  SharedJob() = default;

  // Waits as wait() does, and borrows the result, or throws what the job threw; at each call. The
  // result is valid as long as any copy of the handle.
  //
  //   const Config& now = config.get();
  internal::PeekOf<R> get() const {
    auto& state = this->state("get result of");
    state.wait();
    return state.peek();
  }

  // Submits as Job::then() does. `function` gets a reference to the result, or a SharedJob<R>.
  //
  //   Job<void> applied = config.then([](const Config& now) { apply(now); });
  template <internal::ContinuationOf<SharedJob<R>, internal::PeekOf<R>> F>
  auto then(F&& function, internal::CallPlace place = internal::CallPlace::here()) const {
    return continue_with(nullptr, place, std::forward<F>(function));
  }
  template <internal::ContinuationOf<SharedJob<R>, internal::PeekOf<R>> F>
  auto then(const JobOptions& options, F&& function) const {
    return continue_with<JobOptions>(&options, {}, std::forward<F>(function));
  }
  using internal::ThenRefusals<SharedJob, internal::PeekOf<R>>::then;  // What is no continuation.

 private:
  friend class Job<R>;
  friend struct internal::JobAccess;
  using Ref = std::shared_ptr<internal::JobRef<internal::JobResult<R>>>;
  using internal::JobHandle<R, Ref>::JobHandle;

  template <typename... Options, typename F>
  auto continue_with(const JobOptions* options, internal::CallPlace place, F&& function) const {
    this->state("continue");
    Ref parent = this->state_;
    return internal::then<SharedJob<R>, R, internal::PeekOf<R>, Options...>(
        parent, options, place, std::forward<F>(function));
  }
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_H_
