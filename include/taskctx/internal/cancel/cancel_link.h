// SPDX-License-Identifier: Apache-2.0
//
// CancelLink: the link of a job, or of a cancel scope: whether what was created there is to stop,
// why, and until when it may run.
//
//   CancelLink& link = cancel_link(captured);
//   link.cancel(reason);             // link, and all links below it, are cancelled from here on
//   if (link.is_cancelled()) return;
//
// A link knows the one above it, and not those below: no submit writes to a list that others write
// to. So a question walks up, and keeps the answer until anything at all is cancelled in the
// process: cancel_count() changes then. What must be woken up instead of asking is a listener. A
// link with listeners is a listener of the link above it, and so on up: cancel() calls all that are
// below.
//
// A link ends with its job or scope. It still passes on what comes from above, and keeps its
// deadline. If it has none of its own, links that are made below it later, and links below it that
// end, leave it out: a job that submits itself again and again makes no chain.

#ifndef TASKCTX_INTERNAL_CANCEL_CANCEL_LINK_H_
#define TASKCTX_INTERNAL_CANCEL_CANCEL_LINK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/callback_threads.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns how often anything was cancelled in this process: a job, a scope, by anybody. Acquires
// what the canceller did before.
inline std::uint64_t cancel_count() noexcept {
  // The first pairs with the release in join_with_lock() (copies.cc).
  return cancel_counter.load(std::memory_order_acquire)->load(std::memory_order_acquire);
}
// Counts once more, after what is cancelled says so.
void count_cancel() noexcept;

// Tells whether a deadline may have passed: false if there are some ms left, by a clock that ticks
// every few ms.
bool is_near(Deadline deadline) noexcept;

class CancelLink;
class StopListener;  // See cancel.cc.

// Something that is called when a link is cancelled: once, or never. Lives until
// CancelLink::ignore() has returned.
class CancelListener {
 public:
  // In the order in which they are called.
  enum class Kind : std::uint8_t {
    prompt,    // Code of ours that never blocks, with a lock of ours held.
    job,       // Code of ours that may take other locks, and get a job a thread.
    callback,  // Code of the user's. If a deadline has passed, on a thread of its own.
  };

  CancelListener(const CancelListener&) = delete;
  CancelListener& operator=(const CancelListener&) = delete;

 protected:
  explicit CancelListener(Kind kind) noexcept : kind_(kind) {}
  virtual ~CancelListener() = default;

 private:
  friend class CancelLink;

  virtual void fire() noexcept = 0;
  // Of a link's listener at the link above it: that link.
  virtual CancelLink* below() noexcept { return nullptr; }

  CancelListener* next_ = nullptr;  // These are guarded by the link's lock.
  CancelListener** at_ = nullptr;   // What points here; nullptr if it is in no list.
  const Kind kind_;
};

// Why something was cancelled.
struct CancelReason {
  std::string text;
  bool is_deadline = false;
};

class CancelLink : public Link {
 public:
  // Makes the link of a job. Its deadline is that of `above`, which may be none.
  CancelLink(LinkRef above, Executor* executor, JobIdentity job) noexcept;
  void destroy() noexcept override;

  // Tells whether this link, or one above it, is cancelled. A few loads, unless something was
  // cancelled since it was asked last: O(links above) then.
  [[nodiscard]] bool is_cancelled() noexcept { return is_cancelled(cancel_count()); }
  // `count`: what cancel_count() has just returned.
  [[nodiscard]] bool is_cancelled(std::uint64_t count) noexcept {
    // Pairs with cancel(): what the canceller did before is visible.
    if ((state_.load(std::memory_order_acquire) & kCancelled) != 0) {
      return true;
    }
    // Relaxed: an answer is only used together with the count that it was given at.
    return seen_.load(std::memory_order_relaxed) != count && look_above(count);
  }
  // Likewise, but tells also whether the deadline has passed, if the timer has not come to it yet.
  // Looks at a clock that costs little, and exactly only where the deadline is near.
  [[nodiscard]] bool is_over() noexcept {
    const std::uint64_t count = cancel_count();
    return (count != 0 && is_cancelled(count)) ||
           (!deadline_.is_never() && is_near(deadline_) && deadline_.has_passed());
  }

  // Returns why it is cancelled: what the nearest link says that was, this one or one above it.
  // nullptr if none is, or if there was no memory to say why. O(links above).
  [[nodiscard]] std::shared_ptr<const CancelReason> reason() noexcept;

  // Returns until when it may run: its own deadline, or one from above, if that comes sooner.
  [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }

  // Cancels the link, for `reason`, or nullptr, and calls all listeners below. Returns false if it
  // was cancelled itself already, or has ended before somebody expected that.
  bool cancel(std::shared_ptr<const CancelReason> reason) noexcept {
    return cancel(std::move(reason), Caller::any);
  }

  // Calls `listener` when the link is cancelled, or at once, on this thread, if it is already.
  // O(links above that have had no listener yet).
  void listen(CancelListener& listener) noexcept;
  // Forgets it. If another thread of this process is just calling it, waits for that. O(1)
  // otherwise.
  void ignore(CancelListener& listener) noexcept;

  // Tells whether nobody but the caller knows it: nothing was created below it that is still there.
  [[nodiscard]] bool is_unknown() const noexcept {
    // `is_attached_` is set by those that have a reference, and read after theirs was dropped.
    return is_only_ref() && !is_attached_;
  }
  // Tells whether cancel() would do nothing.
  [[nodiscard]] bool is_self_cancelled() const noexcept {
    return (state_.load(std::memory_order_relaxed) & kSelf) != 0;
  }
  // Tells whether it is a Shield's, or a scope's that began inside one in the same job: the job's
  // own cancellation does not come through either.
  [[nodiscard]] bool is_shielded() const noexcept { return is_shielded_; }
  // Returns the link that stands in for this one since renew_scopes(), or this one.
  [[nodiscard]] LinkRef newest() noexcept;
  // Lets `next` stand in for it, unless it was cancelled itself. Returns whether it does.
  bool set_successor(const LinkRef& next) noexcept;

  // Says that the job or scope has ended.
  void end() noexcept;
  // Says that cancel() will be called, also if end() comes before it: that is no end then for what
  // was created below, nor for what that creates.
  void expect_cancel() noexcept { state_.fetch_or(kExpected, std::memory_order_relaxed); }

  // Returns what the link keeps for stop_token(): nullptr before the first keep().
  [[nodiscard]] std::shared_ptr<StopListener> stop_listener() const noexcept;
  // Keeps it, unless there is one already. Returns whether it does.
  bool keep(const std::shared_ptr<StopListener>& listener) noexcept;

 protected:
  enum class Caller : std::uint8_t { any, timer };

  // Makes the link of a scope, with `deadline`, if that comes sooner than the one from above.
  CancelLink(LinkRef above, Executor* executor, JobIdentity job, Deadline deadline,
             bool is_shielded) noexcept;
  virtual ~CancelLink() = default;

  bool cancel(std::shared_ptr<const CancelReason> reason, Caller caller) noexcept;
  void end_elsewhere() noexcept;
  // Tells whether the deadline is its own.
  [[nodiscard]] bool is_timed() const noexcept {
    return (state_.load(std::memory_order_relaxed) & kTimed) != 0;
  }

 private:
  // Bits of state_. Set with the lock; read without.
  static constexpr std::uint32_t kSelf = 1;   // It was cancelled itself: it has the reason.
  static constexpr std::uint32_t kAbove = 2;  // One above it is cancelled.
  static constexpr std::uint32_t kCancelled = kSelf | kAbove;
  static constexpr std::uint32_t kFiring = 4;      // A thread calls the listeners, or has.
  static constexpr std::uint32_t kEnded = 8;       // `above_` does not change any more.
  static constexpr std::uint32_t kTimed = 16;      // It has a deadline of its own.
  static constexpr std::uint32_t kSucceeded = 32;  // It has a successor.
  static constexpr std::uint32_t kExpected = 64;   // A thread is about to cancel it.

  // The listener at the link above.
  class Attachment final : public CancelListener {
   public:
    explicit Attachment(CancelLink& owner) noexcept : CancelListener(Kind::prompt), owner_(owner) {}

   private:
    void fire() noexcept override {}
    CancelLink* below() noexcept override { return &owner_; }

    CancelLink& owner_;
  };

  // What is left to do for this link, and those that `next_` leads to.
  struct Left : CallbackList {
    static void call_back(CallbackList* self) noexcept {
      static_cast<Left*>(self)->first.call_back();
    }
    CancelLink& first;
  };

  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] Lock lock() const noexcept;

  static LinkRef without_ended(LinkRef link) noexcept;
  [[nodiscard]] bool is_transparent() const noexcept {
    // Acquires `above_`, as end() has left it.
    return (state_.load(std::memory_order_acquire) & (kEnded | kCancelled | kTimed | kExpected)) ==
           kEnded;
  }
  [[nodiscard]] LinkRef above() const noexcept;
  bool look_above(std::uint64_t count) noexcept;

  void insert(const Lock& lock, CancelListener& listener) noexcept;
  static void erase(const Lock& lock, CancelListener& listener) noexcept;
  CancelLink* attach(const Lock& attachments) noexcept;
  void detach(CancelLink& from) noexcept;
  void move_to(LinkRef lasting) noexcept;

  bool fire_from_above() noexcept;
  static void fire_found(CancelLink* cancelled) noexcept;
  void fire_all(Caller caller) noexcept;
  CancelLink* fire_prompt() noexcept;
  void fire_later(CancelListener::Kind kind) noexcept;
  void call_back() noexcept;

  std::atomic<std::uint32_t> state_{0};
  bool is_attached_ = false;            // These are guarded by the lock.
  LinkRef above_;                       // Changes once at most: in end().
  std::atomic<std::uint64_t> seen_{0};  // The count at which none above was cancelled.
  const Deadline deadline_;
  const bool is_shielded_;
  std::shared_ptr<const CancelReason> reason_;  // Guarded by the lock, and so is what follows.
  CancelListener* listeners_[3] = {};           // By kind.
  const CancelListener* running_ = nullptr;     // What a thread calls without the lock, ...
  const void* runner_ = nullptr;                // ... which thread, ...
  std::uint32_t runner_process_ = 0;            // ... and of which process_number().
  CancelLink* next_ = nullptr;            // Of the links that one thread calls listeners of, ...
  Left left_{{&Left::call_back}, *this};  // ... if the callbacks are left to other threads.
  Attachment attachment_{*this};
  std::shared_ptr<StopListener> stop_listener_;
  LinkRef successor_;
};

// Cancels `link` for a reason in words; without one, if there is no memory for that.
bool cancel_because(CancelLink& link, std::string_view text) noexcept;

inline CancelLink& cancel_link(const LinkRef& link) noexcept {
  return static_cast<CancelLink&>(*link.get());
}

class ScopeLink;
struct ScopeFrame : Frame {
  ScopeLink* owner;
};

// The link of a scope, with its frame: the frame lives as long as anything may refer to it.
class ScopeLink final : public CancelLink, private TimerEntry {
 public:
  // `reason`: what is said when the deadline has passed; may be empty. Throws std::bad_alloc.
  ScopeLink(LinkRef above, Executor* executor, JobIdentity job, Deadline deadline,
            std::string_view reason, bool is_shielded);
  ScopeLink(const ScopeLink&) = delete;
  ScopeLink& operator=(const ScopeLink&) = delete;
  ~ScopeLink() override = default;  // By destroy() only.
  void destroy() noexcept override;

  // Lets the deadline cancel it. Throws std::system_error if there can be no thread for that.
  void start();

  // Makes the link that stands in for this one below `above`, unless this one was cancelled itself.
  // Returns the newest. For the code that is in the scope. Throws std::bad_alloc, and
  // std::system_error.
  LinkRef renew(LinkRef above);

  ScopeFrame frame{{}, this};
  ScopeLink* left_behind = nullptr;  // The next one in the list of such.

 private:
  static void fire_it(TimerEntry& self) noexcept;

  std::shared_ptr<const CancelReason> deadline_reason_;  // nullptr: that of all others.
};

// For the code of a coroutine's `job`, which gets to know that the job was cancelled, and may go
// on: lets other links stand in for those of its open scopes, below the job's new one. What was
// created below them before stays cancelled. Without memory the scopes stay so, too.
void renew_scopes(Workplace& job) noexcept;

// Takes and gives back the locks around a fork.
void lock_cancel_links() noexcept;
void unlock_cancel_links(bool is_child) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_CANCEL_LINK_H_
