// SPDX-License-Identifier: Apache-2.0
//
// JobState: the part of a job that its handle and its pool share: the context, the stage of its
// life, the error, if any. Derived classes add the result (job_result.h) and the callable.
//
// A job is in exactly one stage, and in the list of its lane that belongs to that stage. The thread
// that takes it out of the queue runs it (a shell of the pool, or a thread at work in the same pool
// that waits for it), or cancels it.
//
// Its functions are in job_state.cc (what needs no pool), job_life.cc (run and end) and
// job_wait.cc.

#ifndef TASKCTX_INTERNAL_POOL_JOB_STATE_H_
#define TASKCTX_INTERNAL_POOL_JOB_STATE_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/merged.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class BlockedWait;
class JobState;
class LaneLock;  // See job_list.h: what takes one needs the lock of the job's lane.
class PoolCore;
class CancelWatch;  // See cancel_watch.h.
class ScopeJob;     // See scope_job.h.
struct ScopeChild;

// What is to happen when a job has ended. It is linked into the job, so adding it allocates
// nothing; it must live until it fires, which it does exactly once, on the thread that ended the
// job or, if the job has ended already, on the one that adds it.
struct Continuation {
  void (*fire)(Continuation* self) noexcept;
  Continuation* next = nullptr;
};

// What few jobs have.
struct JobExtras {
  std::shared_ptr<const std::string> name;  // nullptr if it has none. Its link has it, too.
  std::int64_t queued_at = 0;               // In ns, if the pool has an accountant.
  bool keeps_context = false;               // JobOptions::keep_context
};

// The stages of a job's life. They change with the lock of the job's lane, in these functions of
// PoolCore only (finish() is JobState's):
//
//   made     the beginning
//   waiting  accept_waiting(); suspend()
//   queued   accept(); make_ready(); suspend(), if woken already; requeue_bulk();
//            begin_to_cancel() and break_circle(), of a suspended coroutine
//   running  accept(), accept_running(), accept_or_end(): the caller runs or ends it; begin_queued();
//            begin_or_look(); begin_to_cancel(), to end it; end_share(), of a bulk's last thread
//   ended    take_out(), called by finish()
enum class Stage : std::uint8_t {
  made,     // Not yet in the pool.
  waiting,  // For other jobs, or for its time: in its lane's list of those.
  queued,   // Nobody has begun it; of a bulk: there are elements that nobody has begun.
  running,
  ended,
};
class HeldJob;  // Keeps a job's memory, not its result: not a handle.

// Is told what a waiting job waits for.
class Missing {
 public:
  // `job` has not ended. `is_choice`: another one's end would do as well.
  virtual void add(const LaneLock& lock, JobState* job, bool is_choice) noexcept = 0;

 protected:
  ~Missing() = default;
};

// Throws the JobError that says what can't be done without a job.
[[noreturn]] void throw_no_job(const char* verb);

class JobState : public Workplace, private Mortal {
 public:
  // Begins with `references`; takes one of the pool for its lifetime.
  JobState(PoolCore* pool, Inherited inherited, std::uint32_t references,
           bool is_bulk = false) noexcept;
  JobState(const JobState&) = delete;
  JobState& operator=(const JobState&) = delete;

  [[nodiscard]] PoolCore* pool() const noexcept;  // See pool_core.h.
  [[nodiscard]] bool is_done() const noexcept { return (bits() & kDone) != 0; }
  [[nodiscard]] bool is_cancelled() const noexcept { return (bits() & kCancelled) != 0; }
  // Of a job that has ended: tells whether there is an error in place of a result.
  [[nodiscard]] bool has_no_result() const noexcept {
    return (bits() & (kFailed | kCancelled)) != 0;
  }
  [[nodiscard]] bool has_failed() const noexcept { return (bits() & kFailed) != 0; }
  [[nodiscard]] bool is_cancel_requested() const noexcept {
    return (bits() & kCancelRequested) != 0;
  }

  // Tells whether cancel() wants the job's code to end (workplace.h).
  [[nodiscard]] bool is_told_to_stop() const noexcept final { return is_interrupted(); }

  // Returns a number that no other job has, drawn at the first call.
  std::uint64_t id() noexcept final;
  [[nodiscard]] std::string_view name() const noexcept final {
    return extras_ != nullptr && extras_->name != nullptr ? std::string_view(*extras_->name)
                                                          : std::string_view();
  }
  // Returns the words " 'name'", or nothing if there is no name.
  [[nodiscard]] std::string quoted_name() const;
  [[nodiscard]] const JobExtras* extras() const noexcept { return extras_.get(); }
  void describe(std::unique_ptr<JobExtras> extras) noexcept { extras_ = std::move(extras); }
  // Where the job was submitted; line 0 if that is not known.
  [[nodiscard]] SourcePlace place() const noexcept;
  void set_place(std::source_location place) noexcept { place_ = place; }

  // Shares the context: what the job starts with, or how it left it. Throws JobError if it has let
  // go of that. The caller has a handle.
  NodeRef context();

  // Returns when the job has ended, or at `deadline` with false. In a job of the same pool it runs
  // here what nobody has begun: the job itself, and what that waits for. Throws JobError where it
  // would never end: in a forked process.
  // Throws Cancelled if the code that waits is to stop, also while it waits; in this case nothing
  // has changed.
  void wait() { (void)wait_until(Deadline()); }
  bool wait_until(Deadline deadline) {
    if (cancel_count() != 0) [[unlikely]] {
      check_waiter();
    }
    return is_done() || wait_slowly(deadline, /*may_stop=*/true);
  }

  // Runs, on this thread, which is at work in the pool `here`, what nobody has begun of this job
  // and of what it waits for. Returns when it is done, when another thread runs it, or at
  // `deadline`.
  void help(PoolCore* here, Deadline deadline);

  // Returns when the job, a coroutine, has ended, whatever happens. Where waiting for it would
  // never end, cancels it, and returns the JobError then. In a forked process it returns that at
  // once.
  std::exception_ptr wait_to_the_end();

  // Asks the job to end, and all that it has created. Returns true if it was not begun, and never
  // will be.
  bool cancel() noexcept;
  // Ends the job if it has not begun, and never may: its scope was cancelled, or its time is over.
  void end_if_over() noexcept;

  // Fires `continuation` when the job has ended.
  void add_continuation(Continuation* continuation) noexcept;
  // Takes it back. Returns false if it fires, or has fired. O(continuations).
  bool remove_continuation(Continuation* continuation) noexcept;

  // Tells, once after each cancel() that came while the coroutine ran, that it is to end. What it
  // creates from then on has another link: the result's, until which cancel() has worked, is
  // dropped without the lock.
  bool take_interrupt(const LaneLock& lock, LinkRef& old) noexcept {
    if (!is_interrupted()) {
      return false;
    }
    bits_.fetch_and(~kInterrupted, std::memory_order_relaxed);  // It is set with the lock.
    old = take_link(lock);
    return true;
  }
  // Tells whether it is a sync_wait(): only that itself cancels it, where it would never end.
  [[nodiscard]] bool is_call() const noexcept {
    return (bits_.load(std::memory_order_relaxed) & kCall) != 0;
  }
  [[nodiscard]] bool is_interrupted() const noexcept {
    return (bits_.load(std::memory_order_relaxed) & kInterrupted) != 0;
  }

  // Says that no handle is left. An error that nobody has seen goes to the handler.
  void abandon() noexcept;
  // Says that what follows of the job's code is destructors.
  using Workplace::begin_to_end;

  // Says that the error, if there is one, has been seen.
  void mark_seen() noexcept { bits_.fetch_or(kSeen, std::memory_order_relaxed); }

  // Says, before the job waits for another one, that it may do so from now on.
  void note_wait() noexcept {
    if ((bits_.load(std::memory_order_relaxed) & kMayWait) == 0) {
      bits_.fetch_or(kMayWait, std::memory_order_seq_cst);  // See blocked_wait.cc.
    }
  }

  void add_ref() noexcept { refs.add_plain(); }
  void release() noexcept {
    // Pairs with itself: the last one to release sees all that others did with the job.
    if (refs.drop_plain()) {
      if (may_hold_ || error_ != nullptr) {
        rule = &kEnd;
        end(this);
      } else {
        delete this;
      }
    }
  }

  // Throws what the job threw, if it did. The job has ended. If `takes` it, this job has it no
  // more: the code that handles it destroys it.
  void rethrow(bool takes);

  // Merges what the job has set into the current context (ContextVarOptions::merge).
  void apply_merged() const { merged_.apply(); }

 protected:
  virtual ~JobState();

  // Runs the user's code in the job's context, isolated, and tells everybody. The caller has taken
  // the job out of the queue, and gives the queue's reference.
  void run() noexcept;
  // Destroys the callable in the job's context and ends the job, likewise.
  void end_without_result(std::uint32_t how, std::exception_ptr error,
                          std::optional<NodeRef> left = {}) noexcept;
  // Tells whether the job, which nobody has begun, must not begin any more, as end_if_over() says.
  [[nodiscard]] bool is_over() const noexcept {
    return above() != nullptr && static_cast<CancelLink*>(above())->is_over();
  }
  // Ends it for that reason, as end_without_result() does.
  void end_unbegun() noexcept;
  // Ends the job, likewise, as `other` has ended, without a result: with its error, and with what
  // it had set then, so that the code that handles the error sees that.
  void end_as(JobState& other) noexcept;
  // Calls `function(argument)` as the job's code, but in no context. The job may be gone then.
  void run_isolated(bool is_first, void (*function)(void*), void* argument);
  // Notes what the code that calls this has set, for those who merge it. May throw.
  void add_written() { merged_.add_written(context_.get()); }
  // Adds what parts of the job have set, likewise, on the right.
  void add_merged(const Merged& right) { merged_.add(right); }
  // Calls `function` and keeps what it throws. Returns how that ended, for finish().
  template <typename F>
  std::uint32_t guarded(F&& function) noexcept {
    try {
      std::forward<F>(function)();
      return 0;
    } catch (...) {
      return keep_error();
    }
  }
  // Tells whether the context is of use when the job has ended so: for the code that handles the
  // error, or because keep_context asks for it.
  [[nodiscard]] bool keeps_context(std::uint32_t how) const noexcept {
    return how == kFailed || (extras_ != nullptr && extras_->keeps_context);
  }
  // Tells, while an exception is handled, how a job ends that has thrown it, and with what. A plain
  // Cancelled becomes a JobCancelled: those who wait for the job can tell that from their own.
  struct HandledError {
    std::exception_ptr error;
    std::uint32_t kind;
  };
  static HandledError handled_error() noexcept;
  // Ends the job: takes it out of its list, stores how it has ended, tells everybody, and drops the
  // queue's reference. `left`: how it has left its context, if that is another one than before, and
  // is kept. The caller's thread holds the pool. The job may be gone when this returns.
  void finish(std::uint32_t how, std::optional<NodeRef> left) noexcept;
  // The bits of bits_. finish() sets kDone, with how the job has ended, by one fetch_or, and acts
  // on what it finds set. A thread that sets a bit for it looks for kDone in the same way. So one
  // of the two acts.
  //
  //   bit               set by                    cleared by            read by
  //   kDone             finish()                  -                     is_done(), block(), abandon(),
  //                                                                     add_continuation()
  //   kAbandoned        JobState() if posted,     -                     finish()
  //                     abandon()
  //   kSeen             mark_seen()               -                     hand_over_error()
  //   kContinued        add_continuation()        -                     finish()
  //   kAwaited          block() with a deadline,  -                     finish()
  //                     Helper
  //   kCancelRequested  cancel()                  -                     is_cancel_requested()
  //   kCancelled        finish()                  -                     has_no_result(), rethrow() ...
  //   kFailed           finish()                  -                     likewise
  //   kCounted          PoolCore::accept()        stop_counting()       PoolCore::give_room_of()
  //   kBlocked          block() without deadline  -                     finish()
  //   kRemoving         remove_continuation()     the same              fire_continuations()
  //   kInterrupted      begin_to_cancel(),        take_interrupt()      is_told_to_stop(), link(),
  //                     PoolCore::unlock()                              both functions suspend()
  //   kExpired          finish()                  -                     cancellation()
  //   kCall             accept_running()          -                     has_only_calls(), is_call()
  //   kMayWait          note_wait(),              -                     may_wait()
  //                     accept_waiting()
  //   kInScope          is_in_scope()             -                     finish(), rethrow(),
  //                                                                     hand_over_error()
  static constexpr std::uint32_t kDone = 1;              // Result or error are there.
  static constexpr std::uint32_t kAbandoned = 2;         // No handle is left.
  static constexpr std::uint32_t kSeen = 4;              // Somebody got the error.
  static constexpr std::uint32_t kContinued = 8;         // There are, or were, continuations.
  static constexpr std::uint32_t kAwaited = 16;          // Somebody is parked (parking.h).
  static constexpr std::uint32_t kCancelRequested = 32;  // Somebody wants the job to end.
  static constexpr std::uint32_t kCancelled = 64;        // It has ended so, without a result.
  static constexpr std::uint32_t kFailed = 128;          // It has ended so, with an error.
  static constexpr std::uint32_t kCounted = 256;         // It takes room in a bounded queue.
  static constexpr std::uint32_t kBlocked = 512;         // Somebody waits on bits_.
  static constexpr std::uint32_t kRemoving = 1024;       // A lock: the continuations are taken out.
  static constexpr std::uint32_t kInterrupted = 2048;    // Its code does not know yet of cancel().
  static constexpr std::uint32_t kCall = 4096;           // Its caller waits for it: sync_wait().
  static constexpr std::uint32_t kMayWait = 8192;        // It has waited for another job, or does.
  static constexpr std::uint32_t kExpired = 16384;       // Its time was over before it began.
  static constexpr std::uint32_t kInScope = 32768;       // Its error belongs to its scope.

  // Says that it has a scope_child().
  void is_in_scope() noexcept { bits_.fetch_or(kInScope, std::memory_order_relaxed); }
  // Of a job that is in no list: says that it waits for others, without being begun.
  void wait_aside() noexcept;
  // Ends it, tells everybody, and drops the queue's reference.
  void end_aside() noexcept;
  Link* make_link() final;
  bool wait_slowly(Deadline deadline, bool may_stop);

  // Says that the end of this job ends no other one, unless it has an error.
  void holds_nothing() noexcept { may_hold_ = false; }

  [[nodiscard]] std::uint32_t bits() const noexcept {
    return bits_.load(std::memory_order_acquire);  // Pairs with finish(), which sets kDone.
  }
  [[nodiscard]] Node* context_node() const noexcept { return context_.get(); }
  [[nodiscard]] bool is_counted() const noexcept {
    return (bits_.load(std::memory_order_relaxed) & kCounted) != 0;
  }
  bool stop_counting() noexcept {
    return (bits_.fetch_and(~kCounted, std::memory_order_relaxed) & kCounted) != 0;
  }

 private:
  static void delete_job(Mortal* job) noexcept { delete static_cast<JobState*>(job); }
  static inline constinit EndRule kEnd{&delete_job};

  std::uint32_t keep_error() noexcept;  // For guarded(), while it handles the exception.
  [[nodiscard]] JobCancelled cancellation() const;

  friend class PoolCore;
  friend class JobList;
  friend class Helper;
  friend class CircleSearch;
  friend class ScopeJob;

  // Calls the callable, stores the result, and destroys the callable.
  virtual void call() = 0;
  // Destroys the callable, uncalled.
  virtual void drop() noexcept = 0;
  // Does what there is to do for a thread that has begun the job, or joined in.
  virtual void perform() noexcept { run(); }
  // Of what many threads do: counts one more in, and tells whether there is work for yet another.
  virtual bool join(const LaneLock& /*lock*/) noexcept { return false; }
  // Tells whether the job can't be taken back even if it waits or is queued.
  [[nodiscard]] virtual bool has_begun(const LaneLock& /*lock*/) const noexcept { return false; }
  // Tells whether the job may go from running to waiting, or to queued.
  [[nodiscard]] virtual bool may_suspend() const noexcept { return false; }
  // Lets a suspended job resume early. Returns false if it can't.
  virtual bool interrupt(const LaneLock& /*lock*/) noexcept { return false; }
  // Likewise, with the JobError that says that its wait for `awaited` closes a circle.
  virtual bool break_circle(const LaneLock& /*lock*/, const JobState* /*awaited*/) noexcept {
    return false;
  }
  // Tells whether a waiting job could begin now; else adds what it waits for to `missing`.
  virtual bool can_begin(const LaneLock& /*lock*/, Missing& /*missing*/) noexcept { return true; }
  // Returns what ties the job to its scope, if it was started in one.
  virtual ScopeChild* scope_child() noexcept { return nullptr; }
  // Waits for the job's end, and wakes all those who do. Virtual, so that both happen in the copy
  // of the library that has made the job: libstdc++ keeps a list of waiters for each module.
  virtual bool block(Deadline deadline, CancelWatch* watch);
  virtual void unblock() noexcept;

  // Of a job that ends: gives up the context, or keeps it, or else `left`. Returns what it does not
  // keep: that is destroyed without the lock.
  NodeRef settle_context(const LaneLock& /*lock*/, std::optional<NodeRef> left,
                         bool keeps) noexcept {
    if (!keeps) [[likely]] {
      has_context_ = false;
      return std::exchange(context_, NodeRef());
    }
    return left ? std::exchange(context_, *std::move(left)) : NodeRef();
  }
  // Tells whether anybody may wait for this job, and whether it may wait for another one.
  [[nodiscard]] bool may_be_awaited() const noexcept {
    return (bits_.load(std::memory_order_seq_cst) &
            (kContinued | kAwaited | kBlocked | kInScope)) != 0;
  }
  [[nodiscard]] bool may_wait() const noexcept {
    return (bits_.load(std::memory_order_seq_cst) & kMayWait) != 0;
  }
  void check_waiter() const;
  // Takes the link away: what is created from now on gets another one.
  LinkRef take_link(const LaneLock& lock) noexcept;
  // Likewise, in a wait that is known; returns as well when `watch`, if there is one, has news.
  void help(PoolCore* here, Deadline deadline, BlockedWait& wait, CancelWatch* watch);
  void fire_continuations() noexcept;
  ScopeJob* tell_others(std::uint32_t before) noexcept;
  void hand_over_error() noexcept;
  void report_error() noexcept;
  void let_go_of_context() noexcept;

  std::atomic<std::uint32_t> bits_{0};
  NodeRef context_;
  Merged merged_;
  std::exception_ptr error_;
  // These are guarded by the lane's lock, and so is context_ while others may ask for it.
  JobState* previous_ = nullptr;
  JobState* next_ = nullptr;
  Stage stage_ = Stage::made;
  bool is_woken_ = false;  // What the job is about to wait for has come already.
  bool is_due_ = false;    // It is to be queued, or is, among those whose time has come.
  bool has_context_ = true;
  bool may_hold_ = true;  // Other jobs and contexts, in what the derived class adds.
  const bool is_bulk_;    // Many threads may perform it.
  const std::uint16_t lane_;
  std::atomic<Continuation*> continuations_{nullptr};
  std::atomic<std::uint64_t> id_{0};
  std::unique_ptr<JobExtras> extras_;
  std::source_location place_;
  // Where a search for a circle has found the job. Guarded by the lock in blocked_wait.cc.
  JobState* next_found_ = nullptr;
  JobState* found_from_ = nullptr;
};

class HeldJob {
 public:
  explicit HeldJob(JobState* job) noexcept : job_(job) { job_->add_ref(); }
  HeldJob(HeldJob&& other) noexcept : job_(std::exchange(other.job_, nullptr)) {}
  HeldJob& operator=(HeldJob&& other) noexcept {
    std::swap(job_, other.job_);
    return *this;
  }
  ~HeldJob() {
    if (job_ != nullptr) {
      // The analyzer does not know that others have references, too.
      job_->release();  // NOLINT(clang-analyzer-cplusplus.NewDelete)
    }
  }
  JobState* operator->() const noexcept { return job_; }
  [[nodiscard]] JobState* get() const noexcept { return job_; }

 private:
  JobState* job_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_JOB_STATE_H_
