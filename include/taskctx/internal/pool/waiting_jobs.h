// SPDX-License-Identifier: Apache-2.0
//
// Jobs that wait before they are queued: for one other job (then), for several (when_all,
// when_any), or for their time (submit_after).

#ifndef TASKCTX_INTERNAL_POOL_WAITING_JOBS_H_
#define TASKCTX_INTERNAL_POOL_WAITING_JOBS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/function_job.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes `job` ready when it fires, and drops the reference to it that it stands for.
struct Wakes : Continuation {
  explicit Wakes(JobState* to_wake) noexcept : Continuation{&fire_it}, job(to_wake) {}

  static void fire_it(Continuation* self) noexcept {
    JobState* const job = static_cast<Wakes*>(self)->job;
    job->pool()->make_ready(job);
    job->release();
  }

  JobState* const job;
};

template <typename State>
JobState* state_of(const JobRef<State>& parent) noexcept {
  return parent.get();
}
template <typename State>
JobState* state_of(const std::shared_ptr<JobRef<State>>& parent) noexcept {
  return parent->get();
}

// Calls `function` with the end of another job, when there is one. `Call` knows how. If that takes
// a result and there is none, this job ends as the other did: no exception is thrown for that, so
// an error passes along a chain without being thrown at each link.
template <typename R, typename Parent, typename F, typename Call>
class ThenJob final : public JobResult<R> {
 public:
  template <typename G>
  ThenJob(PoolCore* pool, Inherited inherited, G&& function)
      : JobResult<R>(pool, std::move(inherited), /*references=*/3),  // Handle, list, continuation.
        function_(std::in_place, std::forward<G>(function)) {}

  // Takes the parent, and gives the job to its pool. Throws JobError if that was shut down; the
  // caller still has the parent then.
  void start(Parent& parent) {
    const HeldJob held(state_of(parent));  // Once we wait, shutdown() may cancel us.
    parent_.emplace(std::move(parent));
    try {
      this->pool()->accept_waiting(this);
    } catch (...) {
      parent = std::move(*parent_);
      parent_.reset();
      this->release();  // The continuation's.
      throw;
    }
    held->add_continuation(&wakes_);
  }

  void perform(Ledger* ledger) noexcept override {
    if constexpr (Call::template kNeedsResult<F>) {
      if (JobState& parent = *state_of(*parent_); parent.has_no_result() && !this->is_over())
          [[unlikely]] {
        this->end_as(parent);
        return;
      }
    }
    this->run(ledger);
  }

 private:
  void call() override {
    Parent parent = std::move(*parent_);
    const Destroyer<F> destroyer{function_, *this};
    this->store([&]() -> R { return Call()(std::move(*function_), std::move(parent)); });
  }
  void drop() noexcept override {
    function_.reset();
    parent_.reset();
  }
  bool can_begin(const LaneLock& lock, Missing& missing) noexcept override {
    JobState* const parent = state_of(*parent_);
    if (parent->is_done()) {
      return true;
    }
    missing.add(lock, parent, /*is_choice=*/false);
    return false;
  }

  std::optional<Parent> parent_;  // Changed only while the job is not in the list of the waiting.
  std::optional<F> function_;
  Wakes wakes_{this};
};

// When a GatherJob goes on, and whether it cancels what it waits for.
enum class Gather : std::uint8_t {
  all,            // When all have ended.
  first,          // When the first one has.
  fail_fast,      // As `all`; the first one in time that has no result cancels the others.
  cancel_losers,  // As `all`; the first one that ends cancels the others.
};

// Calls `function` when all of several jobs have ended, or when the first has. `Children` is called
// with a function for each child's state. Where all results are needed and one is missing, this job
// ends as that one did.
template <typename R, typename Children, typename F>
class GatherJob final : public JobResult<R> {
 public:
  GatherJob(PoolCore* pool, Inherited inherited, std::size_t count, Gather how, F function)
      : JobResult<R>(pool, std::move(inherited), static_cast<std::uint32_t>(2 + count)),
        function_(std::in_place, std::move(function)),
        missing_(how == Gather::first ? 1 : count),
        how_(how) {
    wakes_.reserve(count);
    held_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      wakes_.emplace_back(this);
    }
  }

  // Takes the children, and gives the job to its pool. Throws JobError if that was shut down; the
  // caller still has the children then.
  void start(Children& children) {
    // Once we wait, shutdown() may cancel us, and each continuation that fires may be the last: so
    // the children are held meanwhile, or, to be cancelled, as long as this job is there.
    children.visit([&](JobState* child) { held_.emplace_back(child); });
    std::vector<HeldJob> meanwhile;
    HeldJob* held = held_.data();
    if (!cancels()) {
      meanwhile.swap(held_);
    }
    const std::size_t count = wakes_.size();
    children_.emplace(std::move(children));
    try {
      this->pool()->accept_waiting(this);
    } catch (...) {
      children = std::move(*children_);
      children_.reset();
      for (std::size_t i = 0; i < wakes_.size(); ++i) {
        this->release();
      }
      throw;
    }
    if (count == 0) {
      this->pool()->make_ready(this);
      return;
    }
    Counted* wakes = wakes_.data();
    for (std::size_t i = 0; i < count; ++i) {  // After the last one this job may be gone.
      held[i]->add_continuation(&wakes[i]);
    }
  }

  void perform(Ledger* ledger) noexcept override {
    if (JobState* const failed = first_without_result(); failed != nullptr && !this->is_over())
        [[unlikely]] {
      for_each([](JobState* child) { child->mark_seen(); });
      this->end_as(*failed);
    } else {
      this->run(ledger);
    }
  }

 private:
  struct Counted : Continuation {
    explicit Counted(GatherJob* task) noexcept : Continuation{&fire_it}, owner(task) {}

    static void fire_it(Continuation* self) noexcept {
      auto* const wake = static_cast<Counted*>(self);
      GatherJob* const task = wake->owner;
      if (task->cancels()) [[unlikely]] {
        task->cancel_others(static_cast<std::size_t>(wake - task->wakes_.data()));
      }
      // Pairs with itself: the last one sees how all the others' jobs have ended.
      if (task->missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        task->pool()->make_ready(task);
      }
      task->release();
    }

    GatherJob* owner;
  };

  template <typename Visit>
  void for_each(Visit visit) {
    children_->visit(visit);
  }

  [[nodiscard]] bool cancels() const noexcept {
    return how_ == Gather::fail_fast || how_ == Gather::cancel_losers;
  }

  // For the child of that index, which has ended: if it is the first, cancels the others. Those
  // that end by that do so before this returns.
  void cancel_others(std::size_t index) noexcept {
    JobState* const ended = held_[index].get();
    if (this->is_done() || (how_ == Gather::fail_fast && !ended->has_no_result())) {
      return;
    }
    JobState* none = nullptr;
    // Relaxed: `missing_` orders it for perform().
    if (first_.compare_exchange_strong(none, ended, std::memory_order_relaxed)) {
      for (const HeldJob& other : held_) {
        if (other.get() != ended && !other->is_done()) {
          (void)other->cancel();
        }
      }
    }
  }

  // Returns the child whose error this job ends with, or nullptr.
  JobState* first_without_result() {
    if (how_ == Gather::fail_fast) {
      return first_.load(std::memory_order_relaxed);
    }
    JobState* first = nullptr;
    if (how_ != Gather::all) {
      return first;
    }
    for_each([&](JobState* child) {
      if (first == nullptr && child->has_no_result()) {
        first = child;
      }
    });
    return first;
  }

  void call() override {
    Children children = std::move(*children_);
    const Destroyer<F> destroyer{function_, *this};
    this->store([&]() -> R {
      if constexpr (std::is_invocable_v<F&, Children, JobState*>) {
        return (*function_)(std::move(children), first_.load(std::memory_order_relaxed));
      } else {
        return (*function_)(std::move(children));
      }
    });
  }
  void drop() noexcept override {
    function_.reset();
    children_.reset();
  }
  bool can_begin(const LaneLock& lock, Missing& missing) noexcept override {
    bool has_done = false;
    bool has_missing = false;
    for_each([&](JobState* child) {
      if (child->is_done()) {
        has_done = true;
      } else {
        has_missing = true;
        missing.add(lock, child, /*is_choice=*/how_ == Gather::first);
      }
    });
    return how_ == Gather::first ? has_done : !has_missing;
  }

  std::optional<Children>
      children_;  // Changed only while the job is not in the list of the waiting.
  std::optional<F> function_;
  std::vector<Counted> wakes_;
  std::vector<HeldJob> held_;              // Room for start(), or the children to cancel.
  std::atomic<JobState*> first_{nullptr};  // The child that has cancelled the others.
  std::atomic<std::size_t> missing_;
  const Gather how_;
};

// A job that is queued when its time has come. The timer has no reference to it: the job may end
// before the timer is done with it, and what ends with a job must not be destroyed on the timer's
// thread.
template <typename R, typename F>
class DelayedJob final : public JobResult<R>, private TimerEntry, private CancelListener {
 public:
  template <typename... Args>
  DelayedJob(PoolCore* pool, Inherited inherited, Deadline due, Args&&... call)
      : JobResult<R>(pool, std::move(inherited), /*references=*/2),  // Handle, list.
        TimerEntry(due, &fire_it),
        CancelListener(Kind::job),
        function_(std::in_place, with_arguments(std::forward<Args>(call)...)) {}

  void start() {
    try {
      Timer::get().start();
    } catch (...) {
      this->release();  // The list's.
      throw;
    }
    const HeldJob held(this);
    this->pool()->accept_waiting(this);
    Timer::get().add(*this);
    if (Link* const link = this->above(); link != nullptr) {
      static_cast<CancelLink*>(link)->listen(*this);
    }
  }

 private:
  // A thread of the pool ends it: this may be the timer's, which runs no code of the user's.
  void fire() noexcept override { this->pool()->make_ready(this); }
  // Returns when neither the timer nor the link above knows the job any more.
  void settle() noexcept {
    Timer::get().settle(*this);
    if (Link* const link = this->above(); link != nullptr) {
      static_cast<CancelLink*>(link)->ignore(*this);
    }
  }
  static void fire_it(TimerEntry& self) noexcept {
    auto& task = static_cast<DelayedJob&>(self);
    task.pool()->make_ready(&task, /*is_due=*/true);
  }

  void call() override {
    settle();
    const Destroyer<F> destroyer{function_, *this};
    this->store(std::move(*function_));
  }
  void drop() noexcept override {
    settle();
    function_.reset();
  }
  bool can_begin(const LaneLock& /*lock*/, Missing& /*missing*/) noexcept override {
    return due().has_passed();
  }

  std::optional<F> function_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_WAITING_JOBS_H_
