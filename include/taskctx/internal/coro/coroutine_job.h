// SPDX-License-Identifier: Apache-2.0
//
// CoroutineJob: a coroutine as a job of a pool. It is queued for each of its turns: at the start,
// and at each resumption. While one of taskctx's own awaitables suspends it, it is in the pool's
// list of waiting jobs; suspended by another awaitable, it counts as running.

#ifndef TASKCTX_INTERNAL_CORO_COROUTINE_JOB_H_
#define TASKCTX_INTERNAL_CORO_COROUTINE_JOB_H_

#include <coroutine>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/owned_coroutine.h"
#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/job_result.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/task.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename T>
class CoroutineJob : public JobResult<T>, public JobFlow {
 public:
  // Runs `task`, which has not begun, in a context of its own that begins as `context`.
  CoroutineJob(PoolCore* pool, Inherited inherited, Task<T>& task)
      : JobResult<T>(pool, std::move(inherited), /*references=*/2),  // The handle's, the list's.
        JobFlow(this->context_node()) {
    frame_.whose = Origin::job(this);
    adopt(task);
  }
  // Runs it in the current context, that of `caller`, which waits: as the work of the same.
  CoroutineJob(PoolCore* pool, Task<T>& task, Activation* caller)
      : JobResult<T>(pool, {NodeRef::share(current_node()), {}}, /*references=*/2),
        JobFlow(this->context_node(), caller) {
    frame_.whose = caller->origin.whose();
    adopt(task);
  }
  ~CoroutineJob() override {
    if (coroutine_.promise() != nullptr) {  // Refused by the pool.
      const Installed context(this->context_node());
      coroutine_.reset();
    }
  }

  // Another thread may resume the coroutine, and end it, before this returns.
  void perform(Ledger* /*ledger*/) noexcept override {
    const bool is_first = !has_begun();
    if (is_first && this->is_over()) [[unlikely]] {
      this->end_unbegun();
      return;
    }
    this->run_isolated(
        is_first, [](void* self) { static_cast<CoroutineJob*>(self)->resume_next(); }, this);
  }

  [[nodiscard]] Home home() noexcept override { return {this, this}; }

  void end() noexcept override {
    const bool has_own_context = current_activation() == &own_;
    const std::uint32_t how = this->guarded([&] {
      this->store([this]() -> T { return coroutine_.promise()->take(); });
      if (has_own_context) {
        this->add_written();
      }
    });
    this->begin_to_end();
    coroutine_.reset();
    std::optional<NodeRef> left;
    if (has_own_context && current_node() != this->context_node() && this->keeps_context(how)) {
      left = NodeRef::share(current_node());
    }
    leave();
    const AtWork at_work(this->pool());  // Whichever thread resumed the coroutine.
    forget();
    this->finish(how, std::move(left));
  }

 private:
  void adopt(Task<T>& task) {
    coroutine_ = std::move(TaskAccess::coroutine(task));
    coroutine_.promise()->set_flow(this);
    set_first(coroutine_.handle());
  }
  // While nobody runs it.
  [[nodiscard]] bool has_begun() const noexcept { return suspension() != nullptr; }

  void call() override {}
  void drop() noexcept override { coroutine_.reset(); }
  [[nodiscard]] bool has_begun(const LaneLock& /*lock*/) const noexcept override {
    return has_begun();
  }
  [[nodiscard]] bool may_suspend() const noexcept override { return true; }
  bool interrupt(const LaneLock& lock) noexcept override {
    return has_begun() && !is_shielded(*this, next_origin().whose()) &&
           suspension()->interrupt(lock);
  }
  bool break_circle(const LaneLock& lock, const JobState* awaited) noexcept override {
    return has_begun() && suspension()->break_circle(lock, awaited);
  }
  bool can_begin(const LaneLock& lock, Missing& missing) noexcept override {
    JobState* const awaited = has_begun() ? suspension()->awaited() : nullptr;
    if (awaited != nullptr && !awaited->is_done()) {
      missing.add(lock, awaited, /*is_choice=*/false);
    }
    return false;  // If nothing is missing, its wake-up is on the way.
  }

  OwnedCoroutine<TaskPromise<T>> coroutine_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_COROUTINE_JOB_H_
