// SPDX-License-Identifier: Apache-2.0
//
// What a job is without its pool: its number and name, its error, its continuations.

#include "taskctx/internal/pool/job_state.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <typeinfo>

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

LinkRef JobState::take_link(const LaneLock& /*lock*/) noexcept {
  // Only the job's own code makes one, and it does not run now, or it is the caller.
  return LinkRef::adopt(link_.exchange(nullptr, std::memory_order_acq_rel));
}

Link* JobState::make_link() {
  LinkRef fresh = LinkRef::adopt(new CancelLink(
      LinkRef::share(above()), executor, {id(), extras() != nullptr ? extras()->name : nullptr}));
  // Publishes it, unless another thread was faster. seq_cst, as the next load: cancel() sets a bit,
  // and then looks for the link. So either it finds this one, or we see the bit.
  Link* link = nullptr;
  if (link_.compare_exchange_strong(link, fresh.get(), std::memory_order_seq_cst)) {
    link = fresh.detach();
    if ((bits_.load(std::memory_order_seq_cst) & kInterrupted) != 0) {
      (void)static_cast<CancelLink*>(link)->cancel(nullptr);
    }
  }
  return link;
}

std::uint64_t JobState::id() noexcept {
  std::uintptr_t word = extras_or_id_.load(std::memory_order_relaxed);
  if (JobExtras* const rare = to_extras(word); rare != nullptr) {
    std::uint64_t id = rare->id.load(std::memory_order_relaxed);
    if (id == 0) {
      const std::uint64_t fresh = draw_id();
      if (rare->id.compare_exchange_strong(id, fresh, std::memory_order_relaxed)) {
        id = fresh;
      }
    }
    return id;
  }
  if (word == 0) {
    const std::uintptr_t fresh = draw_id() << 1U | kIsId;
    if (extras_or_id_.compare_exchange_strong(word, fresh, std::memory_order_relaxed)) {
      word = fresh;
    }
  }
  return word >> 1U;
}

SourcePlace JobState::place() const noexcept {
  // Options that were made without braces know no better than where their type is.
  const bool is_known = !std::string_view(place_.file_name()).ends_with("taskctx/job_options.h");
  return is_known ? SourcePlace{place_.file_name(), place_.line()} : SourcePlace();
}

std::string JobState::quoted_name() const {
  return name().empty() ? std::string() : " '" + std::string(name()) + "'";
}

std::uint32_t JobState::keep_error() noexcept {
  const HandledError handled = handled_error();
  outcome_.error = handled.error;
  if (has_thrown()) {
    pass_on_thrown(this);
  }
  return handled.kind;
}

JobState::HandledError JobState::handled_error() noexcept {
  try {
    throw;
  } catch (const Cancelled& cancelled) {
    if (typeid(cancelled) == typeid(Cancelled)) {
      try {
        return {std::make_exception_ptr(JobCancelled(cancelled.what(), cancelled.status())),
                kCancelled};
      } catch (...) {  // No memory: it stays what it is.
      }
    }
    return {std::current_exception(), kCancelled};
  } catch (...) {
    return {std::current_exception(), kFailed};
  }
}

JobCancelled JobState::cancellation() const {
  absl::Status reason = status_of(nullptr);
  if ((bits() & kExpired) != 0) {
    reason = absl::DeadlineExceededError("its time was over before it began");
  } else if (!is_cancel_requested() && above() != nullptr) {
    reason = status_of(static_cast<CancelLink*>(above())->reason().get());
  }
  return {"cannot get result of job" + quoted_name() + ": " + std::string(reason.message()),
          reason};
}

void JobState::add_continuation(Continuation* continuation) noexcept {
  continuation->next = continuations_.load(std::memory_order_relaxed);
  // Releases the continuation to the thread that takes the list out.
  while (!continuations_.compare_exchange_weak(continuation->next, continuation,
                                               std::memory_order_acq_rel)) {
  }
  // Pairs with finish(): either that sees kContinued, or we see kDone. So somebody fires.
  // seq_cst for the search for circles (blocked_wait.cc).
  if ((bits_.fetch_or(kContinued, std::memory_order_seq_cst) & kDone) != 0) {
    fire_continuations();
  }
}

bool JobState::remove_continuation(Continuation* continuation) noexcept {
  // A lock: acquires what the last holder has released at the end of this function.
  while ((bits_.fetch_or(kRemoving, std::memory_order_acq_rel) & kRemoving) != 0) {
    std::this_thread::yield();
  }
  bool is_removed = false;
  if ((bits() & kDone) == 0) {  // A thread that fires now waits for us.
    // Acquires the continuations; pairs with add_continuation().
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
      // Releases those that are left, as add_continuation() does.
      while (!continuations_.compare_exchange_weak(*link, list, std::memory_order_acq_rel)) {
      }
    }
  }
  // Pairs with fire_continuations() and the next remove_continuation(): they see the list as it is
  // now.
  bits_.fetch_and(~std::uint64_t{kRemoving}, std::memory_order_release);
  return is_removed;
}

void JobState::fire_continuations() noexcept {
  while ((bits() & kRemoving) != 0) {
    std::this_thread::yield();
  }
  // Acquires the continuations; pairs with add_continuation().
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

void throw_no_job(const char* verb) {
  throw JobError(std::string("cannot ") + verb +
                 " job: the handle is empty, or its result was taken already");
}

}  // namespace internal

}  // namespace v1
}  // namespace taskctx
