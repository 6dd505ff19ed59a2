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
//           what the job did is visible to a thread that has waited for it.
// Order:    a pool of one thread begins jobs in the order of their submission. A larger one has n
//           lists: 2, 4, 8 or 16, no more than threads. Jobs go into them evenly, and each thread
//           looks into one after the other. So a job is overtaken by no more than n × (threads + 4)
//           of those that are submitted later (96 in a pool of 8 threads), however many are queued;
//           4 × n more for each further thread that submits. A bulk counts as a job for each part
//           that a thread takes. What is due goes first, but at most 16 times in a row.
// Loops:    where loops keep all threads, a queued job calls for one after 2 to 8 ms, and begins
//           where submit_at() says: within 10 ms beside a taskctx::tbb::parallel_for with a short
//           body. But a thread that has called a loop works for that. If each thread has called one,
//           as in a pool of one thread, the job waits for the first that ends. What can't wait
//           belongs in a second pool: its threads are others, and the system shares the cores.
// Lifetime: the destructor waits for every job: also for jobs that jobs submit meanwhile, for
//           continuations, and for jobs whose time has not come. If you can't wait, cancel those,
//           or call shutdown(). If a program ends with jobs in a pool that was not destroyed, the
//           misuse handler is told. On the thread that has called exit(), the destructor waits only
//           as long as more jobs end: a job may be waiting for that thread.
// Errors:   Job::get() throws what the job has thrown; if nobody waits, the pool's exception
//           handler gets it. All submitting calls throw JobError after shutdown(), and in a process
//           that was forked from the pool's, where oneTBB's threads don't exist; and JobRejected if
//           the queue is full (JobPoolOptions::when_full). There is no job then, and no argument
//           was touched. If oneTBB once lacks the memory for a thread, it may stop working: a pool
//           may then wait forever, or the program may end (from ~global_control).
//
// A job starts with the values of its snapshot. What it sets is gone when it ends (but see
// JobOptions::keep_context). Unlike in asyncio, where tasks with the same context= share it, each
// job gets a copy of JobOptions::context. Inside a job, use taskctx::tbb for parallel loops. While
// a job waits for its loops or sub-jobs, its thread runs only those, never an unrelated job. A
// sub-job that runs that way is not cancelled together with the loop or group that its waiter is
// in.

#ifndef TASKCTX_JOB_POOL_H_
#define TASKCTX_JOB_POOL_H_

#include <oneapi/tbb/task_arena.h>

#include <concepts>
#include <functional>
#include <memory>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/deadline.h"
#include "taskctx/executor.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/pool/bulk_job.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/function_job.h"
#include "taskctx/internal/pool/job_refusals.h"
#include "taskctx/internal/pool/launch.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/internal/pool/waiting_jobs.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_stats.h"

namespace taskctx {
inline namespace v1 {

template <typename T>
class Task;

namespace internal {

template <typename F, typename... Args>
using JobResultOf = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;
template <typename F, typename... Args>
using JobOf = Started<Job<JobResultOf<F, Args...>>, F, Args...>;
// With options, which are mostly made in the call.
template <typename F, typename... Args>
using JobWithOptionsOf = Started<Job<JobResultOf<F, Args...>>, F, Args..., JobOptions>;

template <typename F, typename... Args>
using SpawnedResultOf = typename TaskOf<F, Args...>::Result;
template <typename F, typename... Args>
using SpawnedJobOf = Job<SpawnedResultOf<F, Args...>>;

// Starts coroutines. The specialization that does is in coro.h; without that header, calls get this
// one, which says so. T: what the task returns; void for schedule(). Where: a pool, or a scope.
template <typename T, typename = void>
struct Spawner {
  static constexpr bool kHasCoro = !std::is_same_v<T, T>;
  template <typename Where>
  static Job<T> spawn(Where* /*where*/, const JobOptions* /*options*/, CallPlace /*place*/,
                      Task<T>&& /*task*/) {
    static_assert(kHasCoro, "include taskctx/coro.h, to spawn coroutines");
    return {};
  }
  template <typename Where, typename F, typename... Args>
  static Job<T> spawn_call(Where* /*where*/, const JobOptions* /*options*/, CallPlace /*place*/,
                           F&& /*function*/, Args&&... /*args*/) {
    static_assert(kHasCoro, "include taskctx/coro.h, to spawn coroutines");
    return {};
  }
  static auto schedule(PoolCore* /*pool*/) {
    static_assert(kHasCoro, "include taskctx/coro.h, to await pool.schedule()");
    return Refused();
  }
};

struct JobPoolAccess;

}  // namespace internal

class JobPool : private internal::JobRefusals {
 public:
  // Starts a pool. Its threads are oneTBB's and come with the first jobs. Throws
  // std::invalid_argument, which names the option, if `concurrency` is negative or above 65,535
  // (32,767 with a oneTBB newer than 2021.8), which is oneTBB's limit; std::bad_alloc; JobError in
  // a forked process.
  //
  //   taskctx::JobPool pool{{.concurrency = 8, .queue_capacity = 10'000}};
  explicit JobPool(JobPoolOptions options = {});

  // Starts a pool on an arena of yours, with its threads, constraints and priority. The pool does
  // not change oneTBB's limit of threads. The arena must outlive the pool; it is initialised here
  // if necessary. Slots that are reserved for threads which enter the arena run no jobs. Throws
  // std::invalid_argument if all slots are reserved (except for an arena of one slot, which has a
  // thread anyway), if it is for more threads than oneTBB's limit, or if `concurrency` or
  // `priority` is given.
  //
  //   oneapi::tbb::task_arena arena{oneapi::tbb::task_arena::constraints{}.set_numa_id(0)};
  //   taskctx::JobPool pool{arena};
  explicit JobPool(oneapi::tbb::task_arena& arena, JobPoolOptions options = {});

  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // Waits for every job. In a job of this pool, and in code that runs at a job's end (an exception
  // handler, a destructor of a value or result), the wait would never end: that is reported as a
  // misuse, and the last job ends the pool. If exit() destroys the pool (one with static storage),
  // and no job has ended for five seconds, the destructor gives up in the same way: a job may be
  // waiting for the thread that has called exit(). If your jobs take longer, drain() before.
  // (drain(), shutdown() and Job::wait() never give up by themselves: in destructors of static
  // objects, give them a time-out.) If a static object that is older than the first pool owns a
  // pool, that pool's jobs are reported as lost before the object's destructor waits for them. In a
  // forked process the destructor does nothing.
  ~JobPool();

  // Returns how many jobs may run at once.
  //
  //   split_into(pool.concurrency());
  [[nodiscard]] int concurrency() const noexcept;

  // To start work: submit() for a result or an error that somebody takes; post() for neither;
  // submit_bulk() for a function over many elements; submit_after() and submit_at() for later;
  // spawn() for a coroutine.

  // Runs `function(args...)` in a snapshot of the current context, taken now, or in the context
  // that `options` ask for, and returns the handle of its result. Function and arguments are copied
  // or moved, called as rvalues, and destroyed in that context, too, on the thread that ran them.
  // Never blocks, except for a full queue (WhenFull). O(1), allocates once. Throws std::bad_alloc,
  // std::invalid_argument if options contradict each other, and what the context factory or moving
  // the function throws; there is no job then.
  //
  //   taskctx::Job<int> sum = pool.submit(add, 1, 2);
  //   auto job = pool.submit({.name = "reindex", .detached = true}, [] { reindex(); });
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

  // Runs `function(args...)` likewise, without a handle: what it throws goes to the exception
  // handler.
  //
  //   pool.post([] { refresh_cache(); });
  template <typename F>
    requires internal::PostedFunction<F>
  void post(F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    start_posted(nullptr, place, std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::PostedFunction<F, First, More...>
  void post(F&& function, First&& first, More&&... more) {
    start_posted(nullptr, {}, std::forward<F>(function), std::forward<First>(first),
                 std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::PostedFunction<F, Args...>
  void post(const JobOptions& options, F&& function, Args&&... args) {
    start_posted(&options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }

  // Refused: coroutines, which run when they are spawned; what can't be called so.
  using JobRefusals::post;
  using JobRefusals::submit;
  using JobRefusals::submit_after;
  using JobRefusals::submit_at;
  using JobRefusals::submit_bulk;

  // Runs a coroutine, which begins on a thread of the pool, in a snapshot of the current context
  // that it keeps wherever it is resumed (include coro.h for this). While it is suspended it uses
  // no thread; the pool's destructor waits for it. Options and errors are those of submit();
  // JobError if the task is empty or has been awaited.
  //
  //   taskctx::Job<int> answer = pool.spawn(compute());
  template <typename T>
  Job<T> spawn(Task<T> task, internal::CallPlace place = internal::CallPlace::here()) {
    return internal::Spawner<T>::spawn(core_, nullptr, place, std::move(task));
  }
  template <typename T>
  internal::Started<Job<T>, JobOptions> spawn(const JobOptions& options, Task<T> task) {
    return internal::Spawner<T>::spawn(core_, &options, {}, std::move(task));
  }

  // Likewise for the coroutine that `function(args...)` returns. Function and arguments are copied
  // or moved, and live as long as the coroutine. So a lambda's captures stay valid, which they
  // don't if you call the lambda yourself. The function is called in the job, in its context.
  //
  //   auto length = pool.spawn([text]() -> taskctx::Task<std::size_t> {
  //     co_await taskctx::sleep_for(absl::Seconds(1));
  //     co_return text.size();
  //   });
  template <typename F>
    requires internal::CoroutineFunction<F>
  internal::Started<internal::SpawnedJobOf<F>, F> spawn(
      F&& function, internal::CallPlace place = internal::CallPlace::here()) {
    return internal::Spawner<internal::SpawnedResultOf<F>>::spawn_call(core_, nullptr, place,
                                                                       std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::CoroutineFunction<F, First, More...>
  internal::Started<internal::SpawnedJobOf<F, First, More...>, F, First, More...> spawn(
      F&& function, First&& first, More&&... more) {
    return internal::Spawner<internal::SpawnedResultOf<F, First, More...>>::spawn_call(
        core_, nullptr, {}, std::forward<F>(function), std::forward<First>(first),
        std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::CoroutineFunction<F, Args...>
  internal::Started<internal::SpawnedJobOf<F, Args...>, F, Args..., JobOptions> spawn(
      const JobOptions& options, F&& function, Args&&... args) {
    return internal::Spawner<internal::SpawnedResultOf<F, Args...>>::spawn_call(
        core_, &options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }

  // Returns an awaitable: the coroutine that awaits it continues on a thread of this pool, also if
  // it was spawned on another pool, or not at all. The await throws JobError after shutdown().
  //
  //   co_await pool.schedule();
  template <typename T = void>
  [[nodiscard]] auto schedule() noexcept {
    return internal::Spawner<T>::schedule(core_);
  }

  // Calls `function(element)` for each element of `range`, in parallel, each in a copy of one
  // snapshot, and returns one handle for all: of a vector of the results in order, or of nothing if
  // they are void. All elements are called, even if some throw; get() throws the error of the first
  // element that has one. cancel() leaves out elements that have not begun. The range is copied or
  // moved, and must be random-access and sized: a vector, a span, std::views::iota. O(1) beside
  // copying the range: one capture, one reference count and one place in the queue for all.
  //
  //   auto sizes = pool.submit_bulk(files, [](const File& file) { return file.size(); });
  //   pool.submit_bulk(std::views::iota(0, 1000), [](int i) { work(i); }).wait();
  template <internal::BulkRange Range, internal::BulkFunction<Range> F>
  auto submit_bulk(Range&& range, F&& function,
                   internal::CallPlace place = internal::CallPlace::here()) {
    return start_bulk<F, Range>(nullptr, place, std::forward<Range>(range),
                                std::forward<F>(function));
  }
  template <internal::BulkRange Range, internal::BulkFunction<Range> F>
  auto submit_bulk(const JobOptions& options, Range&& range, F&& function) {
    return start_bulk<F, Range, JobOptions>(&options, {}, std::forward<Range>(range),
                                            std::forward<F>(function));
  }

  // Submits `function(args...)` when the time `due` has come, or `delay` has passed, in a snapshot
  // that is taken now. Times are absl's or std::chrono's. A delay runs on the monotonic clock, a
  // time of day on the wall clock (deadline.h). Job::cancel() takes it back. The job takes no room
  // in a bounded queue. O(log n) for n pending times.
  //
  // A job whose time has come begins before those that are queued, at most 16 in a row: about a
  // tenth of a millisecond later if a thread of the pool is free; else on the first of these
  // threads:
  //
  //   a thread that works for                     begins it after
  //   a job                                       that job (a coroutine: its turn)
  //   a bulk                                      the element that it is in
  //   a job's taskctx::tbb::parallel_for (*)      the call of the body that it is in
  //   another loop or group of a job              the part of the loop, or task, that it is in
  //
  // (*) also parallel_for_each with random-access iterators, and a body that takes no feeder
  //
  // The thread that has called a loop, and one that waits in a job, work for that job. The rest of
  // a loop that a thread leaves is done when all else of the loop is done. All this holds in the
  // pool's arena; in other arenas, and if there is no memory, the job begins when a thread has
  // nothing else to do. It may wait for the job whose loop it interrupts. It does not run on a
  // thread that waits, except if a plain oneTBB call, outside of all jobs, waits in the pool's
  // arena.
  //
  //   auto retry = pool.submit_after(absl::Seconds(1), [] { try_again(); });
  //   pool.submit_at(next_midnight, rotate_logs);
  template <typename F>
    requires internal::JobFunction<F>
  internal::JobOf<F> submit_at(Deadline due, F&& function,
                               internal::CallPlace place = internal::CallPlace::here()) {
    return start_delayed(due, nullptr, place, std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::JobFunction<F, First, More...>
  internal::JobOf<F, First, More...> submit_at(Deadline due, F&& function, First&& first,
                                               More&&... more) {
    return start_delayed(due, nullptr, {}, std::forward<F>(function), std::forward<First>(first),
                         std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::JobFunction<F, Args...>
  internal::JobWithOptionsOf<F, Args...> submit_at(const JobOptions& options, Deadline due,
                                                   F&& function, Args&&... args) {
    return start_delayed(due, &options, {}, std::forward<F>(function), std::forward<Args>(args)...);
  }
  template <typename F>
    requires internal::JobFunction<F>
  internal::JobOf<F> submit_after(Timeout delay, F&& function,
                                  internal::CallPlace place = internal::CallPlace::here()) {
    return start_delayed(Deadline::after(delay), nullptr, place, std::forward<F>(function));
  }
  template <typename F, typename First, typename... More>
    requires internal::JobFunction<F, First, More...>
  internal::JobOf<F, First, More...> submit_after(Timeout delay, F&& function, First&& first,
                                                  More&&... more) {
    return start_delayed(Deadline::after(delay), nullptr, {}, std::forward<F>(function),
                         std::forward<First>(first), std::forward<More>(more)...);
  }
  template <typename F, typename... Args>
    requires internal::JobFunction<F, Args...>
  internal::JobWithOptionsOf<F, Args...> submit_after(const JobOptions& options, Timeout delay,
                                                      F&& function, Args&&... args) {
    return start_delayed(Deadline::after(delay), &options, {}, std::forward<F>(function),
                         std::forward<Args>(args)...);
  }

  // Returns the pool as an executor, for libraries that take one (executor.h).
  //
  //   library.run_on(pool.executor());
  [[nodiscard]] JobExecutor executor() noexcept { return JobExecutor(*this); }

  // Takes a snapshot of what the pool is doing. O(threads), some hundred nanoseconds.
  //
  //   if (pool.stats().queued > 1000) shed_load();
  [[nodiscard]] JobPoolStats stats() const { return core_->stats(); }

  // Waits until nothing is queued, waiting or running, but no longer than until `deadline`, or for
  // `timeout`; returns whether that is so. Throws JobError in one of the pool's own jobs, which
  // would wait for itself, and in what runs at its end (see the destructor).
  //
  //   pool.drain();
  bool drain(Deadline deadline = {}) { return core_->drain(deadline); }
  bool drain(Timeout timeout) { return drain(Deadline::after(timeout)); }

  // Takes no more jobs from now on, and waits as drain() does. At `deadline` it cancels what has
  // not begun, asks what runs to end (this_job::cancel_requested()), and returns a list of both.
  // The destructor still waits for what runs. Throws JobError likewise.
  //
  //   for (const auto& job : pool.shutdown(absl::Seconds(5))) log(job.name);
  std::vector<UnfinishedJob> shutdown(Deadline deadline = {}) { return core_->shutdown(deadline); }
  std::vector<UnfinishedJob> shutdown(Timeout timeout) {
    return shutdown(Deadline::after(timeout));
  }

 private:
  friend struct internal::JobPoolAccess;

  template <typename F, typename... Args>
  auto start(const JobOptions* options, internal::CallPlace place, F&& function, Args&&... args) {
    using R = internal::JobResultOf<F, Args...>;
    internal::PoolCore::Admission admission(*core_, options);
    return internal::JobAccess::make<R>(
        internal::launch<internal::FunctionJob<R, internal::CallOf<F, Args...>>>(
            admission, options, place, /*references=*/2U, std::forward<F>(function),
            std::forward<Args>(args)...));
  }

  template <typename F, typename... Args>
  void start_posted(const JobOptions* options, internal::CallPlace place, F&& function,
                    Args&&... args) {
    internal::PoolCore::Admission admission(*core_, options);
    admission.accept(internal::new_job<internal::FunctionJob<void, internal::CallOf<F, Args...>>>(
        admission, options, place, /*references=*/1U, std::forward<F>(function),
        std::forward<Args>(args)...));
  }

  template <typename F, typename Range, typename... Options>
  auto start_bulk(const JobOptions* options, internal::CallPlace place, Range&& range,
                  F&& function) {
    using BulkJob = internal::BulkJob<std::decay_t<Range>, std::decay_t<F>>;
    using R = typename BulkJob::Result;
    using Started = internal::Started<Job<R>, F, Range, Options...>;
    static_assert(!std::is_reference_v<typename BulkJob::Element>,
                  "a vector can't hold references");
    internal::PoolCore::Admission admission(*core_, options);
    return Started(internal::JobAccess::make<R>(internal::launch<BulkJob>(
        admission, options, place, std::forward<Range>(range), std::forward<F>(function))));
  }

  template <typename F, typename... Args>
  auto start_delayed(Deadline due, const JobOptions* options, internal::CallPlace place,
                     F&& function, Args&&... args) {
    using R = internal::JobResultOf<F, Args...>;
    internal::WaitingEntry entry(core_, "submit job", options, [](auto* job) { job->start(); });
    return internal::JobAccess::make<R>(
        internal::launch<internal::DelayedJob<R, internal::CallOf<F, Args...>>>(
            entry, options, place, due, std::forward<F>(function), std::forward<Args>(args)...));
  }

  internal::PoolCore* core_;
};

// Returns the process's default pool, with one thread per core; the first call makes it. It is
// never destroyed. At the program's end it is drained, unless the thread that ends the program is
// in a job. If no job has ended for five seconds, the jobs that are left are reported to the misuse
// handler, and lost. Tasks that other threads run by sync_wait() are not waited for. Thread-safe.
//
//   taskctx::default_pool().post([] { refresh_cache(); });
JobPool& default_pool();

template <typename F>
void JobExecutor::execute(F&& function, internal::CallPlace place) const {
  if constexpr (internal::PostedFunction<F>) {
    pool_->post(std::forward<F>(function), place);
  } else {
    pool_->post(std::forward<F>(function));  // Refused, in words.
  }
}

namespace internal {

struct JobPoolAccess {
  static PoolCore* core(const JobPool& pool) noexcept { return pool.core_; }
};

// Returns the default pool, or nullptr if default_pool() was never called.
JobPool* existing_default_pool() noexcept;

}  // namespace internal

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_POOL_H_
