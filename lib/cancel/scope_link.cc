// SPDX-License-Identifier: Apache-2.0
//
// The links of scopes: their deadlines, and the links that stand in for them.

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/callback_threads.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Returns the reason of all deadlines. It needs no memory, and is never destroyed. Is made before
// threads begin that a fork could meet in the first call.
std::shared_ptr<const CancelReason> deadline_reason() noexcept {
  alignas(CancelReason) static std::byte place[sizeof(CancelReason)];
  static const CancelReason& reason =
      *::new (static_cast<void*>(place)) CancelReason{.text = {}, .is_deadline = true};
  return {std::shared_ptr<const CancelReason>(), &reason};
}
[[maybe_unused]] const bool reason_is_made = deadline_reason() != nullptr;

}  // namespace

bool cancel_because(CancelLink& link, std::string_view text) noexcept {
  if (link.is_self_cancelled()) {
    return false;
  }
  std::shared_ptr<const CancelReason> reason;
  if (!text.empty()) {
    try {
      reason = std::make_shared<const CancelReason>(CancelReason{std::string(text)});
    } catch (const std::bad_alloc&) {  // Nobody will know why.
    }
  }
  const LinkRef held = LinkRef::share(&link);  // Its scope may end because of this.
  const bool is_first = link.cancel(reason);
  if (const LinkRef newest = link.newest(); newest.get() != &link) {
    (void)cancel_link(newest).cancel(std::move(reason));
  }
  return is_first;
}

ScopeLink::ScopeLink(LinkRef above, Executor* executor, JobIdentity job, Deadline deadline,
                     std::string_view reason, bool is_shielded)
    : CancelLink(std::move(above), executor, std::move(job), deadline, is_shielded),
      TimerEntry(deadline, &fire_it) {
  if (!reason.empty() && is_timed()) {
    deadline_reason_ = std::make_shared<const CancelReason>(
        CancelReason{.text = std::string(reason), .is_deadline = true});
  }
}

void ScopeLink::start() {
  if (is_timed()) {
    prepare_callback_threads();
    Timer::get().start();
    Timer::get().add(*this);
  }
}

void ScopeLink::destroy() noexcept {
  if (is_timed()) {
    Timer::get().settle(*this);
  }
  CancelLink::destroy();
}

// On the timer's thread.
void ScopeLink::fire_it(TimerEntry& self) noexcept {
  auto& link = static_cast<ScopeLink&>(self);
  if (link.try_add_ref()) {
    (void)link.cancel(link.deadline_reason_ != nullptr ? link.deadline_reason_ : deadline_reason(),
                      Caller::timer);
    if (link.drop_ref()) {
      link.end_elsewhere();
    }
  }
}

LinkRef ScopeLink::renew(LinkRef above) {
  LinkRef last = newest();
  if (cancel_link(last).is_self_cancelled()) {
    return last;
  }
  LinkRef fresh = LinkRef::adopt(new ScopeLink(
      std::move(above), executor(), job(), deadline(),
      deadline_reason_ != nullptr ? deadline_reason_->text : std::string_view(), is_shielded()));
  static_cast<ScopeLink&>(*fresh.get()).start();
  if (!cancel_link(last).set_successor(fresh)) {
    return last;
  }
  frame.whose = Origin::link(fresh);
  return fresh;
}

void renew_scopes(Workplace& job) noexcept {
  try {
    std::vector<const Frame*> open;  // Those of scopes, the innermost first.
    Origin origin = current_activation()->origin.innermost();
    const Frame* frame = origin.tagged_frame();
    while (frame != nullptr && frame->whose.tagged_job() != &job) {
      if (frame->whose.link() != nullptr) {
        open.push_back(frame);
        origin = frame->outer.innermost();
      } else {
        origin = frame->whose.to_look(frame->outer).innermost();
      }
      frame = origin.tagged_frame();
    }
    if (frame == nullptr || open.empty()) {
      return;  // There is none, or this is not the job's own code.
    }
    LinkRef above = LinkRef::share(job.link());
    for (const Frame* const scope : std::ranges::reverse_view(open)) {
      above = static_cast<const ScopeFrame*>(scope)->owner->renew(std::move(above));
    }
  } catch (const std::exception&) {  // No memory, or no thread: they stay cancelled.
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
