// SPDX-License-Identifier: Apache-2.0
//
// Suspension: suspends a coroutine until a time has come, a job has ended, or its turn comes.
//
// A spawned coroutine is a job: it registers its wake-up, and is suspended after that. A wake-up
// that fires in between finds the job running, and leaves a mark that PoolCore::suspend() finds. A
// coroutine of another kind gets a job that resumes it: that job enters its pool as a waiting one,
// and then its wake-up is registered.
//
// A suspended coroutine cannot be resumed while its job's lane is locked. cancel() relies on this:
// under the lock it withdraws the wake-up, and queues the job itself.

#ifndef TASKCTX_INTERNAL_CORO_SUSPENSION_H_
#define TASKCTX_INTERNAL_CORO_SUSPENSION_H_

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename Promise>
Flow* flow_of(std::coroutine_handle<Promise> handle) noexcept {
  if constexpr (std::is_base_of_v<FlowPromise, Promise>) {
    return handle.promise().flow();
  } else {
    return nullptr;
  }
}

// Returns the pool that runs this code, or else default_pool()'s.
PoolCore* pool_here();

// Tells whether a coroutine that is a job is inside a Shield of its own: Job::cancel() waits then.
inline bool is_shielded(const JobState& job, Origin whose) noexcept {
  const CancelLink* const link = static_cast<CancelLink*>(whose.link());
  return (link != nullptr ? link->is_shielded() : whose.is_nowhere()) && !job.is_call();
}

class Suspension : private CancelListener {
 public:
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;

  // Resumes the coroutine early, with an error. Returns false if its wake-up is on the way already,
  // or if cancellation does not end this wait. Needs the lock of the job's lane.
  // For a coroutine that is not shielded.
  bool interrupt(const LaneLock& lock) noexcept {
    return may_stop_ && end_early(lock, Early::cancelled);
  }
  // Likewise if it waits for `job`, because that closes a circle.
  bool break_circle(const LaneLock& lock, const JobState* job) noexcept {
    return awaited() == job && end_early(lock, Early::circle);
  }
  // Returns the job that the coroutine waits for, if any.
  [[nodiscard]] virtual JobState* awaited() const noexcept { return nullptr; }

 protected:
  // `may_stop`: cancellation may end the wait early.
  explicit Suspension(bool may_stop = true) noexcept
      : CancelListener(Kind::job), may_stop_(may_stop) {}
  ~Suspension() override = default;

  // Suspends the coroutine. A spawned one waits as its job, unless `pool` is another pool; all
  // others by a job of `elsewhere` (nullptr: of pool_here()). Returns false if it must continue at
  // once. Throws what start() throws, and JobError after that pool's shutdown.
  bool suspend(Flow* flow, std::coroutine_handle<> handle, PoolCore* pool, PoolCore* elsewhere);
  // Throws JobCancelled if the coroutine's job was told to end, and does not know yet. For a wait
  // that did not end early.
  static void check_interrupt(Flow* flow);
  // For await_resume(): throws JobCancelled after interrupt(), JobError after break_circle(), and
  // Cancelled if the coroutine's scope has ended the wait.
  void go_on() {
    stop_listening();
    if (early_ != Early::no) [[unlikely]] {
      throw_early();
    }
    to_wake_ = nullptr;
  }
  // For destructors: forgets a coroutine that is being destroyed while it is suspended.
  void give_up() noexcept {
    stop_listening();
    if (to_wake_ != nullptr) [[unlikely]] {
      give_up_slowly();
    }
  }
  // Lets the coroutine continue. It, and this object, may be gone when wake() returns.
  void wake(bool is_due = false) noexcept { to_wake_->pool()->make_ready(to_wake_, is_due); }

 private:
  // Arranges that wake() is called, once, unless withdraw() returns true.
  virtual void start() = 0;
  virtual bool withdraw(const LaneLock& /*lock*/) noexcept { return false; }

  // Tells whether the coroutine is to stop, instead of being suspended, and notes why.
  bool is_to_stop(JobState* job, Origin whose, bool is_stopping);
  // Lets the coroutine's scope, or what is above its own job, end the wait. Returns false if that
  // is cancelled already. Throws std::bad_alloc.
  bool listen_to(Origin whose, const Workplace* own);
  void stop_listening() noexcept {
    if (link_.get() != nullptr) [[unlikely]] {
      stop_listening_slowly();
    }
  }
  void stop_listening_slowly() noexcept;
  void fire() noexcept override;

  static bool take_interrupt(JobState* job, Origin whose);
  // Why a wait ends early: by Job::cancel(), by the link that it listens to, or in a circle.
  enum class Early : std::uint8_t { no, cancelled, stopped, circle };
  bool end_early(const LaneLock& lock, Early why) noexcept {
    if (!withdraw(lock)) {
      return false;
    }
    early_ = why;
    return true;
  }
  [[noreturn]] void throw_early();
  void give_up_slowly() noexcept;

  // These fill a gap behind CancelListener.
  const bool may_stop_;
  Early early_ = Early::no;
  std::atomic<bool> is_over_{false};
  JobState* to_wake_ = nullptr;                  // While the coroutine is suspended.
  LinkRef link_;                                 // While it listens to that.
  std::atomic<const void*> listening_{nullptr};  // The thread that is in listen_to().
};

// The awaitable of sleep_for() and sleep_until().
class Sleep final : private TimerEntry, private Suspension {
 public:
  explicit Sleep(Deadline due) noexcept : TimerEntry(due, &fire_it) {}
  ~Sleep() override { give_up(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return suspend(flow_of(handle), handle, nullptr, nullptr);
  }
  void await_resume() { go_on(); }

 private:
  static void fire_it(TimerEntry& self) noexcept {
    auto& sleep = static_cast<Sleep&>(self);
    sleep.wake(/*is_due=*/!sleep.is_late_);
  }
  void start() override;
  bool withdraw(const LaneLock& /*lock*/) noexcept override { return Timer::get().remove(*this); }

  bool is_late_ = false;  // The time had passed: this is a yield().
};

// The awaitable of JobPool::schedule() and yield().
class Schedule final : private Suspension {
 public:
  // nullptr: the coroutine stays on its pool.
  explicit Schedule(PoolCore* pool) noexcept : pool_(pool) {}
  ~Schedule() override { give_up(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return suspend(flow_of(handle), handle, pool_, pool_);
  }
  void await_resume() { go_on(); }

 private:
  void start() override { wake(); }

  PoolCore* const pool_;
};

// Waits for a job. `Handle` may be a reference.
template <typename Handle>
class JobAwaiter final : private Continuation, private Suspension {
 public:
  explicit JobAwaiter(Handle&& job) noexcept
      : Continuation{&fire_it}, job_(std::forward<Handle>(job)) {}
  ~JobAwaiter() override { give_up(); }

  [[nodiscard]] bool await_ready() {
    awaited_ = &JobAccess::state(job_, "wait for");
    return awaited_->is_done() && (cancel_count() == 0 || !is_stopping());
  }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return suspend(flow_of(handle), handle, nullptr, awaited_->pool());
  }
  decltype(auto) await_resume() {
    go_on();
    return JobAccess::take(job_);
  }

 private:
  static void fire_it(Continuation* self) noexcept { static_cast<JobAwaiter*>(self)->wake(); }
  void start() override {
    const HeldJob held(awaited_);  // The coroutine may drop it before this returns.
    held->add_continuation(this);
  }
  bool withdraw(const LaneLock& /*lock*/) noexcept override {
    return awaited_->remove_continuation(this);
  }
  [[nodiscard]] JobState* awaited() const noexcept override { return awaited_; }

  Handle job_;
  JobState* awaited_ = nullptr;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_SUSPENSION_H_
