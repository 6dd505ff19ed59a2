// SPDX-License-Identifier: Apache-2.0
//
// Whether the code that asks is to stop, and the error that says so.
//
//   if (cancel_count() != 0 && is_stopping()) throw_cancelled("wait for job");

#ifndef TASKCTX_INTERNAL_CANCEL_STOPPING_H_
#define TASKCTX_INTERNAL_CANCEL_STOPPING_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Tells whether the work of `whose` is to stop; or that of the code that calls it.
inline bool is_stopping(Origin whose, std::uint64_t count) noexcept {
  if (Link* const link = whose.link(); link != nullptr) {
    return static_cast<CancelLink*>(link)->is_cancelled(count);
  }
  const Workplace* const job = whose.tagged_job();
  return job != nullptr && !job->is_ending() &&
         (job->is_told_to_stop() ||
          (job->above() != nullptr && static_cast<CancelLink*>(job->above())->is_cancelled(count)));
}
inline bool is_stopping(Origin whose) noexcept { return is_stopping(whose, cancel_count()); }
// Likewise of code with this origin. `count`: what cancel_count() has just returned.
bool is_stopping_in(Origin origin, std::uint64_t count) noexcept;
inline bool is_stopping(std::uint64_t count) noexcept {
  const Origin origin = current_activation()->origin;
  return !origin.leads_nowhere() && is_stopping_in(origin, count);
}
inline bool is_stopping() noexcept { return is_stopping(cancel_count()); }

// Returns the link of the code that calls it, if it has one without making it, or else the one
// above its job; nullptr if there is neither. Valid as long as that code runs.
CancelLink* link_here() noexcept;
CancelLink* known_link_of(Origin whose) noexcept;

// Returns why the code that calls it is to stop, if it is. O(scopes and jobs around).
absl::Status stop_reason();
absl::Status stop_reason(Origin whose);

// Returns a reason as a status. nullptr: nobody has said why.
absl::Status status_of(const CancelReason* reason);

// Throws the Cancelled that says why the code that calls it is to stop: "cannot <verb>: <reason>".
[[noreturn]] void throw_cancelled(std::string_view verb);
[[noreturn]] void throw_cancelled(std::string_view verb, Origin whose);
// Does so if it is to stop.
inline void check_stopping(std::string_view verb) {
  if (cancel_count() != 0 && is_stopping()) [[unlikely]] {
    throw_cancelled(verb);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_STOPPING_H_
