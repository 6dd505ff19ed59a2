// SPDX-License-Identifier: Apache-2.0
//
// PoolCore: what a JobPool keeps in one place while jobs run, the pool itself gone or not.
//
// Jobs are enqueued, not spawned: an enqueued task is never run on the stack of a task that waits,
// so what is below a waiting job on its stack is only what waits for it. The job's code runs
// isolated for the same reason: its waiting steals nothing but leaves of its own. And an exception
// that escaped from an enqueued task would end the program: the shells here catch all.

#ifndef TASKCTX_INTERNAL_POOL_CORE_H_
#define TASKCTX_INTERNAL_POOL_CORE_H_

#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "taskctx/internal/current.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/node.h"
#include "taskctx/job_options.h"
#include "taskctx/policy.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class PoolCore {
 public:
  PoolCore(int concurrency, JobPoolOptions options);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;

  [[nodiscard]] int concurrency() const noexcept { return arena_.max_concurrency(); }
  [[nodiscard]] const std::shared_ptr<const ExceptionHandler>& handler() const noexcept {
    return handler_;
  }

  // Makes the context of a job that is submitted here: what the options ask for, or what the pool's
  // factory makes, or a snapshot. Throws what a factory throws.
  NodeRef context() { return context_factory_ ? made_by(context_factory_) : capture(); }
  NodeRef context(const JobOptions& options);

  // Queues `job`, of which the queue has a reference; drops that if it throws.
  void enqueue(JobState* job);

  template <typename F>
  void post(NodeRef context, F&& function) {
    Posted<std::decay_t<F>> posted(this, std::move(context), std::forward<F>(function));
    begin();
    try {
      arena_.enqueue(std::move(posted));
    } catch (...) {
      end();
      throw;
    }
  }

  // Waits for every job and destroys the core; in one of its own jobs it leaves that to the last
  // job.
  void close() noexcept;

 private:
  // A posted function, as oneTBB's queue holds it.
  template <typename F>
  class Posted {
   public:
    template <typename G>
    Posted(PoolCore* core, NodeRef context, G&& function)
        : core_(core),
          context_(std::move(context)),
          function_(std::in_place, std::forward<G>(function)) {}

    void operator()() const noexcept {  // const: oneTBB calls it so, once.
      core_->run_posted(context_.get(), &Posted::call, this);
      context_ = NodeRef();
      core_->end();
    }

   private:
    static void call(const void* self) {
      std::optional<F>& function = static_cast<const Posted*>(self)->function_;
      struct Destroyer {
        ~Destroyer() { function.reset(); }
        std::optional<F>& function;
      } const destroyer{function};
      std::invoke(std::move(*function));
    }

    PoolCore* core_;
    mutable NodeRef context_;
    mutable std::optional<F> function_;
  };

  ~PoolCore();

  static NodeRef made_by(const ContextFactory& factory);

  // Count what is queued or running.
  void begin() noexcept { pending_.fetch_add(1, std::memory_order_relaxed); }
  void end() noexcept {
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      end_last();
    }
  }
  void end_last() noexcept;
  void run_posted(Node* context, void (*call)(const void*), const void* self) noexcept;

  std::atomic<std::int64_t> pending_{1};  // One for the pool itself.
  oneapi::tbb::task_arena arena_;
  const std::shared_ptr<const ExceptionHandler> handler_;
  const ContextFactory context_factory_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ =
      false;  // Guarded by mutex_: everything has run, and nobody touches the core any more.
  bool is_orphaned_ = false;  // Guarded by mutex_: the last job destroys the core.
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_CORE_H_
