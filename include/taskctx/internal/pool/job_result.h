// SPDX-License-Identifier: Apache-2.0
//
// JobResult: a job with its result, the base of all jobs that have a handle. JobRef: the handle's
// reference to it.

#ifndef TASKCTX_INTERNAL_POOL_JOB_RESULT_H_
#define TASKCTX_INTERNAL_POOL_JOB_RESULT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/ending.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What a look at a result gives: a reference, or void.
template <typename R>
using PeekOf = std::conditional_t<std::is_void_v<R>, void, std::add_lvalue_reference_t<const R>>;

template <typename R>
class JobResult : public JobState {
 public:
  using Result = R;
  using JobState::JobState;

  R take() {
    rethrow(/*takes=*/true);
    apply_merged();
    if constexpr (std::is_void_v<R>) {
      return;
    } else if constexpr (std::is_reference_v<R>) {
      return static_cast<R>(**result_);
    } else {
      return std::move(*result_);
    }
  }

  // Borrows the result.
  PeekOf<R> peek() {
    rethrow(/*takes=*/false);
    if constexpr (std::is_void_v<R>) {
      return;
    } else if constexpr (std::is_reference_v<R>) {
      return **result_;
    } else {
      return *result_;
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

// Destroys a job's callable at the end of a block.
template <typename F>
struct Destroyer {
  ~Destroyer() {
    job.begin_to_end();
    function.reset();
  }
  std::optional<F>& function;
  JobState& job;
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

#endif  // TASKCTX_INTERNAL_POOL_JOB_RESULT_H_
