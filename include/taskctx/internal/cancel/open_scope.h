// SPDX-License-Identifier: Apache-2.0
//
// OpenScope: the guard of a CancelScope, or a Shield: what the block creates has its link.

#ifndef TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_
#define TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_

#include <cstdint>
#include <string_view>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes the link of a scope below the code that calls this. `reason`: what is said when the time is
// over; may be empty. Throws std::bad_alloc, and std::system_error.
LinkRef make_scope_link(Deadline deadline, std::string_view reason);

// A scope that is no activation of its own: what the block sets stays. It changes the origin of the
// current activation, which is told by its id, as for a Scope. So it may end on another thread.
class OpenScope {
 public:
  struct Shielding {};

  // Begins a scope below what is around. `reason`: what is said when the time is over; may be
  // empty. Throws std::bad_alloc, and std::system_error.
  OpenScope(Deadline deadline, std::string_view reason);
  // Begins one that has nothing above it. Without memory its code belongs to no job. Outside of all
  // jobs and scopes it does nothing.
  explicit OpenScope(Shielding shielding) noexcept;
  OpenScope(const OpenScope&) = delete;
  OpenScope& operator=(const OpenScope&) = delete;
  ~OpenScope();

  // Tells whether the code in the scope is to stop. From any thread.
  [[nodiscard]] bool is_cancelled() const noexcept;

  // Of a scope that is no shield.
  [[nodiscard]] CancelLink& link() const noexcept { return *link_; }

 private:
  void enter(Activation* here) noexcept;
  [[nodiscard]] Frame& frame() noexcept { return link_ != nullptr ? link_->frame : own_frame_; }
  void leave_crossed() noexcept;

  Activation* activation_ = nullptr;  // nullptr: it does nothing.
  std::uint64_t id_ = 0;
  ScopeLink* link_ = nullptr;
  Frame own_frame_;  // If there is no link.
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_
