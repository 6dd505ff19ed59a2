// SPDX-License-Identifier: Apache-2.0
//
// CallLink: what a blocking algorithm, or a group, has to do with cancellation. GroupListener: lets
// a link cancel one of oneTBB's task_group_contexts.
//
//   CallLink link;                                   // throws Cancelled if the caller is to stop
//   onetbb::task_group_context context(link.kind());
//   { const GroupListener listener(link.link(), executor, context);
//     onetbb::parallel_for(range, body, context); }
//   link.check("end loop");                          // throws Cancelled: the result is a part
//
// The outermost algorithm of a job, scope or Shield runs in an isolated task_group_context, which
// is cancelled with its link. Those inside its leaves bind to it in oneTBB's way. So they cost no
// more than usual.

#ifndef TASKCTX_INTERNAL_TBB_CALL_LINK_H_
#define TASKCTX_INTERNAL_TBB_CALL_LINK_H_

#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace onetbb = ::oneapi::tbb;

class CallLink {
 public:
  // For a call by the code that runs here. Costs a load and a test outside of all jobs and scopes.
  // Throws Cancelled, and std::bad_alloc.
  explicit CallLink(std::string_view verb) {
    const Origin origin = current_activation()->origin;
    if (!origin.leads_nowhere()) [[unlikely]] {
      look(origin, verb);
    }
  }

  // Tells whether the caller has a link: the call is in a group that this cancels, or ...
  [[nodiscard]] bool is_linked() const noexcept { return !whose_.is_nowhere(); }
  // ... is the outermost one, and so needs such a group.
  [[nodiscard]] bool needs_group() const noexcept { return is_linked() && !is_in_group_; }
  [[nodiscard]] bool is_in_group() const noexcept { return is_in_group_; }
  // Returns the kind of its task_group_context.
  [[nodiscard]] onetbb::task_group_context::kind_type kind() const noexcept {
    return needs_group() ? onetbb::task_group_context::isolated : onetbb::task_group_context::bound;
  }
  // Returns the caller's link, or nothing.
  [[nodiscard]] LinkRef link() const { return link_of(whose_); }

  // Throws Cancelled if the caller is to stop.
  void check(std::string_view verb) const {
    if (!whose_.is_nowhere() && cancel_count() != 0 && is_stopping(whose_)) [[unlikely]] {
      throw_cancelled(verb, whose_);
    }
  }

 private:
  [[gnu::noinline]] void look(Origin origin, std::string_view verb) {
    whose_ = origin.whose();
    if (const Workplace* const job = whose_.tagged_job(); job != nullptr && job->is_ending()) {
      whose_ = Origin();
      return;
    }
    check(verb);
    is_in_group_ = origin.is_in_group();
  }

  Origin whose_;
  bool is_in_group_ = false;
};

class GroupListener final : private CancelListener {
 public:
  // Lets `link`, which must not be nothing, cancel `context` from here on. `executor`: the pool of
  // the code that waits, or nullptr.
  GroupListener(LinkRef link, Executor* executor, onetbb::task_group_context& context) noexcept
      : CancelListener(Kind::prompt),
        link_(std::move(link)),
        executor_(executor),
        context_(context) {
    if (executor != nullptr) {
      executor->note_loop();
    }
    cancel_link(link_).listen(*this);
  }
  ~GroupListener() override {
    cancel_link(link_).ignore(*this);
    settle();
  }

  // Says that what was cancelled has ended, if it was.
  void settle() noexcept {
    if (has_fired_.exchange(false, std::memory_order_relaxed)) {
      poke(-kStop);
    }
  }

 private:
  void fire() noexcept override {
    context_.cancel_group_execution();
    poke(kStop);
    // Relaxed: settle() is called after the tasks have ended, which oneTBB orders.
    has_fired_.store(true, std::memory_order_relaxed);
  }
  // Lets leaves look whether they are cancelled: oneTBB does so between tasks only.
  void poke(std::uint32_t change) noexcept {
    no_calls.fetch_add(change, std::memory_order_relaxed);
    if (executor_.get() != nullptr) {
      executor_.get()->calls().fetch_add(change, std::memory_order_relaxed);
    }
  }

  const LinkRef link_;
  const ExecutorRef executor_;
  onetbb::task_group_context& context_;
  std::atomic<bool> has_fired_{false};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_CALL_LINK_H_
