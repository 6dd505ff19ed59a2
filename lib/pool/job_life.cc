// SPDX-License-Identifier: Apache-2.0
//
// The life of one job in its pool: its birth, its run, its end, and what happens then.

#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "lib/pool/ledger.h"
#include "lib/pool/parking.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/pool_lanes.h"
#include "taskctx/internal/pool/scope_job.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

void* JobState::operator new(std::size_t size) {  // NOLINT(misc-new-delete-overloads): likewise
  Ledger* const ledger = Ledger::here();
  void* const memory = ledger != nullptr ? ledger->take_memory(size) : nullptr;
  return memory != nullptr ? memory : ::operator new(size);
}

void JobState::operator delete(void* memory, std::size_t size) noexcept {
  Ledger* const ledger = Ledger::here();
  if (ledger == nullptr || !ledger->give_memory(memory, size)) {
    ::operator delete(memory);
  }
}

JobState::JobState(PoolCore* pool, Inherited inherited, std::uint32_t references,
                   bool can_be_shared) noexcept
    : Workplace(pool, std::move(inherited.link)),
      JobMarks(pool->lane_for(this), can_be_shared),
      bits_(references * kReference | (references == 1 ? kAbandoned : 0)),
      context_(std::move(inherited.node)) {}

JobState::~JobState() {
  if (Link* const link = link_.load(std::memory_order_relaxed); link != nullptr) {
    link->release();
  }
  delete to_extras(extras_or_id_.load(std::memory_order_relaxed));
  outcome_.error.~exception_ptr();
  Ledger* const ledger = Ledger::here();
  if (ledger != nullptr && ledger->give_link(above())) {
    forget_above();
  }
  if (hold == Hold::by_reference) {
    pool()->release();
  } else if (hold == Hold::by_lane && (ledger == nullptr || !ledger->count_gone(pool()))) {
    pool()->let_go(lane, 1);
  }
}

LinkRef PoolCore::work_link() {
  Ledger* const ledger = Ledger::here();
  return ledger != nullptr ? ledger->take_link() : capture_link();
}

NodeRef JobState::context() {
  std::optional<NodeRef> context;
  pool()->locked(this, [&](const LaneLock& /*lock*/) {
    if (has_context) {
      context.emplace(context_);
    }
  });
  if (!context) {
    throw JobError("cannot get context of job" + quoted_name() +
                   ": it has ended, and JobOptions::keep_context was not given");
  }
  return *std::move(context);
}

// Lets context_of() tell the code that runs here whose the error is: of a body inside the job, or
// the job's own, as long as the job has its context.
void JobState::tell_of_error() noexcept {
  if (outcome_.error == nullptr || (has_thrown() && hand_over_thrown(this))) {
    return;
  }
  NodeRef left;
  bool is_known = false;
  pool()->locked(this, [&](const LaneLock& /*lock*/) {
    is_known = has_context;
    if (is_known) {
      left = context_;
    }
  });
  if (is_known) {
    know_thrown(outcome_.error, std::move(left));
  }
}

// Called when the error, if there is one, has found somebody.
void JobState::let_go_of_context() noexcept {
  if (has_thrown()) {
    forget_thrown(this);
  }
  if (!keeps_context(0)) {
    NodeRef gone;  // Values may end with it: not while we have the lock.
    pool()->locked(this, [&](const LaneLock& /*lock*/) {
      has_context = false;
      std::swap(gone, context_);
    });
  }
}

void JobState::run(Ledger* caller) noexcept {
  if (is_over()) [[unlikely]] {
    end_unbegun();
    return;
  }
  std::optional<NodeRef> left;
  std::uint32_t how = 0;
  {
    const Measured measured(is_bulk ? nullptr : pool()->accountant(), context_.get(),
                            extras() != nullptr ? extras()->queued_at : 0, /*is_first=*/true);
    const Installed context(context_.get(), Origin::job(this));
    Ledger ledger(*this);
    oneapi::tbb::this_task_arena::isolate([this, &how, &ledger] {
      how = guarded([this, &ledger] {
        const Ledger::Open open(ledger);
        call();
        add_written();
      });
    });
    if (current_node() != context_.get() && keeps_context(how)) {
      left = NodeRef::share(current_node());
    }
  }
  finish(how, std::move(left), caller);
}

void JobState::run_isolated(bool is_first, void (*function)(void*), void* argument) {
  Accountant* const accountant = pool()->accountant();
  const NodeRef pinned = accountant != nullptr ? context_ : NodeRef();
  const Measured measured(accountant, pinned.get(),
                          is_first && extras() != nullptr ? extras()->queued_at : 0, is_first);
  const Installed context(&empty_node, Origin::job(this));
  oneapi::tbb::this_task_arena::isolate([&] { function(argument); });
}

bool JobState::cancel() noexcept {
  bits_.fetch_or(kCancelRequested, std::memory_order_relaxed);
  LinkRef created;
  const bool is_taken = pool()->begin_to_cancel(this, &created);
  count_cancel();  // After its bits are set: is_told_to_stop() is asked from here on.
  if (created.get() != nullptr) {
    std::string reason;
    try {
      reason = "job" + quoted_name() + " was cancelled";
    } catch (const std::bad_alloc&) {  // Nobody will know why.
    }
    (void)cancel_because(cancel_link(created), reason);
  }
  if (is_taken) {
    const AtWork at_work(
        pool());  // Whatever thread this is: the job's end waits for what runs here.
    end_without_result(kCancelled, nullptr);
  }
  return is_taken;
}

void JobState::end_if_over() noexcept {
  if (is_over() && pool()->begin_to_cancel(this, nullptr)) {
    const AtWork at_work(pool());
    end_unbegun();
  }
}

void JobState::end_unbegun() noexcept {
  auto& link = static_cast<CancelLink&>(*above());
  bool has_expired = true;
  if (link.is_cancelled()) {
    const std::shared_ptr<const CancelReason> reason = link.reason();
    has_expired = reason != nullptr && reason->is_deadline;
  }
  end_without_result(has_expired ? kCancelled | kExpired : kCancelled, nullptr);
}

void JobState::end_without_result(std::uint32_t how, std::exception_ptr error,
                                  std::optional<NodeRef> left) noexcept {
  {
    begin_to_end();
    const Installed context(context_.get(), Origin::job(this));
    pool()->apart([this] { drop(); });
  }
  outcome_.error = std::move(error);
  finish(how, std::move(left));
}

void JobState::end_as(JobState& other) noexcept {
  std::exception_ptr error = other.outcome_.error;
  if (error == nullptr) {
    try {
      error = std::make_exception_ptr(other.cancellation());
    } catch (...) {  // No memory: this job will say that it was cancelled.
    }
  }
  const std::uint32_t how = other.bits() & (kFailed | kCancelled);
  std::optional<NodeRef> left;
  if (keeps_context(how)) {
    other.pool()->locked(&other, [&](const LaneLock& /*lock*/) {
      if (other.has_context) {
        left.emplace(other.context_);
      }
    });
  }
  other.mark_seen();
  end_without_result(how, std::move(error), std::move(left));
}

void JobState::finish(std::uint32_t how, std::optional<NodeRef> left, Ledger* ledger) noexcept {
  PoolCore* const core = pool();
  begin_to_end();
  NodeRef gone = core->take_out(this, how, std::move(left), keeps_context(how));
  if (Node* const last = gone.drop(); last != nullptr) [[unlikely]] {
    // Values end here that nobody else has: their destructors are still the job's code.
    const Installed context(&empty_node, Origin::job(this));
    core->apart([last] { internal::destroy(last); });
  }
  const std::uint16_t its_lane = lane;
  // All of these release the result to those who acquire it, in is_done() and block(). The first is
  // all, most of the time: there is a handle, so its thread may go on and end the job.
  std::uint64_t before = bits_.load(std::memory_order_acquire);
  if ((before & kToAct) == 0 && link_.load(std::memory_order_relaxed) == nullptr &&
      bits_.compare_exchange_strong(before, (before | kDone | how) - kReference,
                                    std::memory_order_acq_rel, std::memory_order_acquire))
      [[likely]] {
    if (ledger != nullptr) {
      ledger->count_over();
    } else {
      core->count_ended(its_lane);
    }
    return;
  }
  if (before < 2 * kReference && (before & kInScope) == 0) {
    bits_.store(before | kDone | how, std::memory_order_relaxed);  // Nobody else knows the job.
  } else {
    // Acquires what others have registered before they set their bit.
    before = bits_.fetch_or(kDone | how, std::memory_order_acq_rel);
  }
  if ((before & kAbandoned) != 0) {
    hand_over_error();
  } else if ((before & kBlocked) != 0) {
    // Not otherwise: libstdc++ knows the waiters of many atomics as one, and would ask the kernel.
    unblock();
  }
  ScopeJob* scope = nullptr;
  if ((before & (kContinued | kAwaited | kInScope)) != 0) {
    scope = tell_others(static_cast<std::uint32_t>(before));
  }
  if (Link* const link = link_.load(std::memory_order_relaxed); link != nullptr) {
    static_cast<CancelLink*>(link)->end();
  }
  // In this order, so that the pool waits for the end of a result that nobody took.
  release();
  if (scope != nullptr) [[unlikely]] {
    scope->count_down();  // Likewise, and so that nothing of the job outlives its scope.
  }
  core->count_ended(its_lane);
}

// Tells those who set a bit for that. Returns the scope, if the job is in one: it is to be told,
// too, when the job is gone.
ScopeJob* JobState::tell_others(std::uint32_t before) noexcept {
  ScopeJob* scope = nullptr;
  if ((before & kInScope) != 0) {
    ScopeChild& child = *scope_child();
    scope = child.scope;
    scope->note_end(child);
  }
  if ((before & kContinued) != 0) {
    fire_continuations();
  }
  if ((before & kAwaited) != 0) {
    unpark(this);
  }
  return scope;
}

void JobState::wait_aside() noexcept {
  note_wait();
  pool()->move_aside(this, Stage::waiting);
}

void JobState::end_aside() noexcept {
  pool()->move_aside(this, Stage::ended);
  // As in finish().
  const auto before = static_cast<std::uint32_t>(bits_.fetch_or(kDone, std::memory_order_acq_rel));
  if ((before & kBlocked) != 0) {
    unblock();
  }
  (void)tell_others(before);
  release();
}

// Gives the exception handler what nobody has seen, in the context that the job has left. There is
// no handle, and the job has ended.
void JobState::hand_over_error() noexcept {
  if (outcome_.error != nullptr) {
    const std::uint32_t state = bits();
    if ((state & kInScope) != 0) {
      return;  // The scope has the job, and does that.
    }
    if ((state & (kSeen | kCancelled)) == 0) {
      report_error();
    }
    if (has_thrown()) {
      forget_thrown(this);
    }
  }
  context_ = NodeRef();
}

void JobState::report_error() noexcept {
  const Installed context(context_.get(), Origin(current_activation()));
  // The error ends with the job: what it holds may be another such job.
  pool()->apart([this] { pool()->handler()(outcome_.error); });
}

void JobState::abandon() noexcept {
  // Pairs with finish(): either that sees kAbandoned, or we see kDone, and the error.
  std::uint64_t before = bits_.load(std::memory_order_acquire);
  while ((before & kDone) == 0) {
    if (bits_.compare_exchange_weak(before, (before | kAbandoned) - kReference,
                                    std::memory_order_acq_rel, std::memory_order_acquire)) {
      if (before < 2 * kReference) [[unlikely]] {
        destroy();  // It has never entered the pool.
      }
      return;
    }
  }
  hand_over_error();
  release();
}

void JobState::rethrow(bool takes) {
  const std::uint32_t state = bits();
  if ((state & (kFailed | kCancelled)) == 0) {
    return;
  }
  mark_seen();
  const bool is_ours = (state & kInScope) == 0;
  tell_of_error();
  if (is_ours) {
    let_go_of_context();
  }
  if (outcome_.error == nullptr) {
    throw cancellation();
  }
  const std::exception_ptr error =
      takes && is_ours ? std::exchange(outcome_.error, nullptr) : outcome_.error;
  std::rethrow_exception(error);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
