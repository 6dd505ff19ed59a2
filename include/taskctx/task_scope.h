// SPDX-License-Identifier: Apache-2.0
//
// TaskScope: a block that ends when all jobs have ended that were started in it.
//
//   taskctx::TaskScope scope{pool};
//   taskctx::Job<User> user = scope.submit(load_user, id);
//   taskctx::Job<Cart> cart = scope.spawn(load_cart(id));
//   scope.join();                        // or: co_await scope.join();  in a coroutine
//   return render(user.get(), cart.get());
//
// If one of them fails, the others are cancelled, and join() throws one TaskScopeError with all
// that failed: each job's id, name, exception, and context as it was then. JoinPolicy has other
// rules.
//
//   taskctx::TaskScope fastest{pool, {.policy = taskctx::JoinPolicy::first_success,
//                                     .timeout = absl::Seconds(1)}};
//   for (const Server& server : servers) fastest.post([&] { reply.offer(server.ask()); });
//   fastest.join();
//
// A job is in the scope that starts it, whatever context it is given, and detached ones are, too.
// What such a job starts elsewhere, in the pool or in groups, is cancelled with the scope, as
// everywhere (cancel.h), but not waited for; it may start jobs in the scope itself. The code in the
// block is not cancelled by its scope; nor are jobs that it submits to the pool.
//
// Threads:  all calls are thread-safe, but only the scope's owner joins, once, and ends it. It may
//           be used in jobs, leaves and coroutines, and nested. A thread that joins helps, as one
//           that waits for a job does (Job::wait()): it never hangs, on any number of threads.
// Lifetime: the destructor waits for all jobs. If an exception has left the block, it cancels them
//           first. If one of its own jobs destroys it, or exit() does while no job ends for five
//           seconds, it reports that, and returns. In a forked process it does nothing.
// Errors:   belong to the scope: a handle that is dropped reports none, and what get() has thrown
//           is in what join() throws, too. If nobody joins, the destructor gives those that no
//           get() has thrown to the pool's exception handler, in the context that the job has left.
// Cost:     a scope some 300 ns, a job some 100 ns more than in the pool. Memory
//           is kept for jobs that have not ended, and for failures.

#ifndef TASKCTX_TASK_SCOPE_H_
#define TASKCTX_TASK_SCOPE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/function_job.h"
#include "taskctx/internal/pool/job_refusals.h"
#include "taskctx/internal/pool/launch.h"
#include "taskctx/internal/pool/scope_job.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/task_scope_error.h"

namespace taskctx {
inline namespace v1 {

// When a scope cancels its jobs, and when join() throws. A job that ends by Cancelled neither fails
// nor succeeds.
enum class JoinPolicy : std::uint8_t {
  fail_fast,      // The first failure cancels the others. join() throws if there was one.
  wait_all,       // All run to their end. join() throws if any has failed.
  first_success,  // The first result cancels the others. join() throws if there was none.
};

struct TaskScopeOptions {
  JoinPolicy policy = JoinPolicy::fail_fast;

  // How long its jobs may take from now on, by the monotonic clock; and until when (deadline.h).
  // They are cancelled then. The scopes around count, too: an inner one can only shorten the time.
  Timeout timeout = absl::InfiniteDuration();
  Deadline deadline = {};

  // Cancels the jobs when a stop is requested there.
  std::stop_token stop_token = {};

  // A name for messages.
  std::string name = {};
};

class [[nodiscard]] TaskScope : private internal::JobRefusals {
 public:
  // Begins a scope whose jobs run in `pool`, and are cancelled with the code that calls this.
  // Throws std::bad_alloc, and std::system_error if there can be no thread for deadlines.
  //
  //   taskctx::TaskScope scope{pool, {.timeout = absl::Milliseconds(200)}};
  explicit TaskScope(JobPool& pool, TaskScopeOptions options = {},
                     internal::CallPlace place = internal::CallPlace::here());
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope();

  // Start a job as JobPool::submit(), post() and spawn() do, in the scope. In one that is cancelled
  // the job never runs, and ends as cancelled. Throw as those do, and JobError when join() is over;
  // there is no job then.
  //
  //   taskctx::Job<int> sum = scope.submit(add, 1, 2);
  //   scope.post({.name = "warm up"}, [] { refresh_cache(); });
  //   auto page = scope.spawn(fetch(url));      // include coro.h
  template <typename F>
    requires internal::JobFunction<F>
  internal::JobOf<F> submit(F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    return start(nullptr, place, std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::JobFunction<F, First, More...>
  internal::JobOf<F, First, More...> submit(F&& function, First&& first, More&&... more) {
    return start(nullptr, {}, std::forward<F>(function), std::forward<First>(first),
                 std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::JobFunction<F, Args...>
  internal::JobWithOptionsOf<F, Args...> submit(const JobOptions& options, F&& function,
                                                Args&&... args) {
    return start(&options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }
  template <typename F>
    requires internal::PostedFunction<F>
  void post(F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    (void)start(nullptr, place, std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::PostedFunction<F, First, More...>
  void post(F&& function, First&& first, More&&... more) {
    (void)start(nullptr, {}, std::forward<F>(function), std::forward<First>(first),
                std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::PostedFunction<F, Args...>
  void post(const JobOptions& options, F&& function, Args&&... args) {
    (void)start(&options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }
  template <typename T>
  Job<T> spawn(Task<T> task, internal::CallPlace place = internal::CallPlace::here()) {
    return internal::Spawner<T>::spawn(job_, nullptr, place, std::move(task));
  }
  template <typename T>
  internal::Started<Job<T>, JobOptions> spawn(const JobOptions& options, Task<T> task) {
    return internal::Spawner<T>::spawn(job_, &options, {}, std::move(task));
  }
  template <typename F>
    requires internal::CoroutineFunction<F>
  internal::Started<internal::SpawnedJobOf<F>, F> spawn(
      F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    return internal::Spawner<internal::SpawnedResultOf<F>>::spawn_call(job_, nullptr, place,
                                                                       std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::CoroutineFunction<F, First, More...>
  internal::Started<internal::SpawnedJobOf<F, First, More...>, F, First, More...> spawn(
      F&& function, First&& first, More&&... more) {
    return internal::Spawner<internal::SpawnedResultOf<F, First, More...>>::spawn_call(
        job_, nullptr, {}, std::forward<F>(function), std::forward<First>(first),
        std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::CoroutineFunction<F, Args...>
  internal::Started<internal::SpawnedJobOf<F, Args...>, F, Args..., JobOptions> spawn(
      const JobOptions& options, F&& function, Args&&... args) {
    return internal::Spawner<internal::SpawnedResultOf<F, Args...>>::spawn_call(
        job_, &options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }
  using JobRefusals::post;  // What can't be a job.
  using JobRefusals::submit;

  // Waits for all jobs of the scope, also for those that they start in it meanwhile; nothing can be
  // started in it afterwards. Cancellation does not end this wait early: it ends the jobs. Blocks
  // the thread at the end of the line; `co_await scope.join()` (coro.h) suspends the coroutine.
  // Throws TaskScopeError, if the policy says so; else Cancelled, if the code that joins is to
  // stop, or if a job did not run to its end because the scope was cancelled, or its time was over.
  // Throws JobError in a forked process, if the scope was joined already, and where it would wait
  // for itself: in one of its own jobs, and if one of them waits for the job that joins (all are
  // cancelled then). After std::bad_alloc the errors are still the scope's; it can be joined again.
  //
  //   scope.join();
  internal::ScopeJoin join() { return internal::ScopeJoin(*job_); }

  // Cancels the jobs of the scope, and what they have started (cancel.h). Returns false if that was
  // done before. From any thread; costs as CancelScope::cancel().
  //
  //   scope.cancel("the user went away");
  bool cancel(std::string_view reason = {}) noexcept;

  // Tells whether it is cancelled: by cancel(), by its policy, from outside, or as its time is
  // over. Costs as cancelled().
  [[nodiscard]] bool is_cancelled() const noexcept { return job_->scope_link().is_cancelled(); }

 private:
  struct Stop {
    internal::LinkRef link;
    void operator()() const noexcept;
  };

  template <typename F, typename... Args>
  auto start(const JobOptions* options, internal::CallPlace place, F&& function, Args&&... args) {
    using R = internal::JobResultOf<F, Args...>;
    internal::ScopeEntry entry(*job_, options);
    return internal::JobAccess::make<R>(
        internal::launch<
            internal::ChildJob<internal::FunctionJob<R, internal::CallOf<F, Args...>>>>(
            entry, options, place, *job_, /*references=*/2U, std::forward<F>(function),
            std::forward<Args>(args)...));
  }

  internal::ScopeJob* const job_;
  const int exceptions_;  // That were on their way on this thread when the scope began.
  std::optional<std::stop_callback<Stop>> stop_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TASK_SCOPE_H_
