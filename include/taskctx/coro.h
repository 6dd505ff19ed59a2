// SPDX-License-Identifier: Apache-2.0
//
// Coroutines on the job pool: how to start a Task (task.h), and what a coroutine can wait for.
//
//   taskctx::Task<Page> handle(Request request) {
//     taskctx::Scope scope{request_id, request.id};        // open across what follows
//     auto [user, cart] = co_await taskctx::when_all(load_user(), load_cart());
//     co_await taskctx::sleep_for(absl::Milliseconds(1));  // keeps no thread
//     co_return render(user, cart);
//   }
//   taskctx::Job<Page> page = pool.spawn(handle(request));    // a snapshot is taken here
//   Page other = taskctx::sync_wait(handle(request));         // a call: in this context
//
// with_timeout(), shielded() and with_cleanup() are in coro_cancel.h, which is included here.
//
// Any coroutine can await all of this. A spawned coroutine is resumed on its own pool. A coroutine
// of another kind is resumed on the pool that ran it, or else on default_pool().
//
// Threads:  all calls are thread-safe.
// Lifetime: a pool's destructor waits for all coroutines that were spawned there, suspended or not.
//           One that waits for something that never happens keeps the destructor waiting until its
//           job is cancelled. A coroutine of another kind may be destroyed while it is suspended,
//           if no other thread can be resuming it.
// Compiler: g++ before 13 destroys some temporaries twice if they are made in a line with co_await:
//           lambdas with captures that have destructors, JobOptions, and all aggregates with such
//           members. Give the job a name first, and await it in the next line; a single line does
//           not compile. The compiler's fault also concerns the arguments of your own coroutines,
//           where taskctx can't refuse them: name such arguments, too.
//
//             auto job = pool.submit([text] { return count(text); });  // text: a std::string
//             int words = co_await job;
//
// Errors:   JobError if the task is empty or has been awaited, if the job's handle is empty, if
//           the await closes a circle of jobs that wait for one another (Job::wait()), and
//           after the pool's shutdown. Each wait below is a cancellation point (cancel.h): it throws
//           where the coroutine is to stop, and ends early if that comes while it waits. A scope,
//           and a job around, say so each time: Cancelled. Job::cancel() of the coroutine's own job
//           says it once per call: JobCancelled, from the wait that the coroutine is in, or else
//           from the next one; inside a Shield, from the first one after it. Unless the coroutine
//           catches that, it ends early, and all its destructors run. The jobs and tasks that it
//           has started are cancelled with it; others that it waits for go on. A handle that is
//           awaited by name stays valid. co_await of a task, and AsyncGenerator::next(), are calls:
//           the waits in them are the cancellation points.
//
// Time limits, shields, and clean-up that awaits: coro_cancel.h.

#ifndef TASKCTX_CORO_H_
#define TASKCTX_CORO_H_

#include <coroutine>
#include <exception>
#include <functional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/coro_cancel.h"  // IWYU pragma: export
#include "taskctx/deadline.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/coro/coroutine_job.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/job_await.h"     // IWYU pragma: export
#include "taskctx/internal/coro/join_awaiter.h"  // For co_await scope.join().
#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/launch.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/scope_job.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/internal/pool/waiting_jobs.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"

namespace taskctx {
inline namespace v1 {

// Runs a task from code that is not a coroutine. Returns the task's result, or throws what it
// throws. It works like an ordinary call: the task shares the caller's context, on whichever thread
// it is resumed. The task begins on the caller's thread, which blocks while the task is suspended.
// Inside a job that thread does not just block: it runs the jobs that the task waits for, if no
// other thread has begun them. So a job may call this if the task waits for other threads, or for
// tasks and jobs of the same pool. Throws JobError after the pool's shutdown; and if the task waits
// for the very job that calls: the task has been cancelled then, and has ended.
//
//   int main() { return taskctx::sync_wait(run()); }
template <typename T>
T sync_wait(Task<T> task, internal::CallPlace place = internal::CallPlace::here());
// Likewise for the task that `function` returns.
//
//   taskctx::sync_wait([&]() -> taskctx::Task<> { co_await server.run(); });
template <internal::CoroutineFunction F>
decltype(auto) sync_wait(F&& function, internal::CallPlace place = internal::CallPlace::here()) {
  return sync_wait(std::invoke(function), place);
}

namespace internal {

template <typename Tasks>
concept RangeOfTasks =
    std::ranges::input_range<Tasks> && kIsTask<std::ranges::range_value_t<Tasks>>;

template <typename T>
Job<T> spawn(PoolCore* pool, const JobOptions* options, CallPlace place, Task<T> task) {
  TaskAccess::check(task, "spawn");
  PoolCore::Admission admission(*pool, options);
  return JobAccess::make<T>(launch<CoroutineJob<T>>(admission, options, place, task));
}
template <typename T>
Job<T> spawn(ScopeJob* scope, const JobOptions* options, CallPlace place, Task<T> task) {
  TaskAccess::check(task, "spawn");
  ScopeEntry entry(*scope, options);
  return JobAccess::make<T>(launch<ChildJob<CoroutineJob<T>>>(entry, options, place, *scope, task));
}

// Keeps a function and its arguments alive for as long as the coroutine that it makes from them.
template <typename F, typename... Args>
auto keep(F function, Args... args) -> TaskOf<F, Args...> {
  co_return co_await std::invoke(function, std::move(args)...);
}

template <typename T>
struct Spawner<T, void> {  // The body of JobPool::spawn() and schedule().
  template <typename Where>
  static Job<T> spawn(Where* where, const JobOptions* options, CallPlace place, Task<T>&& task) {
    return internal::spawn(where, options, place, std::move(task));
  }
  template <typename Where, typename F, typename... Args>
  static Job<T> spawn_call(Where* where, const JobOptions* options, CallPlace place, F&& function,
                           Args&&... args) {
    return spawn(where, options, place,
                 keep<std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(function),
                                                              std::forward<Args>(args)...));
  }
  static Schedule schedule(PoolCore* pool) noexcept { return Schedule(pool); }
};

// The job of a task that is not in its pool yet. Several are made first, and submitted when
// nothing can fail any more.
template <typename T>
class MadeJob {
 public:
  MadeJob(Task<T> task, CallPlace place) : pool_(pool_here()) {
    TaskAccess::check(task, "spawn");
    job_ = new_job<CoroutineJob<T>>(*this, nullptr, place, task);
    handle_ = JobAccess::make<T>(JobRef<JobResult<T>>(job_));
  }
  MadeJob(MadeJob&& other) noexcept
      : pool_(other.pool_),
        job_(std::exchange(other.job_, nullptr)),
        handle_(std::move(other.handle_)) {}
  MadeJob& operator=(MadeJob&&) = delete;
  ~MadeJob() {
    if (job_ != nullptr) {
      job_->release();  // The reference that the pool's list would have had.
    }
  }

  // For new_job().
  [[nodiscard]] PoolCore* core() const noexcept { return pool_; }
  Inherited inherited(const JobOptions* options) { return pool_->inherited(options); }

  Job<T> take_handle() noexcept { return std::move(handle_); }
  // If the pool refuses the job, the job ends with that error.
  void submit() noexcept { pool_->accept_or_end(std::exchange(job_, nullptr)); }

 private:
  PoolCore* const pool_;
  CoroutineJob<T>* job_ = nullptr;
  Job<T> handle_;
};

// A job that is in its pool already.
template <typename T>
struct EnteredJob {
  Job<T> take_handle() noexcept { return std::move(handle); }
  void submit() noexcept {}

  Job<T> handle;
};

template <typename T>
MadeJob<T> make_job(Task<T>&& task, CallPlace place = {}) {
  return MadeJob<T>(std::move(task), place);
}
template <typename T>
EnteredJob<T> make_job(Job<T>&& job) {
  return {std::move(job)};
}
template <CoroutineFunction F>
auto make_job(F&& function) {
  return make_job(keep<std::decay_t<F>>(std::forward<F>(function)));
}

// Combines the jobs of several tasks into one, by `combine`, and then lets them begin.
template <RangeOfTasks Tasks, typename Combine>
auto combine_tasks(Tasks&& tasks, CallPlace place, Combine combine) {
  using T = std::ranges::range_value_t<Tasks>;
  for (const T& task : tasks) {
    TaskAccess::check(task, "spawn");
  }
  std::vector<decltype(make_job(std::declval<T>()))> made;
  std::vector<decltype(made.front().take_handle())> handles;
  if constexpr (std::ranges::sized_range<Tasks>) {
    made.reserve(std::ranges::size(tasks));
  }
  for (T& task : tasks) {
    made.push_back(make_job(std::move(task), place));
  }
  handles.reserve(made.size());
  for (auto& job : made) {
    handles.push_back(job.take_handle());
  }
  auto combined = combine(std::move(handles));
  for (auto& job : made) {
    job.submit();
  }
  return combined;
}

// The arguments of when_all() that are not jobs.
template <typename T>
concept MakesTask = kIsTask<T> || CoroutineFunction<T>;
template <typename... T>
concept MakeTasks = (MakesTask<T> || ...) && ((MakesTask<T> || kIsJob<T>)&&...);

template <typename... Tasks>
auto start_all(Gather how, Tasks&&... tasks) {
  std::tuple made{make_job(std::move(tasks))...};  // Braces: from left to right.
  auto all =
      std::apply([how](auto&... job) { return gather_tuple(how, job.take_handle()...); }, made);
  std::apply([](auto&... job) { (job.submit(), ...); }, made);
  return Started<decltype(all), Tasks...>(std::move(all));
}

}  // namespace internal

// Suspends the coroutine until a time has come. A time in the past, or a delay of 0 or less, works
// like yield(). Uses no thread meanwhile. For clocks and precision see JobPool::submit_at() and
// submit_after(). O(log n) for n pending times. Throws std::bad_alloc.
//
//   co_await taskctx::sleep_for(absl::Milliseconds(100));
[[nodiscard]] inline internal::Sleep sleep_until(Deadline due) noexcept {
  return internal::Sleep(due);
}
[[nodiscard]] inline internal::Sleep sleep_for(Timeout delay) noexcept {
  return internal::Sleep(Deadline::after(delay));
}

// Queues the coroutine behind the jobs that are queued already, so that they have their turn.
//
//   while (!found) { search_a_little(); co_await taskctx::yield(); }
[[nodiscard]] inline internal::Schedule yield() noexcept { return internal::Schedule(nullptr); }

// A job can be awaited (internal/coro/job_await.h): the coroutine is suspended until it has ended,
// and gets what Job::get() gives, the result or the job's exception; the handle is empty then. Of a
// SharedJob it gets a reference, valid as long as any handle of the job.
//
//   int result = co_await pool.submit(compute);

// Spawns each task on the pool that runs this code, or else on default_pool(), each in a snapshot
// of its own that is taken now. Returns one job for all of them, as when_all() of jobs does
// (when_all.h). The arguments may also be jobs, and functions that return a task: those are kept
// alive as long as their task, so lambdas with captures are safe. If this throws, no task has
// begun. A task that its pool refuses because the queue is full ends with that error.
//
//   auto [user, cart] = co_await taskctx::when_all(load_user(), load_cart());
template <typename... Tasks>
  requires internal::MakeTasks<Tasks...>
auto when_all(Tasks... tasks) {
  return internal::start_all(internal::Gather::all, std::move(tasks)...);
}
template <typename... Tasks>
  requires internal::MakeTasks<Tasks...>
auto when_all(FailFast /*tag*/, Tasks... tasks) {
  return internal::start_all(internal::Gather::fail_fast, std::move(tasks)...);
}
// Likewise for a range. The result is a vector of the results, or nothing for tasks of void.
//
//   std::vector<int> sizes = co_await taskctx::when_all(std::move(tasks));
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_all(Tasks&& tasks, internal::CallPlace place = internal::CallPlace::here()) {
  return internal::combine_tasks(std::forward<Tasks>(tasks), place,
                                 [place](auto jobs) { return when_all(std::move(jobs), place); });
}
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_all(FailFast fail_fast, Tasks&& tasks,
              internal::CallPlace place = internal::CallPlace::here()) {
  return internal::combine_tasks(std::forward<Tasks>(tasks), place, [=](auto jobs) {
    return when_all(fail_fast, std::move(jobs), place);
  });
}
// Likewise, but waits for the first task to end. The others continue.
//
//   auto first = co_await taskctx::when_any(std::move(tasks));
//   Reply reply = co_await first.jobs[first.index];
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_any(Tasks&& tasks, internal::CallPlace place = internal::CallPlace::here()) {
  return internal::combine_tasks(std::forward<Tasks>(tasks), place,
                                 [place](auto jobs) { return when_any(std::move(jobs), place); });
}
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_any(CancelLosers cancel_losers, Tasks&& tasks,
              internal::CallPlace place = internal::CallPlace::here()) {
  return internal::combine_tasks(std::forward<Tasks>(tasks), place, [=](auto jobs) {
    return when_any(cancel_losers, std::move(jobs), place);
  });
}

template <typename T>
T sync_wait(Task<T> task, internal::CallPlace place) {
  using namespace internal;  // NOLINT(google-build-using-namespace): of this function only
  TaskAccess::check(task, "wait for");
  Activation* const caller = identified_activation();
  PoolCore* const pool = pool_here();
  pool->check_not_forked("wait for task", "");
  auto* const job = new CoroutineJob<T>(pool, task, caller);
  job->set_place(place.get());
  const JobRef<CoroutineJob<T>> handle(job);
  const Origin origin = caller->origin;
  Node* const node = current_node();
  std::exception_ptr error;
  {
    // Other code that runs on this thread meanwhile must not see a context that another thread
    // may be changing.
    Installed hidden(&empty_node, origin.innermost());
    pool->accept_running(job);
    caller->origin = job->origin();
    job->perform(/*ledger=*/nullptr);
    // Code that looks at the activations around us must not look at the task's.
    hidden.end_in(caller->outer_node, caller->outer);
    error = job->wait_to_the_end();
    caller->origin = origin;
    // In one step, with no user code in between: the caller's node may be gone.
    job->is_done() ? hidden.end_in(job->node(), job->activation()) : hidden.end_in(node, caller);
  }
  if (error != nullptr && (!job->is_done() || job->is_cancelled())) [[unlikely]] {
    std::rethrow_exception(error);
  }
  return job->take();
}

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CORO_H_
