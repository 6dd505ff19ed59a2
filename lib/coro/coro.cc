// SPDX-License-Identifier: Apache-2.0
//
// How a coroutine is suspended and resumed: the slow parts of Suspension and Flow, and the job that
// resumes a coroutine which has no job of its own.

#include "taskctx/coro.h"

#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/pool/blocked_wait.h"
#include "lib/pool/parking.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/coro/coroutine_job.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/pool_lanes.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Resumes a coroutine that has no job of its own.
class ResumeJob final : public JobState {
 public:
  ResumeJob(PoolCore* pool, std::coroutine_handle<> handle)
      : JobState(pool, Inherited(), /*references=*/1), handle_(handle) {}

  // For a coroutine that is being destroyed: this must not resume it.
  void give_up() noexcept {
    pool()->locked(this, [this](const LaneLock& /*lock*/) { is_given_up_ = true; });
    (void)cancel();
  }

 private:
  void call() override { handle_.resume(); }
  void drop() noexcept override {}
  // Not to be cancelled: the coroutine would never be resumed.
  [[nodiscard]] bool has_begun(const LaneLock& /*lock*/) const noexcept override {
    return !is_given_up_;
  }
  bool can_begin(const LaneLock& /*lock*/, Missing& /*missing*/) noexcept override { return false; }

  const std::coroutine_handle<> handle_;
  bool is_given_up_ = false;  // Guarded by the lane's lock.
};

}  // namespace

Origin Flow::origin_within(const Activation* outer) noexcept {
  const Origin origin(outer);
  const JobState* const job = home().job;
  return job == nullptr || origin.executor() != nullptr ? origin : Origin::job(job);
}

void throw_no_task(const char* verb, bool has_begun) {
  throw JobError(std::string("cannot ") + verb +
                 " task: " + (has_begun ? "it has been awaited already" : "there is none"));
}

const Activation* Flow::root() const noexcept {
  const bool is_in_caller = own_.origin.tagged_frame() == nullptr && !own_.origin.is_lost();
  return is_in_caller ? own_.origin.outer() : &own_;
}

bool Flow::has_switched() noexcept {
  Activation* const now = current_activation();
  const Activation* inner = now;
  const Activation* const root = this->root();
  while (inner != root && is_context(inner)) {
    inner = inner->outer;
  }
  if (inner != root && (root == &own_ || !is_within(root, now))) {
    return false;
  }
  activation_ = now;
  return true;
}

void Flow::leave_crossed() noexcept {
  if (activation_->node != nullptr) {
    node_ = activation_->node;  // With what the flow has written.
  }
  internal::leave_crossed(own_, "coroutine");
}

// A destructor of a value that a job left behind may run here after the job's pool has ended.
PoolCore* pool_here() {
  auto* const here = static_cast<PoolCore*>(current_activation()->origin.executor());
  return here != nullptr && !here->is_over() ? here : JobPoolAccess::core(default_pool());
}

bool Suspension::suspend(Flow* flow, std::coroutine_handle<> handle, PoolCore* pool,
                         PoolCore* elsewhere) {
  const auto [job, home] = flow != nullptr ? flow->home() : Home();
  const Activation* const here = flow != nullptr ? flow->activation() : current_activation();
  const Origin whose = here->origin.whose();
  if (may_stop_ && is_to_stop(job, whose, cancel_count() != 0 && is_stopping(whose))) [[unlikely]] {
    return false;
  }
  try {
    if (job == nullptr || (pool != nullptr && pool != job->pool())) {
      PoolCore* const by = elsewhere != nullptr ? elsewhere : pool_here();
      auto* const task = new ResumeJob(by, handle);
      by->accept_waiting(task);
      to_wake_ = task;
      if (!listen_to(whose, job)) [[unlikely]] {
        give_up();
        return !is_to_stop(job, whose, /*is_stopping=*/true);
      }
      start();
      return true;
    }
    JobState* const target = awaited();
    if (target == job) [[unlikely]] {
      throw_circle(*job, *job);
    }
    if (target != nullptr) {
      job->note_wait();
    }
    to_wake_ = job;
    home->set_next(*flow, handle, this);
    if (!listen_to(whose, job)) [[unlikely]] {
      stop_listening();
      return !is_to_stop(job, whose, /*is_stopping=*/true);
    }
    start();
    const bool may_close_circle = job->pool()->suspend(job, target);
    if (target != nullptr) {
      unpark_helpers();  // A thread that waits for this job can run the awaited one.
    }
    if (may_close_circle) [[unlikely]] {
      internal::break_circle(job, target);
    }
  } catch (...) {
    stop_listening();
    if (to_wake_ != job) {
      give_up();
    }
    to_wake_ = nullptr;
    throw;
  }
  return true;
}

bool Suspension::take_interrupt(JobState* job, Origin whose) {
  if (!job->is_interrupted() || is_shielded(*job, whose)) [[likely]] {
    return false;
  }
  job->pool()->check_not_forked("suspend job", job->name());
  LinkRef old;
  return job->pool()->locked(job,
                             [&](const LaneLock& lock) { return job->take_interrupt(lock, old); });
}

namespace {

// Tells the code of a coroutine that its job was cancelled. It may go on.
[[noreturn]] void throw_told(JobState& job) {
  renew_scopes(job);
  throw JobCancelled("cannot wait in job" + job.quoted_name() + ": it was cancelled");
}

}  // namespace

void Suspension::check_interrupt(Flow* flow) {
  JobState* const job = flow != nullptr ? flow->home().job : nullptr;
  if (job != nullptr && take_interrupt(job, current_activation()->origin.whose())) [[unlikely]] {
    throw_told(*job);
  }
}

// `is_stopping` was asked first: whoever cancels the job says so to the job before its link. So a
// coroutine is told of that as its job's cancellation, once, and not as that of a scope.
bool Suspension::is_to_stop(JobState* job, Origin whose, bool is_stopping) {
  if (job != nullptr && take_interrupt(job, whose)) [[unlikely]] {
    to_wake_ = job;
    early_ = Early::cancelled;
    return true;
  }
  if (is_stopping) [[unlikely]] {
    early_ = Early::stopped;
  }
  return is_stopping;
}

bool Suspension::listen_to(Origin whose, const Workplace* own) {
  if (!may_stop_) {
    return true;
  }
  const Workplace* const worker = whose.tagged_job();
  // Job::cancel() of its own job resumes the coroutine by itself. sync_wait() works for another's.
  LinkRef link = worker != nullptr && worker == own ? LinkRef::share(own->above()) : link_of(whose);
  if (link.is_nothing()) {
    return true;
  }
  link_ = std::move(link);
  // Relaxed, here and in fire(): only this thread finds itself there.
  listening_.store(this_thread(), std::memory_order_relaxed);
  cancel_link(link_).listen(*this);
  return listening_.exchange(nullptr, std::memory_order_relaxed) != nullptr;
}

// The first of the two, because fire() may be waiting for the coroutine to be suspended.
void Suspension::stop_listening_slowly() noexcept {
  is_over_.store(true, std::memory_order_release);  // Pairs with fire().
  cancel_link(link_).ignore(*this);
  link_ = LinkRef();
}

// Resumes the coroutine, unless its wake-up was faster. In between it may be about to be suspended,
// or its wake-up to be registered, or on the way: for a few instructions of another thread.
void Suspension::fire() noexcept {
  if (listening_.load(std::memory_order_relaxed) == this_thread()) {  // Nothing is suspended yet.
    listening_.store(nullptr, std::memory_order_relaxed);
    return;
  }
  const auto stop = [this](const LaneLock& lock) { return end_early(lock, Early::stopped); };
  while (!is_over_.load(std::memory_order_acquire) &&
         !to_wake_->pool()->wake_early(to_wake_, stop)) {
    if (to_wake_->pool()->is_forked()) {
      return;  // Those few instructions are of a thread that is not in this process.
    }
    std::this_thread::yield();
  }
}

void Suspension::throw_early() {
  JobState* const job = std::exchange(to_wake_, nullptr);
  if (early_ == Early::stopped) {
    throw_cancelled("wait");
  }
  if (early_ == Early::circle) {
    throw_circle(*job, *awaited());
  }
  throw_told(*job);
}

// It must be a ResumeJob: a coroutine that is a job is destroyed by its job, never suspended.
void Suspension::give_up_slowly() noexcept {
  // With the lock, as in cancel(): fork() relies on it.
  to_wake_->pool()->locked(to_wake_, [this](const LaneLock& lock) { (void)withdraw(lock); });
  static_cast<ResumeJob*>(std::exchange(to_wake_, nullptr))->give_up();
}

void Sleep::start() {
  Timer::get().start();
  is_late_ = due().has_passed();
  Timer::get().add(*this);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
