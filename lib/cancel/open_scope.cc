// SPDX-License-Identifier: Apache-2.0
//
// The beginning and the end of a CancelScope, or a Shield.

#include "taskctx/internal/cancel/open_scope.h"

#include <atomic>
#include <new>
#include <string_view>
#include <utility>

#include "lib/cancel/cancel_forking.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/ids.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace {

// The links of scopes that have ended elsewhere than they began.
constinit std::atomic<ScopeLink*> left_behind{nullptr};

}  // namespace

LinkRef make_scope_link(Deadline deadline, std::string_view reason) {
  handle_cancel_forks();
  LinkRef above = capture_link();
  JobIdentity job = !above.is_nothing() ? above.get()->job() : JobIdentity();
  // Of a job's own link it is false, also if the job itself began inside a Shield.
  const bool is_shielded = !above.is_nothing() && cancel_link(above).is_shielded();
  Executor* const executor = current_activation()->origin.executor();
  LinkRef link = LinkRef::adopt(
      new ScopeLink(std::move(above), executor, std::move(job), deadline, reason, is_shielded));
  static_cast<ScopeLink&>(*link.get()).start();
  return link;
}

OpenScope::OpenScope(Deadline deadline, std::string_view reason) {
  Activation* const here = identified_activation();
  link_ = static_cast<ScopeLink*>(make_scope_link(deadline, reason).detach());
  enter(here);
}

OpenScope::OpenScope(Shielding /*shielding*/) noexcept {
  Activation* const here = current_activation();
  if (here->origin.whose().is_nowhere()) {
    return;
  }
  handle_cancel_forks();
  if (here->id == 0) {
    here->id = draw_id();
    here->scopes = 0;
  }
  try {
    const LinkRef around = capture_link();
    link_ = new ScopeLink(LinkRef(), here->origin.executor(), around.get()->job(), Deadline(), {},
                          /*is_shielded=*/true);
  } catch (const std::bad_alloc&) {
  }
  enter(here);
}

void OpenScope::enter(Activation* here) noexcept {
  activation_ = here;
  id_ = here->id;
  frame() = {.outer = here->origin, .whose = Origin::link(link_, /*is_in_group=*/false)};
  here->origin = Origin::frame(&frame());
}

OpenScope::~OpenScope() {
  if (activation_ == nullptr) {
    return;
  }
  Activation* const here = current_activation();
  if (here != activation_ || here->id != id_ || here->origin != Origin::frame(&frame()))
      [[unlikely]] {
    leave_crossed();
    return;
  }
  here->origin = frame().outer;
  if (link_ == nullptr) [[unlikely]] {
    return;
  }
  if (link_->is_unknown()) {
    link_->destroy();
  } else {
    cancel_link(link_->newest()).end();
    link_->end();
    link_->release();
  }
}

bool OpenScope::is_cancelled() const noexcept {
  return cancel_link(link_->newest()).is_cancelled();
}

// The link keeps its last reference: the place where the scope began may still refer to its frame.
void OpenScope::leave_crossed() noexcept {
  if (link_ != nullptr) {
    link_->end();
    // Pairs with nothing: nobody reads the list but tools that look for leaks.
    link_->left_behind = left_behind.load(std::memory_order_relaxed);
    while (
        !left_behind.compare_exchange_weak(link_->left_behind, link_, std::memory_order_relaxed)) {
    }
  }
  report_misuse(
      "leave cancel scope",
      "it did not begin here, or one inside it has not ended: what runs where it began is "
      "still below it",
      {}, {});
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
