// SPDX-License-Identifier: Apache-2.0
//
// JoinAwaiter: `co_await scope.join()`. The coroutine is resumed when all that was started in the
// scope has ended: also when it is cancelled, and so are its children then.

#ifndef TASKCTX_INTERNAL_CORO_JOIN_AWAITER_H_
#define TASKCTX_INTERNAL_CORO_JOIN_AWAITER_H_

#include <coroutine>

#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/scope_job.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class JoinAwaiter final : private Continuation, private Suspension {
 public:
  explicit JoinAwaiter(ScopeJob& scope) noexcept
      : Continuation{&fire_it}, Suspension(/*may_stop=*/false), scope_(scope) {}
  ~JoinAwaiter() override { give_up(); }

  [[nodiscard]] bool await_ready() {
    scope_.begin_to_join();
    return scope_.is_done() && (cancel_count() == 0 || !is_stopping());
  }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    flow_ = flow_of(handle);
    return suspend(flow_, handle, nullptr, scope_.pool());
  }
  void await_resume() {
    go_on();
    scope_.throw_failures();
    check_interrupt(flow_);
    scope_.throw_if_cancelled();
  }

 private:
  static void fire_it(Continuation* self) noexcept { static_cast<JoinAwaiter*>(self)->wake(); }
  void start() override {
    const HeldJob held(&scope_);  // The coroutine may end the scope before this returns.
    held->add_continuation(this);
  }
  bool withdraw(const LaneLock& /*lock*/) noexcept override {
    return scope_.remove_continuation(this);  // For a coroutine that is being destroyed.
  }
  [[nodiscard]] JobState* awaited() const noexcept override { return &scope_; }

  ScopeJob& scope_;
  Flow* flow_ = nullptr;
};

inline JoinAwaiter operator co_await(ScopeJoin&& join) noexcept { return JoinAwaiter(join.take()); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_JOIN_AWAITER_H_
