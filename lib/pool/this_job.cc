// SPDX-License-Identifier: Apache-2.0
//
// this_job: which job the calling code belongs to, and what that answers.

#include "taskctx/this_job.h"

#include <cstdint>
#include <string_view>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace this_job {

namespace {

internal::JobState* current() noexcept {
  return static_cast<internal::JobState*>(
      const_cast<internal::Workplace*>(internal::current_activation()->origin.job()));
}

}  // namespace

bool cancel_requested() noexcept {
  const internal::JobState* job = current();
  return job != nullptr && job->is_cancel_requested();
}

std::uint64_t id() noexcept {
  internal::JobState* job = current();
  return job != nullptr ? job->id() : 0;
}

std::string_view name() noexcept {
  const internal::JobState* job = current();
  return job != nullptr ? job->name() : std::string_view();
}

}  // namespace this_job
}  // namespace v1
}  // namespace taskctx
