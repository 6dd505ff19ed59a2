// SPDX-License-Identifier: Apache-2.0
//
// The life of one job: its run, its end, and what happens then.

#include "taskctx/internal/pool/job_state.h"

#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/parking.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"
#include "taskctx/this_job.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

JobState::JobState(PoolCore* pool, NodeRef context, std::uint32_t references, bool is_bulk) noexcept
    : Workplace{pool},
      Mortal(references),
      context_(std::move(context)),
      is_bulk_(is_bulk),
      lane_(pool->lane_number(pool->add_ref())) {
  if (references == 1) {
    bits_.store(kAbandoned, std::memory_order_relaxed);
  }
}

JobState::~JobState() = default;

std::uint64_t JobState::id() noexcept {
  std::uint64_t id = id_.load(std::memory_order_relaxed);
  if (id == 0) {
    const std::uint64_t fresh = draw_id();
    if (id_.compare_exchange_strong(id, fresh, std::memory_order_relaxed)) {
      id = fresh;
    }
  }
  return id;
}

std::string JobState::quoted_name() const {
  return name().empty() ? std::string() : " '" + std::string(name()) + "'";
}

NodeRef JobState::context() {
  std::optional<NodeRef> context;
  pool()->locked(this, [&] {
    if (has_context_) {
      context.emplace(context_);
    }
  });
  if (!context) {
    throw JobError("cannot get context of job" + quoted_name() +
                   ": it has ended, and JobOptions::keep_context was not given");
  }
  return *std::move(context);
}

// Called when the error, if there is one, has found somebody.
void JobState::let_go_of_context() noexcept {
  if (!keeps_context(0)) {
    NodeRef gone;  // Values may end with it: not while we have the lock.
    pool()->locked(this, [&] {
      has_context_ = false;
      std::swap(gone, context_);
    });
  }
}

void JobState::run() noexcept {
  std::optional<NodeRef> left;
  std::uint32_t how = 0;
  {
    const Measured measured(is_bulk_ ? nullptr : pool()->accountant(), context_.get(),
                            extras_ != nullptr ? extras_->queued_at : 0, /*is_first=*/true);
    const Installed context(context_.get(), Origin::job(this));
    oneapi::tbb::this_task_arena::isolate([this, &how] {
      how = guarded([this] {
        call();
        add_written();
      });
    });
    if (current_node() != context_.get() && keeps_context(how)) {
      left = NodeRef::share(current_node());
    }
  }
  finish(how, std::move(left));
}

std::uint32_t JobState::keep_error() noexcept {
  error_ = std::current_exception();
  return kind_of_handled_error();
}

std::uint32_t JobState::kind_of_handled_error() noexcept {
  try {
    throw;
  } catch (const JobCancelled&) {
    return kCancelled;
  } catch (...) {
    return kFailed;
  }
}

void JobState::run_isolated(bool is_first, void (*function)(void*), void* argument) {
  Accountant* const accountant = pool()->accountant();
  const NodeRef pinned = accountant != nullptr ? context_ : NodeRef();
  const Measured measured(accountant, pinned.get(),
                          is_first && extras_ != nullptr ? extras_->queued_at : 0, is_first);
  const Installed context(&empty_node, Origin::job(this));
  oneapi::tbb::this_task_arena::isolate([&] { function(argument); });
}

bool JobState::cancel() noexcept {
  bits_.fetch_or(kCancelRequested, std::memory_order_relaxed);
  if (!pool()->begin_to_cancel(this)) {
    return false;
  }
  const AtWork at_work(pool());  // Whatever thread this is: the job's end waits for what runs here.
  end_without_result(kCancelled, nullptr);
  retire();
  return true;
}

void JobState::retire() noexcept {
  PoolCore* const core = pool();
  const std::uint16_t lane = lane_;
  release();
  core->count_ended(lane);
}

void JobState::end_without_result(std::uint32_t how, std::exception_ptr error,
                                  std::optional<NodeRef> left) noexcept {
  {
    const Installed context(context_.get(), Origin::job(this));
    pool()->apart([this] { drop(); });
  }
  error_ = std::move(error);
  finish(how, std::move(left));
}

void JobState::end_as(JobState& other) noexcept {
  std::exception_ptr error = other.error_;
  if (error == nullptr) {
    try {
      error = std::make_exception_ptr(other.cancellation());
    } catch (...) {  // No memory: this job will say that it was cancelled.
    }
  }
  const std::uint32_t how = other.bits() & (kFailed | kCancelled);
  std::optional<NodeRef> left;
  if (keeps_context(how)) {
    other.pool()->locked(&other, [&] {
      if (other.has_context_) {
        left.emplace(other.context_);
      }
    });
  }
  other.mark_seen();
  end_without_result(how, std::move(error), std::move(left));
}

void JobState::finish(std::uint32_t how, std::optional<NodeRef> left) noexcept {
  PoolCore* const core = pool();
  NodeRef gone = core->leave(this,
                             how == 0         ? &Lane::succeeded
                             : how == kFailed ? &Lane::failed
                                              : &Lane::cancelled,
                             std::move(left), keeps_context(how));
  if (Node* const last = gone.detach(); drop_ref(last)) [[unlikely]] {
    // Values end here that nobody else has: their destructors are still the job's code.
    const Installed context(&empty_node, Origin::job(this));
    core->apart([last] { internal::destroy(last); });
  }
  // Releases the result to those who acquire it in is_done() and wait().
  const std::uint32_t before = bits_.fetch_or(kDone | how, std::memory_order_acq_rel);
  if ((before & kAbandoned) != 0) {
    hand_over_error();
  } else if ((before & kBlocked) != 0) {
    // Not otherwise: libstdc++ knows the waiters of many atomics as one, and would ask the kernel.
    unblock();
  }
  if ((before & kContinued) != 0) {
    fire_continuations();
  }
  if ((before & kAwaited) != 0) {
    unpark(this);
  }
}

// Gives the exception handler what nobody has seen, in the context that the job has left. There is
// no handle, and the job has ended.
void JobState::hand_over_error() noexcept {
  if (error_ != nullptr && (bits() & (kSeen | kCancelled)) == 0) {
    const Installed context(context_.get(), Origin(current_activation()));
    // The error ends with the job: what it holds may be another such job.
    pool()->apart([this] { pool()->handler()(error_); });
  }
  context_ = NodeRef();
}

void JobState::abandon() noexcept {
  if ((bits_.fetch_or(kAbandoned, std::memory_order_acq_rel) & kDone) != 0) {
    hand_over_error();
  }
}

JobCancelled JobState::cancellation() const {
  // NOLINTNEXTLINE(modernize-return-braced-init-list): the constructor is explicit.
  return JobCancelled("cannot get result of job" + quoted_name() + ": it was cancelled");
}

void JobState::rethrow(bool takes) {
  const std::uint32_t state = bits();
  if ((state & (kFailed | kCancelled)) == 0) {
    return;
  }
  mark_seen();
  let_go_of_context();
  if (error_ == nullptr) {
    throw cancellation();
  }
  const std::exception_ptr error = takes ? std::exchange(error_, nullptr) : error_;
  std::rethrow_exception(error);
}

void JobState::add_continuation(Continuation* continuation) noexcept {
  continuation->next = continuations_.load(std::memory_order_relaxed);
  while (!continuations_.compare_exchange_weak(continuation->next, continuation,
                                               std::memory_order_acq_rel)) {
  }
  // Either the job's end sees kContinued, or we see kDone: so somebody fires.
  if ((bits_.fetch_or(kContinued, std::memory_order_acq_rel) & kDone) != 0) {
    fire_continuations();
  }
}

bool JobState::remove_continuation(Continuation* continuation) noexcept {
  while ((bits_.fetch_or(kRemoving, std::memory_order_acq_rel) & kRemoving) != 0) {
    std::this_thread::yield();
  }
  bool is_removed = false;
  if ((bits() & kDone) == 0) {  // Whoever fires now, waits for us.
    Continuation* list = continuations_.exchange(nullptr, std::memory_order_acq_rel);
    Continuation** link = &list;
    while (*link != nullptr) {
      if (*link == continuation) {
        *link = continuation->next;
        is_removed = true;
      } else {
        link = &(*link)->next;
      }
    }
    if (list != nullptr) {
      *link = continuations_.load(std::memory_order_relaxed);
      while (!continuations_.compare_exchange_weak(*link, list, std::memory_order_acq_rel)) {
      }
    }
  }
  bits_.fetch_and(~kRemoving, std::memory_order_release);
  return is_removed;
}

void JobState::fire_continuations() noexcept {
  while ((bits() & kRemoving) != 0) {
    std::this_thread::yield();
  }
  Continuation* last = continuations_.exchange(nullptr, std::memory_order_acq_rel);
  Continuation* first = nullptr;
  while (last != nullptr) {  // The list has the last one first.
    Continuation* const next = last->next;
    last->next = first;
    first = last;
    last = next;
  }
  while (first != nullptr) {
    Continuation* const next = first->next;
    first->fire(first);
    first = next;
  }
}

}  // namespace internal

namespace this_job {

namespace {

internal::JobState* current() noexcept {
  return static_cast<internal::JobState*>(
      const_cast<internal::Workplace*>(internal::current_activation()->origin.job()));
}

}  // namespace

bool cancel_requested() noexcept {
  const internal::JobState* job = current();
  return job != nullptr && job->is_cancel_requested();
}

std::uint64_t id() noexcept {
  internal::JobState* job = current();
  return job != nullptr ? job->id() : 0;
}

std::string_view name() noexcept {
  const internal::JobState* job = current();
  return job != nullptr ? job->name() : std::string_view();
}

}  // namespace this_job
}  // namespace v1
}  // namespace taskctx
