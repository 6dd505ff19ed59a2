// SPDX-License-Identifier: Apache-2.0

#include "taskctx/coro.h"

#include <span>
#include <string>
#include <vector>

#include "taskctx/internal/accountant.h"
#include "taskctx/internal/coroutine_job.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/flow.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/node.h"
#include "taskctx/internal/parking.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/internal/timer.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Resumes a coroutine that has no job of its own.
class ResumeTask final : public JobState {
 public:
  ResumeTask(PoolCore* pool, std::coroutine_handle<> handle)
      : JobState(pool, NodeRef(), /*references=*/1), handle_(handle) {}

 private:
  void call() override { handle_.resume(); }
  void drop() noexcept override {}
  // Somebody's coroutine would never end if this could be cancelled.
  [[nodiscard]] bool has_begun() const noexcept override { return true; }
  bool can_begin(std::vector<HeldJob>& /*missing*/) override { return false; }

  const std::coroutine_handle<> handle_;
};

}  // namespace

void throw_no_task(const char* verb, bool has_begun) {
  throw JobError(std::string("cannot ") + verb +
                 " task: " + (has_begun ? "it has been awaited already" : "there is none"));
}

PoolCore* pool_here() {
  const void* here = current_activation()->origin.executor();
  return here != nullptr ? static_cast<PoolCore*>(const_cast<void*>(here))
                         : JobPoolAccess::core(default_pool());
}

JobState* suspend_in_job(Flow* flow, std::coroutine_handle<> handle,
                         std::span<JobState* const> awaited) noexcept {
  Flow& home = *flow->home();
  JobState* const job = home.job();
  home.set_next(*flow, handle, awaited);
  job->pool()->suspend(job);
  if (!awaited.empty()) {
    unpark_helpers();  // Who waits for this job can help with what it waits for.
  }
  return job;
}

JobState* suspend_elsewhere(PoolCore* elsewhere, std::coroutine_handle<> handle) {
  auto* const task = new ResumeTask(elsewhere, handle);
  elsewhere->enter_waiting(task);
  return task;
}

void Sleep::suspend(Flow* flow, std::coroutine_handle<> handle) {
  to_wake_ = flow != nullptr && flow->home() != nullptr ? suspend_in_job(flow, handle, {})
                                                        : suspend_elsewhere(pool_here(), handle);
  JobState* const job = to_wake_;
  if (!Timer::get().add(*this)) {
    has_failed_ = true;
    wake(job);
  }
}

void Schedule::suspend(PoolCore* pool, Flow* flow, std::coroutine_handle<> handle) {
  const bool is_home = flow != nullptr && flow->home() != nullptr &&
                       (pool == nullptr || pool == flow->home()->job()->pool());
  wake(is_home ? suspend_in_job(flow, handle, {})
               : suspend_elsewhere(pool != nullptr ? pool : pool_here(), handle));
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
