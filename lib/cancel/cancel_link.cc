// SPDX-License-Identifier: Apache-2.0
//
// How a cancellation goes down from link to link, and how a question about it goes up.

#include "taskctx/internal/cancel/cancel_link.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "lib/cancel/clocks.h"
#include "lib/cancel/timed_wait.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/callback_threads.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

struct LinkLock {
  std::mutex mutex;
  std::condition_variable changed;  // A listener has been called.
};
struct LinkLocks {
  std::mutex attachments;  // Taken before those of links.
  // Links share locks, by their address. No thread takes two of these. They are few, because
  // ThreadSanitizer keeps books of no more than 64 locks that a thread holds, and fork() takes all.
  std::array<LinkLock, 6> of_links;
};

// Returns those of this copy of the library, which may not be in use. Never destroyed: links are
// used until the very end of the program.
LinkLocks& own_link_locks() noexcept {
  alignas(LinkLocks) static std::byte place[sizeof(LinkLocks)];
  static LinkLocks& locks = *::new (static_cast<void*>(place)) LinkLocks;
  return locks;
}
LinkLocks& link_locks() noexcept {
  static LinkLocks& locks = first_of_copies(process_wide().cancel_locks, own_link_locks());
  return locks;
}

LinkLock& lock_of(const CancelLink* link) noexcept {
  auto& locks = link_locks().of_links;
  return locks[(reinterpret_cast<std::uintptr_t>(link) >> 6) % locks.size()];
}

Deadline sooner(const Link* above, Deadline own) noexcept {
  const Deadline from_above =
      above != nullptr ? static_cast<const CancelLink*>(above)->deadline() : Deadline();
  return own.is_before(from_above) ? own : from_above;
}

}  // namespace

bool is_near(Deadline deadline) noexcept {
  const bool is_wall = deadline.clock() == Deadline::Clock::wall;
  if (!(is_wall ? wall_clock : monotonic_clock).runs()) {
    return true;
  }
  timespec time{};
  clock_gettime(is_wall ? CLOCK_REALTIME_COARSE : CLOCK_MONOTONIC_COARSE, &time);
  const std::int64_t ticks = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  constexpr std::int64_t kTicks = 20'000'000;  // Two of the longest that Linux has.
  return deadline.nanoseconds() < ticks + kTicks;
}

void count_cancel() noexcept {
  // Releases what has been cancelled to cancel_count().
  process_wide().cancel_count.fetch_add(1, std::memory_order_acq_rel);
}

CancelLink::CancelLink(LinkRef above, Executor* executor, JobIdentity job) noexcept
    : CancelLink(std::move(above), executor, std::move(job), Deadline(), /*is_shielded=*/false) {}

CancelLink::CancelLink(LinkRef above, Executor* executor, JobIdentity job, Deadline deadline,
                       bool is_shielded) noexcept
    : Link(executor, std::move(job)),
      above_(without_ended(std::move(above))),
      deadline_(sooner(above_.get(), deadline)),
      is_shielded_(is_shielded) {
  if (!deadline.is_never() && deadline_ == deadline) {
    state_.store(kTimed, std::memory_order_relaxed);
  }
}

CancelLink::Lock CancelLink::lock() const noexcept { return Lock(lock_of(this).mutex); }

LinkRef CancelLink::above() const noexcept {
  const Lock guard = lock();
  return above_;
}

LinkRef CancelLink::without_ended(LinkRef link) noexcept {
  while (link.get() != nullptr && cancel_link(link).is_transparent()) {
    link = cancel_link(link).above_;
  }
  return link;
}

bool CancelLink::look_above(std::uint64_t count) noexcept {
  for (LinkRef link = above(); link.get() != nullptr; link = cancel_link(link).above()) {
    CancelLink& other = cancel_link(link);
    if ((other.state_.load(std::memory_order_acquire) & kCancelled) != 0) {
      const Lock guard = lock();
      // Releases nothing of ours: who reads it acquires what the canceller has released above.
      state_.fetch_or(kAbove, std::memory_order_acq_rel);
      return true;
    }
    if (other.seen_.load(std::memory_order_relaxed) == count) {
      break;
    }
  }
  seen_.store(count, std::memory_order_relaxed);
  return false;
}

std::shared_ptr<const CancelReason> CancelLink::reason() noexcept {
  for (LinkRef link = LinkRef::share(this); link.get() != nullptr;
       link = cancel_link(link).above()) {
    CancelLink& one = cancel_link(link);
    const Lock guard = one.lock();
    if ((one.state_.load(std::memory_order_relaxed) & kSelf) != 0) {
      return one.reason_;
    }
  }
  return nullptr;
}

std::shared_ptr<StopListener> CancelLink::stop_listener() const noexcept {
  const Lock guard = lock();
  return stop_listener_;
}

bool CancelLink::keep(const std::shared_ptr<StopListener>& listener) noexcept {
  const Lock guard = lock();
  if (stop_listener_ == nullptr) {
    stop_listener_ = listener;
  }
  return stop_listener_ == listener;
}

// A listener that is in a list at the top can be called, and be gone, as soon as the lock is given
// back.
void CancelLink::insert(const Lock& /*lock*/, CancelListener& listener) noexcept {
  CancelListener*& first = listeners_[static_cast<std::size_t>(listener.kind_)];
  listener.next_ = first;
  listener.at_ = &first;
  if (first != nullptr) {
    first->at_ = &listener.next_;
  }
  first = &listener;
}

void CancelLink::erase(const Lock& /*lock*/, CancelListener& listener) noexcept {
  *listener.at_ = listener.next_;
  if (listener.next_ != nullptr) {
    listener.next_->at_ = listener.at_;
  }
  listener.at_ = nullptr;
}

void CancelLink::listen(CancelListener& listener) noexcept {
  {
    Lock guard = lock();
    if ((state_.load(std::memory_order_relaxed) & kCancelled) != 0) {
      guard.unlock();
      listener.fire();
      return;
    }
    insert(guard, listener);
    if (std::exchange(is_attached_, true) || above_.get() == nullptr) {
      return;
    }
  }
  CancelLink* cancelled = nullptr;
  {
    const Lock attachments(link_locks().attachments);
    cancelled = attach(attachments);
  }
  fire_found(cancelled);
}

// Calls the listeners of what attach() has found.
void CancelLink::fire_found(CancelLink* cancelled) noexcept {
  if (cancelled != nullptr) {
    if (cancelled->fire_from_above()) {
      cancelled->fire_all(Caller::any);
    }
    cancelled->release();
  }
}

// Makes the link a listener of the one above it, that of the next one, and so on. Returns one of
// them that turns out to be cancelled from above, with a reference: its listeners are to be called.
// `is_attached_` is set. The caller has the lock of attachments, which no thread takes with
// another.
CancelLink* CancelLink::attach(const Lock& /*attachments*/) noexcept {
  CancelLink* link = this;
  while (true) {
    const LinkRef up = link->above();  // Held by `link` as well: it can't change now.
    if (up.get() == nullptr) {
      return nullptr;
    }
    CancelLink& other = cancel_link(up);
    const Lock guard = other.lock();
    if ((other.state_.load(std::memory_order_relaxed) & kCancelled) != 0) {
      link->add_ref();
      return link;
    }
    if (link->attachment_.at_ == nullptr) {
      other.insert(guard, link->attachment_);
    }
    if (std::exchange(other.is_attached_, true)) {
      return nullptr;
    }
    link = &other;
  }
}

void CancelLink::ignore(CancelListener& listener) noexcept {
  Lock guard = lock();
  if (listener.at_ != nullptr) {
    erase(guard, listener);
    return;
  }
  while (running_ == &listener && runner_ != this_thread() && runner_process_ == process_number()) {
    lock_of(this).changed.wait(guard);
  }
}

void CancelLink::end() noexcept {
  // Nobody else changes `above_`. Most jobs have none.
  if (LinkRef lasting = without_ended(above_); lasting.get() != above_.get()) {
    move_to(std::move(lasting));
  }
  // Releases `above_` to is_transparent().
  state_.fetch_or(kEnded, std::memory_order_acq_rel);
}

void CancelLink::move_to(LinkRef lasting) noexcept {
  CancelLink* cancelled = nullptr;
  LinkRef old;
  {
    const Lock attachments(link_locks().attachments);
    bool is_attached = false;
    {
      const Lock guard = lock();
      is_attached = is_attached_;
      old = std::exchange(above_, std::move(lasting));
    }
    if (is_attached) {  // What is cancelled meanwhile, attach() finds cancelled.
      detach(cancel_link(old));
      cancelled = attach(attachments);
    }
  }
  fire_found(cancelled);
}

void CancelLink::detach(CancelLink& from) noexcept {
  const Lock guard = from.lock();
  if (attachment_.at_ != nullptr) {
    erase(guard, attachment_);
  }
}

void CancelLink::destroy() noexcept {
  if (is_attached_ && above_.get() != nullptr) {
    detach(cancel_link(above_));
  }
  delete this;
}

bool CancelLink::cancel(std::shared_ptr<const CancelReason> reason, Caller caller) noexcept {
  bool is_first = false;
  {
    const Lock guard = lock();
    const std::uint32_t state = state_.load(std::memory_order_relaxed);
    const bool is_late = (state & (kEnded | kExpected)) == kEnded && caller != Caller::timer;
    if ((state & kSelf) != 0 || is_late) {
      return false;
    }
    std::swap(reason_, reason);
    is_first = (state & kFiring) == 0;
    // Releases what this thread has done to those who see that it is cancelled.
    state_.fetch_or(kSelf | kFiring, std::memory_order_acq_rel);
    count_cancel();  // With the lock: so a forked child has both, or neither.
  }
  if (is_first) {
    add_ref();
    fire_all(caller);
  }
  return true;
}

// Marks the link, and returns whether this thread is to call its listeners: it has a reference more
// for that.
bool CancelLink::fire_from_above() noexcept {
  const Lock guard = lock();
  // As in cancel().
  if ((state_.fetch_or(kAbove | kFiring, std::memory_order_acq_rel) & kFiring) != 0) {
    return false;
  }
  add_ref();
  return true;
}

// Calls all listeners of this link, and of those below it. Takes over a reference to this one.
// First all that ends loops and wakes up threads; code of the user's comes last, as it may take its
// time.
void CancelLink::fire_all(Caller caller) noexcept {
  next_ = nullptr;
  CancelLink* last = this;
  for (CancelLink* link = this; link != nullptr; link = link->next_) {
    while (CancelLink* const below = link->fire_prompt()) {
      if (below->fire_from_above()) {
        below->next_ = nullptr;
        last->next_ = below;
        last = below;
      }
      below->release();
    }
  }
  for (CancelLink* link = this; link != nullptr; link = link->next_) {
    link->fire_later(CancelListener::Kind::job);
  }
  if (caller == Caller::timer) {
    leave_to_callback_threads(left_);  // What goes with the last reference may be the user's, too.
  } else {
    call_back();
  }
}

// Calls the user's callbacks of all these links, and releases them.
void CancelLink::call_back() noexcept {
  for (CancelLink* link = this; link != nullptr; link = link->next_) {
    link->fire_later(CancelListener::Kind::callback);
  }
  CancelLink* link = this;
  while (link != nullptr) {
    CancelLink* const next = link->next_;
    link->release();
    link = next;
  }
}

// Ends a link that nobody knows any more, on a thread that may run the user's code.
void CancelLink::end_elsewhere() noexcept {
  add_ref();
  next_ = nullptr;
  leave_to_callback_threads(left_);
}

// Calls those that are called with the lock. Returns the next link below, with a reference.
CancelLink* CancelLink::fire_prompt() noexcept {
  const Lock guard = lock();
  CancelListener*& first = listeners_[static_cast<std::size_t>(CancelListener::Kind::prompt)];
  while (first != nullptr) {
    CancelListener& listener = *first;
    erase(guard, listener);
    CancelLink* const below = listener.below();
    if (below == nullptr) {
      listener.fire();
    } else if (below->try_add_ref()) {  // Or it is about to go.
      return below;
    }
  }
  return nullptr;
}

void CancelLink::fire_later(CancelListener::Kind kind) noexcept {
  CancelListener*& first = listeners_[static_cast<std::size_t>(kind)];
  Lock guard = lock();
  while (first != nullptr) {
    CancelListener& listener = *first;
    erase(guard, listener);
    running_ = &listener;
    runner_ = this_thread();
    runner_process_ = process_number();
    guard.unlock();
    listener.fire();  // It may be gone after that.
    guard.lock();
    running_ = nullptr;
    lock_of(this).changed.notify_all();
  }
}

LinkRef CancelLink::newest() noexcept {
  LinkRef newest = LinkRef::share(this);
  while (true) {
    CancelLink& link = cancel_link(newest);
    LinkRef next;
    if ((link.state_.load(std::memory_order_relaxed) & kSucceeded) != 0) {
      const Lock guard = link.lock();
      next = link.successor_;
    }
    if (next.is_nothing()) {
      return newest;
    }
    newest = std::move(next);
  }
}

bool CancelLink::set_successor(const LinkRef& next) noexcept {
  const Lock guard = lock();  // Pairs with cancel(): it has come before, or finds the successor.
  if ((state_.load(std::memory_order_relaxed) & kSelf) != 0) {
    return false;
  }
  successor_ = next;
  state_.fetch_or(kSucceeded, std::memory_order_relaxed);
  return true;
}

void lock_cancel_links() noexcept {
  (void)link_locks();  // So that no thread is in the middle of the first call.
  own_link_locks().attachments.lock();
  for (LinkLock& each : own_link_locks().of_links) {
    each.mutex.lock();
  }
}

void unlock_cancel_links(bool is_child) noexcept {
  for (LinkLock& each : own_link_locks().of_links) {
    if (is_child) {
      renew(each.changed);
    }
    each.mutex.unlock();
  }
  own_link_locks().attachments.unlock();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
