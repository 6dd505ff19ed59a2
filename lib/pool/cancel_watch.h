// SPDX-License-Identifier: Apache-2.0
//
// CancelWatch: wakes a thread that waits for a job: because the code that waits is to stop, or
// because the job never begins, as its own scope was cancelled or its time is over.
//
//   CancelWatch watch(target, current_activation()->origin.whose());
//   watch.arm();   // before it blocks; costs nothing if there is no job or scope around either
//   ... wait until target.is_done() || watch.has_news() ...

#ifndef TASKCTX_LIB_POOL_CANCEL_WATCH_H_
#define TASKCTX_LIB_POOL_CANCEL_WATCH_H_

#include <atomic>
#include <optional>
#include <utility>

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class CancelWatch {
 public:
  // `waiter`: whose work the code is that waits.
  CancelWatch(JobState& target, Origin waiter) noexcept : target_(target), waiter_(waiter) {}
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;
  ~CancelWatch() = default;

  // Tells whether arm() has anything to do.
  [[nodiscard]] bool is_needed() const noexcept {
    return !waiter_.is_nowhere() || target_.above() != nullptr;
  }
  // Begins to watch. Throws std::bad_alloc.
  void arm() {
    if (!of_waiter_ && !waiter_.is_nowhere()) {
      if (LinkRef link = link_of(waiter_); !link.is_nothing()) {
        of_waiter_.emplace(target_, std::move(link));
      }
    }
    if (!of_target_ && target_.above() != nullptr) {
      of_target_.emplace(target_, LinkRef::share(target_.above()));
    }
  }

  // Tells whether there is a reason to look at what follows.
  [[nodiscard]] bool has_news() const noexcept {
    return (of_waiter_ && of_waiter_->has_fired()) || (of_target_ && of_target_->has_fired());
  }
  [[nodiscard]] bool is_waiter_stopping() const noexcept {
    return (of_waiter_ && of_waiter_->has_fired()) || (cancel_count() != 0 && is_stopping(waiter_));
  }
  // Tells, once, whether the target's scope was cancelled.
  [[nodiscard]] bool take_news_of_target() noexcept {
    return of_target_ && of_target_->take_news();
  }

 private:
  class Listener final : public CancelListener {
   public:
    Listener(JobState& job, LinkRef link) noexcept
        : CancelListener(Kind::job), job_(job), link_(std::move(link)) {
      cancel_link(link_).listen(*this);
    }
    ~Listener() override { cancel_link(link_).ignore(*this); }

    [[nodiscard]] bool has_fired() const noexcept {
      return has_fired_.load(std::memory_order_acquire);  // Pairs with fire().
    }
    bool take_news() noexcept {
      return has_fired() && has_fired_.exchange(false, std::memory_order_acq_rel);
    }

   private:
    void fire() noexcept override;

    JobState& job_;
    const LinkRef link_;
    std::atomic<bool> has_fired_{false};
  };

  JobState& target_;
  const Origin waiter_;
  std::optional<Listener> of_waiter_;
  std::optional<Listener> of_target_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_LIB_POOL_CANCEL_WATCH_H_
