// SPDX-License-Identifier: Apache-2.0
//
// The beginning and the end of a CancelScope, or a Shield.

#include "taskctx/internal/cancel/open_scope.h"

#include <utility>

#include "lib/cancel/cancel_forking.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

ScopeLink* make_link(const Activation* here, Deadline deadline, bool is_shield) {
  handle_cancel_forks();
  LinkRef above = capture_link();
  JobIdentity job = above.get() != nullptr ? above.get()->job() : JobIdentity();
  if (is_shield) {
    above = LinkRef();
  }
  LinkRef link = LinkRef::adopt(
      new ScopeLink(std::move(above), here->origin.executor(), std::move(job), deadline));
  auto& scope = static_cast<ScopeLink&>(*link.get());
  scope.start();
  (void)link.detach();
  return &scope;
}

}  // namespace

OpenScope::OpenScope(Deadline deadline) : OpenScope(deadline, /*is_shield=*/false) {}

OpenScope::OpenScope(Kind /*kind*/) : OpenScope(Deadline(), /*is_shield=*/true) {}

OpenScope::OpenScope(Deadline deadline, bool is_shield)
    : activation_(identified_activation()),
      id_(activation_->id),
      link_(make_link(activation_, deadline, is_shield)) {
  link_->frame = {.outer = activation_->origin,
                  .whose = Origin::link(link_, /*is_in_group=*/false)};
  activation_->origin = Origin::frame(&link_->frame);
}

OpenScope::~OpenScope() {
  Activation* const here = current_activation();
  if (here == activation_ && here->id == id_ && here->origin == Origin::frame(&link_->frame))
      [[likely]] {
    here->origin = link_->frame.outer;
    if (link_->is_unknown()) {
      link_->destroy();
      return;
    }
    link_->end();
    link_->release();
  } else {
    link_->end();
    leave_crossed();
  }
}

// The link keeps its last reference: the place where the scope began may still refer to its frame.
void OpenScope::leave_crossed() noexcept {
  report_misuse(
      "leave cancel scope",
      "it did not begin here, or one inside it has not ended: what runs where it began is "
      "still below it",
      {}, {});
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
