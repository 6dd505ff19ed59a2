// SPDX-License-Identifier: Apache-2.0
//
// ScopeJob: the end of a task scope, as a job that waits for all that was started in the scope.
//
//   ScopeEntry entry(scope, options);                         // throws, if the scope has ended
//   launch<ChildJob<FunctionJob<...>>>(entry, options, scope, ...);
//   scope.join_all();
//
// Threads wait for it as for any other job: they help, park, and find circles. But it is in no list
// of its pool's, is not counted, and nobody begins it: a pool that was shut down has it as well.
//
// It counts what keeps it from ending: the open scope, each call that starts a child, each child.
// A child counts until it is gone, except for what a handle keeps: its result.

#ifndef TASKCTX_INTERNAL_POOL_SCOPE_JOB_H_
#define TASKCTX_INTERNAL_POOL_SCOPE_JOB_H_

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The part of a job that ties it to its scope.
struct ScopeChild {
  ScopeJob* const scope;
  JobState* const job;
  ScopeChild* next = nullptr;  // In one of the scope's lists, with its lock.
  ScopeChild** at = nullptr;   // What points here.
};

// A job that was started in a scope.
template <typename J>
class ChildJob final : public J {
 public:
  template <typename... Args>
  ChildJob(PoolCore* pool, Inherited inherited, ScopeJob& scope, Args&&... args)
      : J(pool, std::move(inherited), std::forward<Args>(args)...), child_{&scope, this} {
    this->is_in_scope();
  }

 private:
  ScopeChild* scope_child() noexcept override { return &child_; }

  ScopeChild child_;
};

// When the children are cancelled, because one of them has ended.
struct ScopeRules {
  bool at_first_failure = false;
  bool at_first_success = false;
};

class ScopeJob final : public JobState, private CancelListener {
 public:
  // Begins with two references: its owner's, who calls end_scope(), and its own, until it has
  // ended. `link` is a ScopeLink.
  ScopeJob(PoolCore* pool, LinkRef link, ScopeRules rules, std::string name);

  [[nodiscard]] CancelLink& scope_link() const noexcept { return cancel_link(scope_link_); }

  // For ScopeEntry: keeps the scope from ending. Throws JobError if it has ended.
  void begin_to_start(std::string_view name);
  void start(JobState* job, PoolCore::Admission& admission);

  // Of a child that has ended: forgets it, and cancels the others if that is the rule.
  void note_end(ScopeChild& child) noexcept;
  // Counts down. The last one ends the scope.
  void count_down() noexcept;

  // Waits for all children, helping, and throws what TaskScope::join() throws.
  void join_all();
  // The parts of that. Once the first has returned, the scope ends when no child is left. Throws
  // JobError where that would never be, or has been.
  void begin_to_join();
  // Throw, if there is reason to. The first gives up the errors.
  void throw_failures();
  void throw_if_cancelled();

  // For the owner: waits for all children, hands over failures that nobody has seen, and drops the
  // reference. Cancels first, if an exception has ended the block.
  void end_scope(bool is_unwinding) noexcept;

 private:
  void call() override {}
  void drop() noexcept override {}
  [[nodiscard]] bool has_begun(const LaneLock& /*lock*/) const noexcept override { return true; }
  bool can_begin(const LaneLock& lock, Missing& missing) noexcept override;
  void fire() noexcept override;

  using Lock = std::lock_guard<std::mutex>;
  static void insert(const Lock& lock, ScopeChild*& first, ScopeChild& child) noexcept;
  static void erase(const Lock& lock, ScopeChild& child) noexcept;
  void listen();
  void close() noexcept;
  bool wait_for_children(Deadline deadline);
  void wait_at_the_end();
  void give_up(const char* why) noexcept;
  [[nodiscard]] bool is_child_here() const noexcept;
  [[nodiscard]] bool has_succeeded() const noexcept {
    return rules_.at_first_success && succeeded_ != 0;
  }
  void note_joined() noexcept;
  void hand_over_failures() noexcept;
  void release_failures() noexcept;

  const LinkRef scope_link_;
  const ScopeRules rules_;
  std::atomic<std::size_t> count_{1};
  std::mutex mutex_;                // Guards what follows. May be taken with a lane's lock.
  ScopeChild* children_ = nullptr;  // Those that have not ended; the newest first.
  ScopeChild* told_ = nullptr;      // Those of them that have been told of a cancellation.
  ScopeChild* failed_ = nullptr;    // With a reference to each; the first first.
  ScopeChild** last_failed_ = &failed_;
  std::size_t started_ = 0;
  std::size_t succeeded_ = 0;
  std::size_t cancelled_ = 0;
  bool has_ended_ = false;  // One of these two hands over the failures, if nobody joined: the ...
  bool is_left_ = false;    // ... owner, or if that is gone, whoever ends the scope.

  bool is_closed_ = false;  // These are the owner's.
  bool is_listening_ = false;
  bool is_joined_ = false;
};

// The entry of a job that is started in a scope (launch.h).
class ScopeEntry {
 public:
  ScopeEntry(ScopeJob& scope, const JobOptions* options)
      : counted_(scope, options), admission_(*scope.pool(), options) {}

  [[nodiscard]] PoolCore* core() const noexcept { return admission_.core(); }
  Inherited inherited(const JobOptions* options) {
    return core()->inherited(options, LinkRef::share(&counted_.scope.scope_link()));
  }
  // The caller has a handle.
  void accept(JobState* job) { counted_.scope.start(job, admission_); }

 private:
  struct Counted {
    Counted(ScopeJob& in, const JobOptions* options) : scope(in) {
      scope.begin_to_start(name_in(options));
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { scope.count_down(); }

    ScopeJob& scope;
  };

  const Counted counted_;
  PoolCore::Admission admission_;
};

// What TaskScope::join() returns: joins at the end of the line, unless it is awaited there.
class ScopeJoin {
 public:
  explicit ScopeJoin(ScopeJob& scope) noexcept : scope_(&scope) {}
  ScopeJoin(const ScopeJoin&) = delete;
  ScopeJoin& operator=(const ScopeJoin&) = delete;
  ~ScopeJoin() noexcept(false) {  // NOLINT(bugprone-exception-escape): it is the call
    if (scope_ != nullptr) {
      scope_->join_all();
    }
  }

  // For an awaiter, which joins.
  [[nodiscard]] ScopeJob& take() noexcept { return *std::exchange(scope_, nullptr); }

 private:
  ScopeJob* scope_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_SCOPE_JOB_H_
