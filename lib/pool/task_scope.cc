// SPDX-License-Identifier: Apache-2.0
//
// The beginning and the end of a TaskScope.

#include "taskctx/task_scope.h"

#include <exception>
#include <string_view>
#include <utility>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/open_scope.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/scope_job.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {
namespace {

internal::ScopeJob* make_scope_job(const JobPool& pool, TaskScopeOptions& options,
                                   internal::CallPlace place) {
  const Deadline after = Deadline::after(options.timeout);
  internal::LinkRef link =
      internal::make_scope_link(after.is_before(options.deadline) ? after : options.deadline, {});
  const internal::ScopeRules rules{.at_first_failure = options.policy == JoinPolicy::fail_fast,
                                   .at_first_success = options.policy == JoinPolicy::first_success};
  auto* const job = new internal::ScopeJob(internal::JobPoolAccess::core(pool), std::move(link),
                                           rules, std::move(options.name));
  job->set_place(place.get());
  return job;
}

}  // namespace

TaskScope::TaskScope(JobPool& pool, TaskScopeOptions options, internal::CallPlace place)
    : job_(make_scope_job(pool, options, place)),
      exceptions_(std::uncaught_exceptions()),
      // Not emplaced: g++ 14 warns that what emplace() ends first may be uninitialized.
      stop_(options.stop_token.stop_possible()
                ? decltype(stop_)(std::in_place, std::move(options.stop_token),
                                  Stop{internal::LinkRef::share(&job_->scope_link())})
                : decltype(stop_)()) {}

TaskScope::~TaskScope() { job_->end_scope(std::uncaught_exceptions() > exceptions_); }

void TaskScope::Stop::operator()() const noexcept {
  static constexpr std::string_view kText = "a stop was requested";
  (void)internal::cancel_because(internal::cancel_link(link), kText);
}

bool TaskScope::cancel(std::string_view reason) noexcept {
  return internal::cancel_because(job_->scope_link(), reason);
}

}  // namespace v1
}  // namespace taskctx
