// SPDX-License-Identifier: Apache-2.0
//
// OpenScope: the guard of a CancelScope, or a Shield: what the block creates has its link.

#ifndef TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_
#define TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_

#include <cstdint>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// A scope that is no activation of its own: what the block sets stays. It changes the origin of the
// current activation, which is told by its id, as for a Scope. So it may end on another thread.
class OpenScope {
 public:
  enum Kind { kShield };

  // Begins a scope below what is around. Throws std::bad_alloc, and std::system_error.
  explicit OpenScope(Deadline deadline);
  // Begins one that has nothing above it.
  explicit OpenScope(Kind kind);
  OpenScope(const OpenScope&) = delete;
  OpenScope& operator=(const OpenScope&) = delete;
  ~OpenScope();

  [[nodiscard]] CancelLink& link() const noexcept { return *link_; }

 private:
  OpenScope(Deadline deadline, bool is_shield);
  void leave_crossed() noexcept;

  Activation* const activation_;
  const std::uint64_t id_;
  ScopeLink* const link_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_OPEN_SCOPE_H_
