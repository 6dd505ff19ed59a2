// SPDX-License-Identifier: Apache-2.0
//
// JobState: what a job's handle and its place in the pool's queue share.
//
//   JobState     the context, the state of execution, the error, if any
//   JobResult    + the result
//   JobTask      + the callable
//
// Whoever sets the bit kClaimed runs the job: the queue, or a job of the same pool that waits for
// it.

#ifndef TASKCTX_INTERNAL_JOB_STATE_H_
#define TASKCTX_INTERNAL_JOB_STATE_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/node.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

class PoolCore;

class JobState {
 public:
  JobState(PoolCore* pool, NodeRef context) noexcept : pool_(pool), context_(std::move(context)) {}
  JobState(const JobState&) = delete;
  JobState& operator=(const JobState&) = delete;

  [[nodiscard]] PoolCore* pool() const noexcept { return pool_; }
  [[nodiscard]] bool is_done() const noexcept {
    return (bits_.load(std::memory_order_acquire) & kDone) != 0;
  }

  // Runs the job unless somebody else has begun it.
  void run_if_unclaimed() noexcept;

  // Blocks until the job is done, or runs it here if this thread is at work in the job's pool and
  // nobody has begun it.
  void wait() noexcept;

  // Says that no handle is left. An error that nobody has seen goes to the handler.
  void abandon() noexcept;

  // Drops the queue's reference.
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }

 protected:
  virtual ~JobState() = default;

  // Throws what the job threw, if it did, and counts as having seen it. To be called once, when the
  // job is done.
  void rethrow() {
    if (error_ != nullptr) {
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
  }

 private:
  // Calls the callable, stores the result, and destroys the callable.
  virtual void call() = 0;
  void run() noexcept;

  static constexpr std::uint32_t kClaimed = 1;    // Somebody runs it, or has.
  static constexpr std::uint32_t kDone = 2;       // Result or error are there.
  static constexpr std::uint32_t kAbandoned = 4;  // No handle is left.

  std::atomic<std::uint32_t> refs_{2};  // The handle's and the queue's.
  std::atomic<std::uint32_t> bits_{0};
  PoolCore* const pool_;  // Alive until the job is done.
  NodeRef context_;
  std::exception_ptr error_;
  std::shared_ptr<const ExceptionHandler>
      handler_;  // Set with error_: a handle may outlive the pool.
};

template <typename R>
class JobResult : public JobState {
 public:
  using JobState::JobState;

  R take() {
    rethrow();
    if constexpr (std::is_void_v<R>) {
      return;
    } else if constexpr (std::is_reference_v<R>) {
      return static_cast<R>(**result_);
    } else {
      return std::move(*result_);
    }
  }

 protected:
  template <typename F>
  void store(F&& function) {
    if constexpr (std::is_void_v<R>) {
      std::invoke(std::forward<F>(function));
    } else if constexpr (std::is_reference_v<R>) {
      R reference = std::invoke(std::forward<F>(function));
      result_.emplace(std::addressof(reference));
    } else {
      result_.emplace(std::invoke(std::forward<F>(function)));
    }
  }

 private:
  struct Nothing {};
  using Stored = std::conditional_t<
      std::is_void_v<R>, Nothing,
      std::conditional_t<std::is_reference_v<R>, std::add_pointer_t<std::remove_reference_t<R>>,
                         std::remove_cv_t<R>>>;

  [[no_unique_address]] std::conditional_t<std::is_void_v<R>, Nothing, std::optional<Stored>>
      result_;
};

template <typename R, typename F>
class JobTask final : public JobResult<R> {
 public:
  template <typename G>
  JobTask(PoolCore* pool, NodeRef context, G&& function)
      : JobResult<R>(pool, std::move(context)),
        function_(std::in_place, std::forward<G>(function)) {}

 private:
  struct Destroyer {
    ~Destroyer() { function.reset(); }
    std::optional<F>& function;
  };

  void call() override {
    const Destroyer destroyer{function_};
    this->store(std::move(*function_));
  }

  std::optional<F> function_;
};

// A handle's reference to a job.
template <typename State>
class JobRef {
 public:
  JobRef() = default;
  explicit JobRef(State* state) noexcept : state_(state) {}
  JobRef(JobRef&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  JobRef& operator=(JobRef&& other) noexcept {
    JobRef taken(std::move(other));
    std::swap(state_, taken.state_);
    return *this;
  }
  ~JobRef() {
    if (state_ != nullptr) {
      state_->abandon();
      state_->release();
    }
  }

  [[nodiscard]] State* get() const noexcept { return state_; }
  State& operator*() const noexcept { return *state_; }
  State* operator->() const noexcept { return state_; }

 private:
  State* state_ = nullptr;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_JOB_STATE_H_
