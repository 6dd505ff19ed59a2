// SPDX-License-Identifier: Apache-2.0
//
// Coroutines on the job pool: what starts a Task (task.h), and what a coroutine can wait for.
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
// All of it can be awaited by any coroutine. One that was spawned goes on on its own pool; one of
// another kind on the pool that ran it, or the process's own (default_pool()).
//
// Threads:  all calls are thread-safe.
// Lifetime: a pool's destructor waits for what was spawned there, suspended or not: what waits for
//           something that never happens keeps it until it is cancelled. A coroutine of
//           another kind may be destroyed while it waits, if nobody can be resuming it.
// Compiler: g++ before 13 destroys twice what a line with co_await makes with braces: a lambda with
//           captures that have destructors, JobOptions, any aggregate with such members. There a
//           job that was started with such things must get a name before it is awaited; what is
//           written in one line is refused. Nobody can refuse it among the arguments of a
//           coroutine of your own: give them names there.
//
//             auto job = pool.submit([text] { return count(text); });  // text: a std::string
//             int words = co_await job;
//
// Errors:   JobError where the task is empty or has been awaited, where the job's handle is empty,
//           and after the pool's shutdown. JobCancelled comes out of co_await in a coroutine whose
//           job is cancelled: it ends early, with all its destructors, unless it catches that. Each
//           Job::cancel() does so once: where the coroutine waits by one of the means below, or
//           where it next does. What it waits for goes on.

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

#include "taskctx/deadline.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/coro/coroutine_job.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/job_task.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"

namespace taskctx {
inline namespace v1 {

// Runs a task from code that is no coroutine, and returns what it returns, or throws what it
// throws. A call as any other: the task shares the caller's context, whichever thread it goes on
// on. It begins here; the caller's thread is blocked while the task is suspended, but in a job,
// where it runs what the task waits for if nobody else has begun that. So it ends in a job, too, if
// what the task waits for comes from other threads, or from tasks and jobs of the same pool.
// Throws JobError after the pool's shutdown, and where the task waits for the very job that calls:
// it has been cancelled then, and has ended.
//
//   int main() { return taskctx::sync_wait(run()); }
template <typename T>
T sync_wait(Task<T> task);
// Likewise, with the task that `function` makes.
//
//   taskctx::sync_wait([&]() -> taskctx::Task<> { co_await server.run(); });
template <internal::CoroutineFunction F>
decltype(auto) sync_wait(F&& function) {
  return sync_wait(std::invoke(function));
}

namespace internal {

template <typename A>
inline constexpr bool kIsJob = false;
template <typename T>
inline constexpr bool kIsJob<Job<T>> = true;

template <typename Tasks>
concept RangeOfTasks =
    std::ranges::input_range<Tasks> && kIsTask<std::ranges::range_value_t<Tasks>>;

template <typename T>
Job<T> spawn(PoolCore* pool, const JobOptions* options, Task<T> task) {
  TaskAccess::check(task, "spawn");
  PoolCore::Admission admission(*pool, options);
  auto extras = pool->extras(options);
  auto* const job = new CoroutineJob<T>(pool, pool->context(options), task);
  JobRef<JobResult<T>> handle(job);
  job->describe(std::move(extras));
  pool->enter(job, admission);
  return JobAccess::make<T>(std::move(handle));
}

template <typename T>
struct Spawner<T, void> {  // Of JobPool::spawn().
  static Job<T> spawn(PoolCore* pool, const JobOptions* options, Task<T>&& task) {
    return internal::spawn(pool, options, std::move(task));
  }
};

// Keeps a function and its arguments as long as the coroutine that it makes of them.
template <typename F, typename... Args>
auto keep(F function, Args... args) -> TaskOf<F, Args...> {
  co_return co_await std::invoke(function, std::move(args)...);
}

// A job that was made of a task, where the calling code runs, but is not in its pool yet: so that
// several begin only when nothing can fail any more.
template <typename T>
class MadeJob {
 public:
  explicit MadeJob(Task<T> task) : pool_(pool_here()) {
    TaskAccess::check(task, "spawn");
    auto extras = pool_->extras(nullptr);
    job_ = new CoroutineJob<T>(pool_, pool_->context(nullptr), task);
    job_->describe(std::move(extras));
    handle_ = JobAccess::make<T>(JobRef<JobResult<T>>(job_));
  }
  MadeJob(MadeJob&& other) noexcept
      : pool_(other.pool_),
        job_(std::exchange(other.job_, nullptr)),
        handle_(std::move(other.handle_)) {}
  MadeJob& operator=(MadeJob&&) = delete;
  ~MadeJob() {
    if (job_ != nullptr) {
      job_->release();  // The list's.
    }
  }

  Job<T> take_handle() noexcept { return std::move(handle_); }
  // If the pool refuses the job, that is its end.
  void enter() noexcept { pool_->enter_or_end(std::exchange(job_, nullptr)); }

 private:
  PoolCore* const pool_;
  CoroutineJob<T>* job_ = nullptr;
  Job<T> handle_;
};

// A job that has entered its pool already.
template <typename T>
struct EnteredJob {
  Job<T> take_handle() noexcept { return std::move(handle); }
  void enter() noexcept {}

  Job<T> handle;
};

template <typename T>
MadeJob<T> make_job(Task<T>&& task) {
  return MadeJob<T>(std::move(task));
}
template <typename T>
EnteredJob<T> make_job(Job<T>&& job) {
  return {std::move(job)};
}
template <CoroutineFunction F>
auto make_job(F&& function) {
  return make_job(keep<std::decay_t<F>>(std::forward<F>(function)));
}

// Makes one job of those of several tasks, by `combine`, and lets them begin.
template <RangeOfTasks Tasks, typename Combine>
auto combine_tasks(Tasks&& tasks, Combine combine) {
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
    made.push_back(make_job(std::move(task)));
  }
  handles.reserve(made.size());
  for (auto& job : made) {
    handles.push_back(job.take_handle());
  }
  auto combined = combine(std::move(handles));
  for (auto& job : made) {
    job.enter();
  }
  return combined;
}

// What when_all() takes, beside jobs.
template <typename T>
concept MakesTask = kIsTask<T> || CoroutineFunction<T>;

}  // namespace internal

// Suspends the coroutine until a time has come, or has passed; 0 and less let others have their
// turn. Keeps no thread. Times and clocks, and how precise that is, are those of
// JobPool::submit_at() and submit_after(). O(log n) of what is to come. Throws std::bad_alloc.
//
//   co_await taskctx::sleep_for(absl::Milliseconds(100));
[[nodiscard]] inline internal::Sleep sleep_until(Deadline due) noexcept {
  return internal::Sleep(due);
}
[[nodiscard]] inline internal::Sleep sleep_for(Timeout delay) noexcept {
  return internal::Sleep(Deadline::after(delay));
}

// Queues the coroutine behind what is queued already, and lets others have their turn.
//
//   while (!found) { search_a_little(); co_await taskctx::yield(); }
[[nodiscard]] inline internal::Schedule yield() noexcept { return internal::Schedule(nullptr); }

// Suspends the coroutine until the job has ended; then it goes on with what Job::get() gives:
// the result, or what the job threw. The handle is empty afterwards.
//
//   int result = co_await pool.submit(compute);
template <typename T>
internal::JobAwaiter<Job<T>> operator co_await(Job<T>&& job) noexcept {
  return internal::JobAwaiter<Job<T>>(std::move(job));
}
template <typename T>
internal::JobAwaiter<Job<T>&> operator co_await(Job<T>& job) noexcept {
  return internal::JobAwaiter<Job<T>&>(job);
}
// Refuses what the compiler would get wrong.
template <typename T>
internal::JobAwaiter<Job<T>> operator co_await(internal::Unnamed<Job<T>>&& job) noexcept {
  static_assert(!std::is_same_v<T, T>,
                "g++ before 13 destroys lambdas and options twice in the line of a co_await: name "
                "the job first (auto job = pool.submit(...); co_await job;)");
  return internal::JobAwaiter<Job<T>>(std::move(job));
}
// Likewise with what SharedJob::get() gives: a reference, which is good as long as some handle.
//
//   const Config& now = co_await config;
template <typename T>
internal::JobAwaiter<const SharedJob<T>&> operator co_await(const SharedJob<T>& job) noexcept {
  return internal::JobAwaiter<const SharedJob<T>&>(job);
}

// Spawns each task on the pool that runs this code, or the process's own, in a snapshot of its own
// that is taken now; and returns one job for all, as when_all() of jobs does (when_all.h): to be
// awaited, or waited for. Jobs may be among them, and functions that make a task, which live as
// long as that: mostly lambdas that have captured something. If it throws, nothing has begun. A
// task that its pool refuses, because the queue is full, ends with that error.
//
//   auto [user, cart] = co_await taskctx::when_all(load_user(), load_cart());
template <typename... Tasks>
  requires((internal::MakesTask<Tasks> || ...) &&
           ((internal::MakesTask<Tasks> || internal::kIsJob<Tasks>)&&...))
auto when_all(Tasks... tasks) {
  std::tuple made{internal::make_job(std::move(tasks))...};  // Braces: from left to right.
  auto all = std::apply([](auto&... job) { return when_all(job.take_handle()...); }, made);
  std::apply([](auto&... job) { (job.enter(), ...); }, made);
  return internal::Started<decltype(all), Tasks...>(std::move(all));
}
// Likewise for a range, with a vector of the results, or nothing for void.
//
//   std::vector<int> sizes = co_await taskctx::when_all(std::move(tasks));
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_all(Tasks&& tasks) {
  return internal::combine_tasks(std::forward<Tasks>(tasks),
                                 [](auto jobs) { return when_all(std::move(jobs)); });
}
// Likewise for the first that ends; the others go on.
//
//   auto first = co_await taskctx::when_any(std::move(tasks));
//   Reply reply = co_await first.jobs[first.index];
template <internal::RangeOfTasks Tasks>
  requires(!std::is_lvalue_reference_v<Tasks>)
auto when_any(Tasks&& tasks) {
  return internal::combine_tasks(std::forward<Tasks>(tasks),
                                 [](auto jobs) { return when_any(std::move(jobs)); });
}

template <typename F, typename... Args>
  requires internal::CoroutineFunction<F, Args...>
internal::Started<internal::SpawnedJobOf<F, Args...>, F, Args...> JobPool::spawn(F&& function,
                                                                                 Args&&... args) {
  return spawn(internal::keep<std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(function),
                                                                      std::forward<Args>(args)...));
}
template <typename F, typename... Args>
  requires internal::CoroutineFunction<F, Args...>
internal::Started<internal::SpawnedJobOf<F, Args...>, F, Args..., JobOptions> JobPool::spawn(
    const JobOptions& options, F&& function, Args&&... args) {
  return spawn(options, internal::keep<std::decay_t<F>, std::decay_t<Args>...>(
                            std::forward<F>(function), std::forward<Args>(args)...));
}

inline internal::Schedule JobPool::schedule() noexcept { return internal::Schedule(core_); }

template <typename T>
T sync_wait(Task<T> task) {
  using namespace internal;  // NOLINT(google-build-using-namespace): of this function only
  TaskAccess::check(task, "wait for");
  Activation* const caller = identified_activation();
  PoolCore* const pool = pool_here();
  pool->check_not_forked("wait for task", "");
  auto* const job = new CoroutineJob<T>(pool, task, caller);
  const JobRef<CoroutineJob<T>> handle(job);
  const Origin origin = caller->origin;
  Node* const node = current_node();
  std::exception_ptr error;
  {
    // What else runs on this thread meanwhile must not see a context that changes elsewhere.
    Installed hidden(&empty_node, origin.innermost());
    pool->enter_running(job);
    job->perform();
    // Who looks at what is around us must not look at what changes elsewhere.
    hidden.end_in(caller->outer_node, caller->outer);
    error = job->wait_to_the_end();
    caller->origin = origin;
    // At once, with no code of the user's in between: the caller's node may be gone.
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
