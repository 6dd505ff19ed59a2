// SPDX-License-Identifier: Apache-2.0
//
// Origin: where code runs: in a pool, in a job of a pool, or wherever the code around it does.
//
// An origin is a plain pointer, good for as long as the code that has it is waited for. What may
// run later than that holds the pool (ExecutorRef) and makes an origin of it when it runs.

#ifndef TASKCTX_INTERNAL_CORE_ORIGIN_H_
#define TASKCTX_INTERNAL_CORE_ORIGIN_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Activation;

// How many times something that is due waits for a thread which has nothing else to do than leaves
// of loops; 0 most of the time. A hint: whoever reads it need not see the newest value.
using Calls = std::atomic<std::uint32_t>;

// What a pool is to the code that runs in it: the base of the job pool's core. It is counted, so it
// may be there for longer than the pool itself.
class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Returns how many references there were.
  std::uint32_t add_ref() noexcept { return refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
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

// Owns a reference to an executor, or nothing.
class ExecutorRef {
 public:
  ExecutorRef() = default;
  // Takes a reference of its own; nullptr stands for none.
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
// reference to the pool, and drops it when nothing else is left of the job.
struct Workplace {
  explicit Workplace(Executor* pool) noexcept : executor(pool) {}
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() { executor->release(); }

  Executor* const executor;
};

class Origin {
 public:
  constexpr Origin() = default;
  explicit Origin(const Activation* outer) noexcept
      : bits_(reinterpret_cast<std::uintptr_t>(outer)) {}
  // nullptr: in no pool.
  static Origin pool(const Executor* executor) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(executor) | kPool);
  }
  // Of what has begun in something that has ended: nobody knows where it is any more.
  static Origin lost() noexcept { return Origin(kPool | kJob); }
  // The job must outlive whatever runs with this origin.
  static Origin job(const Workplace* job) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(job) | kJob);
  }

  [[nodiscard]] bool is_lost() const noexcept { return bits_ == (kPool | kJob); }

  // Returns the origin without the guards around: good on any thread, for code that ends before the
  // caller's does. O(guards around the code within the pool's task).
  [[nodiscard]] Origin innermost() const noexcept;

  // Returns the activation around this one; nullptr where a task begins.
  [[nodiscard]] const Activation* outer() const noexcept {
    return (bits_ & (kPool | kJob)) == 0 ? reinterpret_cast<const Activation*>(bits_) : nullptr;
  }

  // Returns the pool that runs this code, or nullptr. As costly.
  [[nodiscard]] Executor* executor() const noexcept {
    const Origin origin = innermost();
    const Workplace* workplace = origin.tagged_job();
    return workplace != nullptr ? workplace->executor
                                : reinterpret_cast<Executor*>(origin.bits_ & ~kPool);
  }
  // Returns the job that this code belongs to, or nullptr. As costly.
  [[nodiscard]] const Workplace* job() const noexcept { return innermost().tagged_job(); }

 private:
  static constexpr std::uintptr_t kPool = 1;
  static constexpr std::uintptr_t kJob = 2;

  explicit Origin(std::uintptr_t bits) noexcept : bits_(bits) {}
  [[nodiscard]] const Workplace* tagged_job() const noexcept {
    return (bits_ & kJob) != 0 ? reinterpret_cast<const Workplace*>(bits_ & ~kJob) : nullptr;
  }

  std::uintptr_t bits_ = 0;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_ORIGIN_H_
