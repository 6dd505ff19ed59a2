// SPDX-License-Identifier: Apache-2.0
//
// this_job: which job the calling code belongs to, and what that answers.

#include "taskctx/this_job.h"

#include <cstdint>
#include <string_view>

#include "taskctx/cancel.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace this_job {

namespace {

internal::Origin whose() noexcept { return internal::current_activation()->origin.whose(); }

}  // namespace

bool cancel_requested() noexcept {
  const internal::Workplace* const job = whose().tagged_job();
  return cancelled() ||
         (job != nullptr && static_cast<const internal::JobState*>(job)->is_cancel_requested());
}

std::uint64_t id() noexcept {
  const internal::Origin here = whose();
  if (const internal::Workplace* const job = here.tagged_job(); job != nullptr) {
    return const_cast<internal::Workplace*>(job)->id();
  }
  const internal::Link* const link = here.link();
  return link != nullptr ? link->job().id : 0;
}

std::string_view name() noexcept {
  const internal::Origin here = whose();
  if (const internal::Workplace* const job = here.tagged_job(); job != nullptr) {
    return job->name();
  }
  const internal::Link* const link = here.link();
  return link != nullptr && link->job().name != nullptr ? std::string_view(*link->job().name)
                                                        : std::string_view();
}

}  // namespace this_job
}  // namespace v1
}  // namespace taskctx
