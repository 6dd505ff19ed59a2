// SPDX-License-Identifier: Apache-2.0
//
// How code finds out that it is to stop: by its job, and by the links around.

#include "taskctx/internal/cancel/stopping.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "taskctx/cancelled.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

bool is_stopping_in(Origin origin, std::uint64_t count) noexcept {
  return is_stopping(origin.whose(), count);
}

CancelLink* link_here() noexcept { return known_link_of(current_activation()->origin.whose()); }

CancelLink* known_link_of(Origin whose) noexcept {
  const Workplace* const job = whose.tagged_job();
  return static_cast<CancelLink*>(job == nullptr     ? whose.link()
                                  : job->is_ending() ? nullptr
                                                     : job->above());
}

absl::Status status_of(const CancelReason* reason) {
  if (reason != nullptr && reason->is_deadline) {
    return absl::DeadlineExceededError(reason->text.empty() ? "the time is over" : reason->text);
  }
  return absl::CancelledError(reason == nullptr || reason->text.empty() ? "it was cancelled"
                                                                        : reason->text);
}

absl::Status stop_reason() { return stop_reason(current_activation()->origin.whose()); }

absl::Status stop_reason(Origin whose) {
  const Workplace* const job = whose.tagged_job();
  if (job != nullptr && job->is_told_to_stop()) {
    const std::string_view name = job->name();
    return absl::CancelledError(name.empty() ? "the job was cancelled"
                                             : "job '" + std::string(name) + "' was cancelled");
  }
  CancelLink* const link = known_link_of(whose);
  return status_of(link != nullptr ? link->reason().get() : nullptr);
}

void throw_cancelled(std::string_view verb) {
  throw_cancelled(verb, current_activation()->origin.whose());
}

void throw_cancelled(std::string_view verb, Origin whose) {
  absl::Status reason = stop_reason(whose);
  std::string message("cannot ");
  message.append(verb).append(": ").append(std::string(reason.message()));
  throw Cancelled(message, std::move(reason));
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
