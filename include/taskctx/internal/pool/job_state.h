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
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
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
#include "taskctx/internal/pool/job_parts.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class BlockedWait;
class LaneLock;  // See job_list.h: what takes one needs the lock of the job's lane.
class Ledger;    // See ledger.h.
class PoolCore;
class CancelWatch;  // See cancel_watch.h.
class ScopeJob;     // See scope_job.h.
class HeldJob;      // Keeps a job's memory, not its result: not a handle.
struct ScopeChild;

// Throws the JobError that says what can't be done without a job.
[[noreturn]] void throw_no_job(const char* verb);

class JobState : public Workplace, private JobMarks, private JobLinks {
 public:
  // Begins with `references`.
  JobState(PoolCore* pool, Inherited inherited, std::uint32_t references,
           bool can_be_shared = false) noexcept;
  // A job that submits another one gives it the memory of the last one that has ended there.
  static void* operator new(std::size_t size);  // NOLINT(misc-new-delete-overloads): it has a size
  static void operator delete(void* memory, std::size_t size) noexcept;
  static void* operator new(std::size_t size, std::align_val_t alignment) {
    return ::operator new(size, alignment);
  }
  static void operator delete(void* memory, std::align_val_t alignment) noexcept {
    ::operator delete(memory, alignment);
  }
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
    const JobExtras* const rare = extras();
    return rare != nullptr && rare->name != nullptr ? std::string_view(*rare->name)
                                                    : std::string_view();
  }
  // Returns the words " 'name'", or nothing if there is no name.
  [[nodiscard]] std::string quoted_name() const;
  [[nodiscard]] const JobExtras* extras() const noexcept {
    return to_extras(extras_or_id_.load(std::memory_order_relaxed));
  }
  // Before anybody else knows the job.
  void describe(std::unique_ptr<JobExtras> extras) noexcept {
    extras_or_id_.store(reinterpret_cast<std::uintptr_t>(extras.release()),
                        std::memory_order_relaxed);
  }
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
    return is_done() || run_for_waiter() || wait_slowly(deadline, /*may_stop=*/true);
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
    // It is set with the lock.
    bits_.fetch_and(~std::uint64_t{kInterrupted}, std::memory_order_relaxed);
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

  // Says that no handle is left, and drops its reference. An error that nobody has seen goes to the
  // handler.
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

  void add_ref() noexcept { bits_.fetch_add(kReference, std::memory_order_relaxed); }
  void release() noexcept {
    // Pairs with itself: the last one to release sees all that others did with the job. Where no
    // other is left, nobody can make one: so a look is enough.
    if (bits_.load(std::memory_order_acquire) < 2 * kReference ||
        bits_.fetch_sub(kReference, std::memory_order_acq_rel) < 2 * kReference) {
      destroy();
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
  void run(Ledger* caller = nullptr) noexcept;
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
    return how == kFailed || (extras() != nullptr && extras()->keeps_context);
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
  // `ledger`: what counts it as over, or nullptr: its lane does.
  void finish(std::uint32_t how, std::optional<NodeRef> left, Ledger* ledger = nullptr) noexcept;
  // The bits of bits_, and one reference, of those that are counted above them. finish() sets
  // kDone, with how the job has ended, by one operation, and acts on what it finds set. A thread
  // that sets a bit for it looks for kDone in the same way. So one of the two acts.
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
  static constexpr std::uint64_t kReference = std::uint64_t{1} << 32U;
  // What finish() has to act on.
  static constexpr std::uint32_t kToAct = kAbandoned | kContinued | kAwaited | kBlocked | kInScope;

  // Says that it has a scope_child().
  void is_in_scope() noexcept { bits_.fetch_or(kInScope, std::memory_order_relaxed); }
  // Of a job that is in no list: says that it waits for others, without being begun.
  void wait_aside() noexcept;
  // Ends it, tells everybody, and drops the queue's reference.
  void end_aside() noexcept;
  Link* make_link() final;
  bool wait_slowly(Deadline deadline, bool may_stop);
  // Runs the job here, if this thread is at work in its pool and nobody has begun it. Returns
  // whether it is done.
  bool run_for_waiter();

  // Says that the end of this job ends no other one, unless it has an error.
  void holds_nothing() noexcept { may_hold = false; }

  [[nodiscard]] std::uint32_t bits() const noexcept {
    // Pairs with finish(), which sets kDone.
    return static_cast<std::uint32_t>(bits_.load(std::memory_order_acquire));
  }
  [[nodiscard]] Node* context_node() const noexcept { return context_.get(); }
  [[nodiscard]] bool is_counted() const noexcept {
    return (bits_.load(std::memory_order_relaxed) & kCounted) != 0;
  }
  bool stop_counting() noexcept {
    return (bits_.fetch_and(~std::uint64_t{kCounted}, std::memory_order_relaxed) & kCounted) != 0;
  }

 private:
  void destroy() noexcept {
    if (may_hold || outcome_.error != nullptr) {
      end(::new (&at_end) Mortal(&kEnd));
    } else {
      delete this;
    }
  }
  static void delete_job(Mortal* job) noexcept {
    // It is the first part of the links.
    delete static_cast<JobState*>(reinterpret_cast<JobLinks*>(job));
  }
  static inline constinit EndRule kEnd{&delete_job};

  // A number that was drawn has this bit, and 0 stands for nothing: pointers are even.
  static constexpr std::uintptr_t kIsId = 1;
  [[nodiscard]] static JobExtras* to_extras(std::uintptr_t word) noexcept {
    return (word & kIsId) == 0 ? reinterpret_cast<JobExtras*>(word) : nullptr;
  }

  std::uint32_t keep_error() noexcept;  // For guarded(), while it handles the exception.
  [[nodiscard]] JobCancelled cancellation() const;

  friend class PoolCore;
  friend class JobList;
  friend class Helper;
  friend class Ledger;
  friend class CircleSearch;
  friend class ScopeJob;

  // Calls the callable, stores the result, and destroys the callable.
  virtual void call() = 0;
  // Destroys the callable, uncalled.
  virtual void drop() noexcept = 0;
  // Does what there is to do for a thread that has begun the job, or joined in. `ledger`: that of
  // the job whose code waits for this one meanwhile, or nullptr.
  virtual void perform(Ledger* ledger) noexcept { run(ledger); }
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
      has_context = false;
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
  void tell_of_error() noexcept;
  void let_go_of_context() noexcept;

  std::atomic<std::uint64_t> bits_;
  NodeRef context_;  // Guarded by the lane's lock while others may ask for it.
  Merged merged_;
  // A ledger while has_ledger says so.
  union Outcome {
    Outcome() noexcept : error() {}
    Outcome(const Outcome&) = delete;
    Outcome& operator=(const Outcome&) = delete;
    ~Outcome() {}  // NOLINT(modernize-use-equals-default): the job destroys the error

    std::exception_ptr error;
    Ledger* ledger;
  } outcome_;
  std::atomic<Continuation*> continuations_{nullptr};
  // An owned JobExtras, or the job's number if it has none.
  std::atomic<std::uintptr_t> extras_or_id_{0};
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
