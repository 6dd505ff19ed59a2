// SPDX-License-Identifier: Apache-2.0
//
// PoolCore: the part of a JobPool that its jobs and handles share. It outlives the JobPool until
// the last of them is gone. One class, several files, by what it does:
//
//   pool_core.cc    the lists: how a job gets from stage to stage
//   pool_shells.cc  the shells, which run jobs in oneTBB's arena
//   due_jobs.cc     the calls, which bring a thread to a job whose time has come
//   pool_life.cc    its birth, admission of jobs, their contexts, statistics, drain and shutdown
//   pool_end.cc     the end of the process, and fork
//   pool_relief.cc  threads of our own, where oneTBB leaves its own asleep
//
// Jobs wait in lists of our own. Shells are tasks that we enqueue into the arena, and that run one
// job after the other. There are at most as many shells as the pool has threads, so most jobs cost
// oneTBB nothing. A shell is enqueued, not spawned: oneTBB never runs an enqueued task on the stack
// of a task that waits. So below a waiting job on its stack is only what waits for it. A job's code
// runs isolated for the same reason: while it waits, it steals only leaves of its own. Jobs catch
// all exceptions: one that escaped from an enqueued task would end the program.
//
// A thread that waits for a job in the leaf of a loop, or in a task of a group, may run that job
// itself. oneTBB would bind all that the job does to that loop or group. If the loop or group were
// cancelled, the job's own loops would end early and tell nobody: a wrong result. So a thread that
// is no shell runs jobs in an isolated task_group_context, unless it is in that of the shells.
//
// No wake-up is lost. A thread that queues a job looks, with the lane's lock, whether there are
// enough shells. A shell that ends subtracts itself first, and then looks, with each lane's lock,
// whether there are jobs. Of two holders of one lock, the second sees what the first did. So a
// queued job has a shell on its way, or the pool has all its shells. If all of those wait, each in
// its job, the last of them waits for something that no thread runs. A thread that waits runs its
// target itself if it can. If the target waits or may suspend (begin_or_look() says `missing`), it
// counts itself in parked_helpers and parks. If another thread runs a target that never suspends,
// that thread is the next in the chain. So the end of the chain is always a parked helper, and
// whatever may give it something to do wakes it:
//
//   what happens                             where                  which threads may have to run it
//   a new job is queued                      accept()               a shell; nobody has its handle
//   likewise, in a task scope                ScopeJob::start()      a shell, a thread that joins
//   a coroutine waits for a job              Suspension::suspend()  a waiter of the coroutine
//   a thread waits for a job                 wait_slowly()          that thread
//   a job has ended                          make_ready()           a shell, a waiter
//   a time has come: a job is due            make_ready()           a shell, a call, a waiter
//   likewise, before the coroutine slept     suspend()              a shell, a waiter
//   a suspended coroutine is cancelled       begin_to_cancel()      a shell, a waiter
//   a job that nobody began is cancelled     finish()               none: it has ended, as above
//   a bulk has more elements                 pop()                  another shell: it stays queued
//   elements are given back                  requeue_bulk()         a shell, a waiter
//   a shell gives its thread back            run_shell()            itself: it is queued, counted
//   a shell can't be queued: no memory       start_shell()          another shell, or the caller
//   a job is refused, or run by its caller   accept()               none: it was never queued
//
// unpark_helpers() wakes the waiters. A coroutine's code counts as at work in its pool on any
// thread, so a thread that it blocks can run what it waits for. yield() is the fifth line.
//
// A call is a second way to a thread, for jobs that are due, and for shells that loops keep waiting
// (due_jobs.cc). Nothing depends on it.
//
// The order. Each lane is first in, first out. A shell takes the first job of one lane after the
// other. So between two jobs of a lane it takes no more than L - 1 of others, if there are L lanes:
// a job with d jobs before it in its lane begins before all but (d + S) * (L - 1) of other lanes'
// jobs, where S is the number of shells. A thread's jobs go to lanes in turn (lane_for()), so d is
// their number by L, and four more at most. Hence at most L * (S + 4 * T) jobs overtake one, where
// T threads submit. A job that is queued again (a coroutine) keeps its lane.
//
// Pools don't run each other's jobs: see Job::wait().

#ifndef TASKCTX_INTERNAL_POOL_POOL_CORE_H_
#define TASKCTX_INTERNAL_POOL_POOL_CORE_H_

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/context_var_options.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/queue_limit.h"
#include "taskctx/job_options.h"
#include "taskctx/job_stats.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Tells the misuse handler of something that could not be helped, and shall not abort.
void report_loss(const std::string& message) noexcept;
// Tells whether exit() has called us, on this thread: then a job may wait for this very thread, to
// join it, say, and nobody can know that.
bool is_in_exit() noexcept;

// Returns the name in options, which may be nullptr.
inline std::string_view name_in(const JobOptions* options) noexcept {
  return options != nullptr ? std::string_view(options->name) : std::string_view();
}

struct Lane;  // See job_list.h.
class PoolArena;

class PoolCore final
    : public Executor {  // NOLINT(clang-analyzer-optin.performance.Padding): cache lines apart
 public:
  // The pool's consent to a job. It is made first, so that a pool which refuses the job has changed
  // nothing. Gives back room in the queue that no job has taken.
  class Admission {
   public:
    Admission(PoolCore& core, const JobOptions* options) : core_(core) {
      if (core.flags_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
        core.admit(*this, options);
      }
    }
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    ~Admission() {
      if (is_counted_) [[unlikely]] {
        core_.limit_.give();
      }
    }

    [[nodiscard]] PoolCore* core() const noexcept { return &core_; }
    Inherited inherited(const JobOptions* options) { return core_.inherited(options); }
    void accept(JobState* job) { core_.accept(job, *this); }

   private:
    friend class PoolCore;
    PoolCore& core_;
    bool is_counted_ = false;
    bool runs_here_ = false;
    bool is_refused_ = false;
  };

  PoolCore(JobPoolOptions options, std::unique_ptr<PoolArena> arena);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] int concurrency() const noexcept { return concurrency_; }
  [[nodiscard]] const ExceptionHandler& handler() const noexcept { return handler_; }
  [[nodiscard]] Accountant* accountant() const noexcept { return accountant_.get(); }
  [[nodiscard]] JobPoolStats stats() const;

  // Makes what a job that is submitted here inherits: the context that the options ask for, or that
  // the pool's factory makes, or a snapshot; and the creator's link, unless it is detached. Throws
  // what a factory throws.
  Inherited inherited(const JobOptions* options) {
    if (options == nullptr) [[likely]] {
      return {context_factory_ ? made_by(context_factory_) : capture(), creators_link()};
    }
    return {chosen_context(*options), options->detached ? LinkRef() : creators_link()};
  }
  // Likewise, with `link` in the creator's place.
  Inherited inherited(const JobOptions* options, LinkRef link) {
    return {options != nullptr ? chosen_context(*options)
            : context_factory_ ? made_by(context_factory_)
                               : capture(),
            std::move(link)};
  }
  std::unique_ptr<JobExtras> extras(const JobOptions* options) {
    if (options == nullptr && accountant_ == nullptr) [[likely]] {
      return nullptr;
    }
    return make_extras(options);
  }

  // Queues `job`, of which the queue has a reference, or runs it. Throws JobError after shutdown,
  // and drops the reference.
  void accept(JobState* job, Admission& admission);
  // Queues `job` as a call without options does; what that throws is the job's end.
  void accept_or_end(JobState* job) noexcept;
  // Takes a job that waits for others, or for its time. Throws likewise.
  void accept_waiting(JobState* job);
  // Takes a job that its caller runs. Throws likewise.
  void accept_running(JobState* job);
  // Puts a job that is in no list, and that nobody counts or begins, into this stage: the end of a
  // scope (scope_job.h), which waits, or has ended.
  void move_aside(JobState* job, Stage stage) noexcept;
  // Moves a running job to those that wait for make_ready(), if that was not called already.
  // `awaited`: the job that it waits for, if any. Returns true if that may close a circle of jobs
  // that wait for one another: the caller gets a reference to both then, and looks.
  bool suspend(JobState* job, JobState* awaited) noexcept;
  // Takes a job out of those that wait, if its wait for `awaited` still closes a circle, and lets
  // it resume with an error: once resume_early() is called.
  static bool break_circle(JobState* job, const JobState* awaited) noexcept;
  void resume_early() noexcept;
  // Queues a job that waited, unless a thread has begun or cancelled it meanwhile. A job whose time
  // has come is due: it begins before others, as due_jobs.cc says.
  void make_ready(JobState* job, bool is_due = false) noexcept;
  // Tells whether there are due jobs that nobody has begun. A hint.
  [[nodiscard]] bool has_due() const noexcept { return due_.load(std::memory_order_relaxed) != 0; }
  [[nodiscard]] bool is_in_arena() noexcept override;

  // Takes a job that nobody has begun out of all lists but that of what runs, to end it. Returns
  // false if it has begun: with `created` it is told to stop then, a suspended coroutine is
  // resumed, and `created` becomes the link of what it has created until now.
  bool begin_to_cancel(JobState* job, LinkRef* created) noexcept;
  // Queues a suspended coroutine, or the job that resumes one, if `withdraw(lock)` takes its
  // wake-up back. Returns false if it may have to be tried again: it is not suspended yet, or is
  // just being woken up.
  template <typename Withdraw>
  bool wake_early(JobState* job, Withdraw withdraw) noexcept {
    return wake_early(
        job, [](const LaneLock& lock, void* f) { return (*static_cast<Withdraw*>(f))(lock); },
        std::addressof(withdraw));
  }
  // For a waiting thread that is at work in this pool: takes a job of the pool for the caller to
  // perform, if that is queued, and no bulk.
  bool try_begin(JobState* job) noexcept;
  // For a waiting thread that is at work in the pool `here`: takes a job of that pool for the
  // caller to perform, if nobody has begun it and it need not wait (`begun`). If it must wait, or
  // may yet have to, tells for what (`missing`): whenever that changes, unpark_helpers() is called.
  // If it runs elsewhere and never waits, there is `nothing` to do.
  enum class Found { begun, missing, nothing };
  static Found begin_or_look(JobState* job, PoolCore* here, Missing& missing) noexcept;
  // Performs a job that this thread, which is no shell, has begun. What the job does with oneTBB
  // belongs to no group of the caller's. `ledger`: as JobState::perform() says.
  static void perform_apart(JobState* job, Ledger* ledger = nullptr) noexcept;
  // Calls `function` on the pool's behalf, wherever that is, likewise. It must not throw.
  template <typename F>
  void apart(F&& function) noexcept {
    if (is_apart()) [[likely]] {
      function();
    } else {
      run_apart([](void* f) { (*static_cast<std::remove_reference_t<F>*>(f))(); },
                std::addressof(function));
    }
  }
  // Counts one of a bulk's threads out, and moves the bulk from the queue to what runs if all its
  // elements were begun. Returns whether the caller was the last one.
  template <typename Leave>
  bool end_share(JobState* job, Leave leave) noexcept;
  // Puts a bulk back into the queue, if it is not there: a thread gives elements back with `give`.
  template <typename Give>
  void requeue_bulk(JobState* job, Give give) noexcept {
    requeue_bulk(
        job, [](const LaneLock& lock, void* f) { (*static_cast<Give*>(f))(lock); },
        std::addressof(give));
  }
  // Calls `change(lock)` with the lock that guards the job's stage and context.
  template <typename F>
  auto locked(const JobState* job, F change);
  // Takes a job that ends out of the lists. It keeps its context, or else `left`, if it is to keep
  // one. Returns what it does not keep.
  NodeRef take_out(JobState* job, std::uint32_t how, std::optional<NodeRef> left,
                   bool keeps_context) noexcept;
  // Says that jobs of this pool are no more, for which it has been made to stay. Which lane's they
  // were does not matter.
  void let_go(std::uint16_t lane, std::uint64_t jobs) noexcept;
  // Counts a job of this lane as over.
  void count_ended(std::uint16_t lane) noexcept;
  // Counts more of them, in a job that is not over yet.
  void count_over(std::uint16_t lane, std::uint64_t jobs) noexcept;

  // For a fork, first this, then lock_lanes(); likewise to unlock. In the child nothing of the pool
  // runs any more, and calls that ask for that throw.
  void lock() noexcept { mutex_.lock(); }
  void lock_lanes() noexcept;
  void unlock(bool is_child) noexcept;
  [[nodiscard]] bool is_forked() const noexcept {
    return (flags_.load(std::memory_order_relaxed) & kForked) != 0;
  }

  // Throws JobError in a forked process, where no job will ever end.
  void check_not_forked(const char* what, std::string_view name) const {
    check_flags(kForked, what, name);
  }
  // Likewise, and after shutdown().
  void check_open(const char* what, std::string_view name) const {
    check_flags(kForked | kClosed, what, name);
  }

  // Returns when nothing is left, or at `deadline` with false. Throws JobError where the pool is at
  // work on this thread.
  bool drain(Deadline deadline);
  std::vector<UnfinishedJob> shutdown(Deadline deadline);

  // Waits for every job, and gives up the pool's reference. Where the pool is at work on this
  // thread, it leaves that to the last job.
  void close() noexcept;

  // Tells whether no job will ever come any more: the JobPool is gone, or about to go.
  [[nodiscard]] bool is_over() const noexcept {
    // Pairs with end_if_quiet(), which sets it.
    return (flags_.load(std::memory_order_acquire) & kFinal) != 0;
  }

  // Returns the lane of a job that this thread makes. Of any jobs that one thread has made in a
  // row, each lane has as many as any other, give or take four; a job that its maker runs itself,
  // before it makes another one, does not count.
  [[nodiscard]] std::uint16_t lane_for(const JobState* job) const noexcept {
    return lane_mask_ == 0 ? std::uint16_t{0} : next_lane(job);
  }

 private:
  friend class PoolRegistry;

  static constexpr std::uint32_t kBounded = 1;
  static constexpr std::uint32_t kClosed = 2;  // Since shutdown().
  static constexpr std::uint32_t kForked = 4;  // We are in a child process.
  static constexpr std::uint32_t kFinal = 8;   // No job will ever come, the arena may go.

  ~PoolCore();
  [[nodiscard]] std::uint16_t next_lane(const JobState* job) const noexcept;
  void destroy() noexcept override { delete this; }
  void note_first_loop() noexcept override;

  // Does what capture_link() does. Costs less right in a job.
  static LinkRef creators_link() {
    return current_activation()->origin.leads_nowhere() ? LinkRef() : work_link();
  }
  static LinkRef work_link();
  static NodeRef made_by(const ContextFactory& factory);
  NodeRef chosen_context(const JobOptions& options);
  std::unique_ptr<JobExtras> make_extras(const JobOptions* options);

  void admit(Admission& admission, const JobOptions* options);
  [[noreturn]] void refuse(const char* verb, std::string_view name) const;
  void check_flags(std::uint32_t wrong, const char* what, std::string_view name) const {
    if ((flags_.load(std::memory_order_relaxed) & wrong) != 0) [[unlikely]] {
      refuse(what, name);
    }
  }
  bool wake_early(JobState* job, bool (*withdraw)(const LaneLock& lock, void*),
                  void* argument) noexcept;
  void requeue_bulk(JobState* job, void (*give)(const LaneLock& lock, void*),
                    void* argument) noexcept;
  Lane& lane_of(const JobState* job) const noexcept;
  void give_room_of(JobState* job) noexcept {
    if (job->is_counted() && job->stop_counting()) [[unlikely]] {
      limit_.give();
    }
  }
  // Make the pool stay as long as the job, which enters. The first returns false, and does nothing,
  // if the pool is closed. Lanes count what is gone of what they have held, and end_if_quiet()
  // takes a reference for each job that is left: until then nobody writes to what all write to. A
  // job that comes later has a reference from the start.
  [[nodiscard]] bool try_hold(const LaneLock& lock, JobState* job) noexcept;
  void hold(const LaneLock& lock, JobState* job) noexcept;
  [[noreturn]] void refuse_late(JobState* job);
  // Of a lane's lists. begin_queued() leaves a bulk in the queue as long as it has work for more.
  void begin_queued(const LaneLock& lock, JobState* job) noexcept;
  void erase_queued(const LaneLock& lock, JobState* job) noexcept;
  void push_queued(const LaneLock& lock, JobState* job) noexcept;
  static void push_running(const LaneLock& lock, JobState* job) noexcept;

  // Code that uses the arena calls the first of these before, the last one after that, and asks the
  // second in between. finalize() comes after kFinal was set, and waits until nobody is counted.
  // All are seq_cst: either finalize() sees that we are counted, or we see kFinal.
  void begin_enqueuing() noexcept { enqueuing_.fetch_add(1, std::memory_order_seq_cst); }
  [[nodiscard]] bool has_arena() const noexcept {
    return (flags_.load(std::memory_order_seq_cst) & (kFinal | kForked)) == 0;
  }
  // Releases what we did with the arena to finalize(), which ends it.
  void end_enqueuing() noexcept { enqueuing_.fetch_sub(1, std::memory_order_release); }
  bool count_shell() noexcept;
  void add_shell() noexcept { start_shell(reserve_shell()); }
  // Start a shell, if a thread is left for one, in two steps: for callers that are no job of this
  // pool (a timer, another pool's thread). Once the lane is unlocked, the job that they have queued
  // may end, and the pool with it. reserve_shell(), called with the lock then, takes a reference to
  // the pool, and makes close() wait for start_shell(), which enqueues the shell. What the first
  // returns is the shell's first turn.
  std::optional<std::uint32_t> reserve_shell() noexcept;
  void start_shell(std::optional<std::uint32_t> turn) noexcept;
  struct Shell;
  enum class Enqueued { yes, no, but_none_may_come };
  Enqueued enqueue_shell(std::uint32_t turn) noexcept;
  void run_enqueued_shell(std::uint32_t turn) noexcept;
  // Returns false if there is no memory for another shell: this thread continues as one.
  bool requeue_shell(std::uint32_t turn) noexcept;
  // A ticket is a counted shell that no thread has begun: the thread that takes it is that shell.
  // The arena has at least one enqueued shell for each ticket; which one takes it does not matter.
  static constexpr std::uint64_t kTaken = std::uint64_t{1} << 32;
  // Pairs with take_ticket(): the thread that takes it sees what came before the shell was
  // enqueued. And, seq_cst, with PoolRegistry::look(), which sees the ticket, or we see its end.
  void give_ticket() noexcept { tickets_.fetch_add(1, std::memory_order_seq_cst); }
  bool take_ticket() noexcept;
  // seq_cst: of a thread that enqueues a shell, and one that begins the first loop, one sees what
  // the other did, and has the registry watch.
  [[nodiscard]] bool has_loops() const noexcept {
    return has_loops_.load(std::memory_order_seq_cst);
  }
  // For PoolRegistry, with its mutex. The first tells whether shells wait that loops may keep
  // waiting; the second, whether nobody has taken a ticket since the last call, though there are
  // some; the last one gives the pool a thread.
  [[nodiscard]] bool waits_for_loops() const noexcept {
    // Pairs with give_ticket().
    return has_loops() && static_cast<std::uint32_t>(tickets_.load(std::memory_order_seq_cst)) != 0;
  }
  [[nodiscard]] bool is_calling() const noexcept {
    return calls_.load(std::memory_order_relaxed) % kStop != 0;
  }
  [[nodiscard]] bool is_stuck() noexcept;
  void start_relief(const sigset_t& blocked_signals) noexcept;
  void relieve() noexcept;
  void run_shell(std::uint32_t turn) noexcept;
  bool run_jobs(std::uint32_t turn) noexcept;
  [[nodiscard]] bool is_apart() const noexcept;
  static void run_apart(void (*function)(void*), void* argument) noexcept;
  // Takes a job for a shell, which looks into the lanes in turn; pop_due() one whose time has come.
  JobState* pop(std::uint32_t& turn) noexcept;
  JobState* pop_due() noexcept;
  class Call;
  // In two steps, as a shell is started. The second consumes a reference, and what is counted.
  void reserve_call() noexcept;
  void start_call() noexcept;
  // Consumes the call's reference.
  void answer_call() noexcept;
  [[nodiscard]] bool has_queued() noexcept;

  // Tells whether this thread runs code of the pool's: there, waiting for the pool would never end.
  [[nodiscard]] bool is_at_work_here() const noexcept {
    return current_activation()->origin.executor() == this;
  }
  [[nodiscard]] bool is_quiet() const noexcept;
  bool end_if_quiet() noexcept;
  void tell_quiet_waiters() noexcept;
  bool wait_until_quiet(Deadline deadline);
  // For the program's end: waits as long as more jobs end, and returns whether all have. Calls
  // (sync_wait) of other threads are not waited for: they may wait for this one.
  bool drain_at_exit() noexcept;
  // Waits until nothing is left, but no longer than drain_at_exit() if exit() waits for us.
  bool wait_for_all() noexcept;
  // Leaves to the last job what close() would have done.
  void leave_to_last_job() noexcept;
  [[nodiscard]] bool has_only_calls() noexcept;
  [[noreturn]] void leave_child() noexcept;
  // Tells the misuse handler how many jobs are left, if any, and `why`. Once.
  void report_what_is_lost(const std::string& why) noexcept;
  void finalize() noexcept;
  std::vector<HeldJob> unended_jobs();

  // A bit of Lane::gone: each job that is left has a reference.
  static constexpr std::uint64_t kLate = std::uint64_t{1} << 63U;

  // References: the pool's, those of jobs that outlive it, each shell's, and those of tasks that
  // may outlive it.
  std::atomic<std::uint32_t> flags_{0};
  const std::uint32_t lane_mask_;
  const int concurrency_;
  const std::unique_ptr<Lane[]> lanes_;
  const ContextFactory context_factory_;
  const std::shared_ptr<Accountant> accountant_;
  const std::unique_ptr<PoolArena> arena_;
  const ExceptionHandler handler_;
  const std::string name_;

  alignas(64) std::atomic<int> shells_{0};  // Queued in the arena, or running: counted.
  std::atomic<int> enqueuing_{0};           // Threads that are about to use the arena.
  // Low half: the tickets. High half: how many were taken, ever.
  std::atomic<std::uint64_t> tickets_{0};
  // The task_group_context in which the arena runs shells; the same for all.
  std::atomic<const void*> shells_group_{nullptr};
  std::atomic<std::uint32_t> due_{0};  // How many jobs are in the lanes' lists of those.
  std::atomic<std::uint32_t> due_in_a_row_{
      0};  // How many of those began since the last other job did.

  std::atomic<int> quiet_waiters_{0};
  std::mutex mutex_;
  std::condition_variable changed_;  // Room in the queue, or quiet.
  QueueLimit limit_;
  bool is_orphaned_ = false;  // Guarded by mutex_: see leave_to_last_job().
  std::atomic<bool> is_loss_known_{false};

  std::atomic<bool> is_relief_coming_{false};  // A thread of ours that is not in the arena yet.
  std::uint64_t tickets_before_ = 0;           // At the last is_stuck().
  PoolCore* next_called_ = nullptr;            // In PoolRegistry::look().
};

inline PoolCore* JobState::pool() const noexcept { return static_cast<PoolCore*>(executor); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_POOL_CORE_H_
