// SPDX-License-Identifier: Apache-2.0
//
// How a task scope counts its children, waits for them, and tells what has become of them.

#include "taskctx/internal/pool/scope_job.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/pool/parking.h"
#include "taskctx/cancelled.h"
#include "taskctx/context.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"
#include "taskctx/task_scope_error.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The longest time that the end of a scope waits where nothing moves, and nothing may ever move: in
// a circle, and in exit().
constexpr absl::Duration kPatience = absl::Seconds(5);

}  // namespace

ScopeJob::ScopeJob(PoolCore* pool, LinkRef link, ScopeRules rules, std::string name)
    : JobState(pool, Inherited(), /*references=*/2),
      CancelListener(Kind::callback),  // It may destroy what the user has submitted.
      scope_link_(std::move(link)),
      rules_(rules) {
  if (!name.empty()) {
    auto extras = std::make_unique<JobExtras>();
    extras->name = std::make_shared<const std::string>(std::move(name));
    describe(std::move(extras));
  }
  wait_aside();
}

void ScopeJob::insert(const Lock& /*lock*/, ScopeChild*& first, ScopeChild& child) noexcept {
  child.next = first;
  child.at = &first;
  if (first != nullptr) {
    first->at = &child.next;
  }
  first = &child;
}

void ScopeJob::erase(const Lock& /*lock*/, ScopeChild& child) noexcept {
  *child.at = child.next;
  if (child.next != nullptr) {
    child.next->at = child.at;
  }
}

void ScopeJob::begin_to_start(std::string_view name) {
  pool()->check_not_forked("submit job", name);
  std::size_t count = count_.load(std::memory_order_relaxed);
  // Relaxed: who counts is not waited for by anybody before.
  while (count != 0 && !count_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
  }
  if (count == 0) {
    throw JobError("cannot submit job" + (name.empty() ? "" : " '" + std::string(name) + "'") +
                   ": its task scope" + quoted_name() + " has ended");
  }
}

void ScopeJob::start(JobState* job, PoolCore::Admission& admission) {
  ScopeChild& child = *job->scope_child();
  count_.fetch_add(1, std::memory_order_relaxed);  // Likewise: the caller is counted, too.
  {
    const Lock lock(mutex_);
    insert(lock, children_, child);
    ++started_;
  }
  try {
    admission.accept(job);
  } catch (...) {
    {
      const Lock lock(mutex_);
      erase(lock, child);
      --started_;
    }
    count_down();
    throw;
  }
  if (scope_link().is_cancelled()) [[unlikely]] {
    job->end_if_over();
  }
  unpark_helpers();  // A thread that joins can run it.
}

void ScopeJob::note_end(ScopeChild& child) noexcept {
  JobState& job = *child.job;
  if (pool()->is_forked()) {
    return;  // Another thread may have had our lock.
  }
  const bool has_failed = job.has_failed();
  const bool has_result = !job.has_no_result();
  {
    const Lock lock(mutex_);
    erase(lock, child);
    if (has_failed) {
      job.add_ref();
      child.next = nullptr;
      *last_failed_ = &child;
      last_failed_ = &child.next;
    } else {
      ++(has_result ? succeeded_ : cancelled_);
    }
  }
  if (!scope_link().is_cancelled()) {
    if (rules_.at_first_failure && has_failed) {
      std::string reason;
      try {
        reason = "job" + job.quoted_name() + " of its task scope failed";
      } catch (const std::bad_alloc&) {  // Nobody will know why.
      }
      (void)cancel_because(scope_link(), reason);
    } else if (rules_.at_first_success && has_result) {
      (void)cancel_because(scope_link(), "another job of its task scope succeeded");
    }
  }
}

void ScopeJob::count_down() noexcept {
  if (pool()->is_forked()) {
    return;  // Nothing of it ends here.
  }
  // Pairs with itself: the last one sees all that the others did.
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  bool is_left = false;
  {
    const Lock lock(mutex_);
    is_left = is_left_;
    has_ended_ = true;
  }
  if (is_left) {
    hand_over_failures();
  }
  end_aside();
}

// With the lane's lock of this job.
bool ScopeJob::can_begin(const LaneLock& lock, Missing& missing) noexcept {
  const Lock mine(mutex_);
  for (const ScopeChild* first : {told_, children_}) {
    for (const ScopeChild* child = first; child != nullptr; child = child->next) {
      missing.add(lock, child->job, /*is_choice=*/false);
    }
  }
  return false;  // If nothing is missing, its end is on the way.
}

// Ends the children that have not begun: otherwise they would wait for a thread.
void ScopeJob::fire() noexcept {
  const HeldJob held(this);
  while (true) {
    std::optional<HeldJob> job;
    {
      const Lock lock(mutex_);
      if (children_ == nullptr) {
        return;
      }
      ScopeChild& child = *children_;
      erase(lock, child);
      insert(lock, told_, child);
      job.emplace(child.job);
    }
    (*job)->end_if_over();
  }
}

bool ScopeJob::is_child_here() const noexcept {
  const auto* const job = static_cast<const JobState*>(current_activation()->origin.job());
  const ScopeChild* const child =
      job != nullptr ? const_cast<JobState*>(job)->scope_child() : nullptr;
  return child != nullptr && child->scope == this;
}

void ScopeJob::close() noexcept {
  if (!std::exchange(is_closed_, true)) {
    count_down();
  }
}

void ScopeJob::listen() {
  if (!is_done() && !std::exchange(is_listening_, true)) {
    scope_link().listen(*this);
  }
}

void ScopeJob::begin_to_join() {
  const std::string_view reason = is_joined_        ? ": it has been joined already"
                                  : is_child_here() ? ": one of its own jobs would wait for itself"
                                                    : "";
  pool()->check_not_forked("join task scope", name());
  if (!reason.empty()) {
    throw JobError("cannot join task scope" + quoted_name() + std::string(reason));
  }
  close();
  listen();
}

void ScopeJob::join_all() {
  begin_to_join();
  (void)wait_for_children(Deadline());
  throw_failures();
  throw_if_cancelled();
}

// In a circle of waits all are cancelled, in the hope that it opens.
bool ScopeJob::wait_for_children(Deadline deadline) {
  std::exception_ptr error;
  Deadline patience;
  while (!is_done()) {
    try {
      if (!wait_slowly(deadline, /*may_stop=*/false)) {
        return false;
      }
    } catch (const JobError&) {
      if (pool()->is_forked() || patience.has_passed()) {
        throw;
      }
      if (error == nullptr) {
        error = std::current_exception();
        patience = Deadline::after(kPatience);
        (void)cancel_because(scope_link(), "it would wait for itself");
      }
      std::this_thread::yield();
    }
  }
  if (error != nullptr) {
    std::rethrow_exception(error);
  }
  return true;
}

void ScopeJob::throw_failures() {
  const bool may_be_fine = !rules_.at_first_success || scope_link().is_over();
  if (has_succeeded() || (failed_ == nullptr && may_be_fine)) {
    return;
  }
  std::vector<FailedJob> errors;
  for (const ScopeChild* child = failed_; child != nullptr; child = child->next) {
    JobState& job = *child->job;
    errors.push_back({.id = job.id(),
                      .name = std::string(job.name()),
                      .context = ContextAccess::make(job.context()),
                      .exception = job.outcome_.error});
  }
  TaskScopeError error(name(), started_, std::move(errors));
  note_joined();
  throw TaskScopeError(std::move(error));
}

void ScopeJob::throw_if_cancelled() {
  const bool is_to_stop = cancel_count() != 0 && is_stopping();
  // Jobs may have found before the timer that the time is over.
  const bool is_cut_short =
      (cancelled_ != 0 || rules_.at_first_success) && !has_succeeded() && scope_link().is_over();
  if (is_to_stop || is_cut_short) {
    const CancelReason time_is_over{.text = {}, .is_deadline = true};
    const absl::Status reason = is_to_stop ? stop_reason()
                                : scope_link().is_cancelled()
                                    ? status_of(scope_link().reason().get())
                                    : status_of(&time_is_over);
    Cancelled error("cannot join task scope" + quoted_name() + ": " + std::string(reason.message()),
                    reason);
    note_joined();
    throw Cancelled(std::move(error));
  }
  note_joined();
}

void ScopeJob::note_joined() noexcept {
  is_joined_ = true;
  release_failures();
}

void ScopeJob::end_scope(bool is_unwinding) noexcept {
  if (!pool()->is_forked()) {
    if (is_unwinding && !is_done()) {
      (void)cancel_because(scope_link(), "an exception has left the task scope's block");
    }
    bool has_given_up = false;
    try {
      wait_at_the_end();
    } catch (const JobError& error) {
      has_given_up = !is_done();
      if (has_given_up) {
        give_up(error.what());
      }
    }
    if (!has_given_up) {
      hand_over_failures();
    }
    scope_link().ignore(*this);
    scope_link().end();
  }
  release();
}

void ScopeJob::wait_at_the_end() {
  if (is_closed_ && is_done()) {
    return;
  }
  if (is_child_here()) {
    throw JobError("one of its own jobs would wait for itself");
  }
  close();
  listen();
  if (wait_for_children(Deadline::after(absl::Milliseconds(20)))) {
    return;
  }
  if (!is_in_exit()) {
    (void)wait_for_children(Deadline());
    return;
  }
  // A job may wait for this thread, which has called exit().
  std::size_t left = 0;
  Deadline patience;
  do {
    if (const std::size_t now = count_.load(std::memory_order_relaxed); now != left) {
      left = now;
      patience = Deadline::after(kPatience);
    } else if (patience.has_passed()) {
      throw JobError("the program ends, and its jobs may wait for that");
    }
  } while (!wait_for_children(Deadline::after(absl::Milliseconds(20))));
}

// Leaves the rest to the last child.
void ScopeJob::give_up(const char* why) noexcept {
  report_loss("cannot end task scope" + quoted_name() + ": " + why);
  close();
  bool has_ended = false;
  {
    const Lock lock(mutex_);
    has_ended = has_ended_;
    is_left_ = true;
  }
  if (has_ended) {
    hand_over_failures();
  }
}

void ScopeJob::hand_over_failures() noexcept {
  if (!has_succeeded()) {
    for (const ScopeChild* child = failed_; child != nullptr; child = child->next) {
      JobState& job = *child->job;
      if ((job.bits() & kSeen) == 0) {
        job.mark_seen();
        job.report_error();
      }
    }
  }
  release_failures();
}

void ScopeJob::release_failures() noexcept {
  ScopeChild* child = std::exchange(failed_, nullptr);
  last_failed_ = &failed_;
  while (child != nullptr) {
    JobState& job = *child->job;
    child = child->next;
    job.let_go_of_context();
    job.release();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
