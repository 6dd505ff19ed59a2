// SPDX-License-Identifier: Apache-2.0
//
// Executor, Workplace: what a pool and a job are to code that runs in them. The core, and oneTBB's
// algorithms, know no more of them than this.

#ifndef TASKCTX_INTERNAL_CORE_WORKPLACE_H_
#define TASKCTX_INTERNAL_CORE_WORKPLACE_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// How many due jobs wait for a thread that is busy with leaves of loops; 0 most of the time. A
// hint: a reader need not see the newest value.
using Calls = std::atomic<std::uint32_t>;

// What a pool is to the code that runs in it: the base of the job pool's core. It is counted, so it
// may outlive the pool itself.
class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Returns how many references there were.
  std::uint32_t add_ref() noexcept { return refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // The release publishes what this owner did with it; the last owner acquires it here.
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      destroy();
    }
  }

  [[nodiscard]] const Calls& calls() const noexcept { return calls_; }
  // Tells whether this thread is in the pool's arena: calls reach such threads.
  [[nodiscard]] virtual bool is_in_arena() noexcept = 0;

 protected:
  Executor() = default;
  ~Executor() = default;

  Calls calls_{0};

 private:
  virtual void destroy() noexcept = 0;

  std::atomic<std::uint32_t> refs_{1};
};

// The owner of a reference to an executor, or of nothing.
class ExecutorRef {
 public:
  ExecutorRef() = default;
  // Takes a reference; nullptr stands for none.
  explicit ExecutorRef(Executor* executor) noexcept : executor_(executor) {
    if (executor != nullptr) {
      executor->add_ref();
    }
  }
  ExecutorRef(ExecutorRef&& other) noexcept : executor_(std::exchange(other.executor_, nullptr)) {}
  ExecutorRef& operator=(ExecutorRef&&) = delete;
  ~ExecutorRef() {
    if (executor_ != nullptr) {
      executor_->release();
    }
  }

  [[nodiscard]] Executor* get() const noexcept { return executor_; }

 private:
  Executor* executor_ = nullptr;
};

// What a job is to the code that runs in it: the base of the job pool's jobs. It takes over a
// reference to the pool, and drops it when no other part of the job is left.
struct Workplace {
  explicit Workplace(Executor* pool) noexcept : executor(pool) {}
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() { executor->release(); }

  Executor* const executor;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_WORKPLACE_H_
