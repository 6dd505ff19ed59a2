// SPDX-License-Identifier: Apache-2.0
//
// co_await of a job.
//
//   int result = co_await pool.submit(compute);
//
// Users include coro.h.

#ifndef TASKCTX_INTERNAL_CORO_JOB_AWAIT_H_
#define TASKCTX_INTERNAL_CORO_JOB_AWAIT_H_

#include <type_traits>
#include <utility>

#include "taskctx/internal/coro/suspension.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/job.h"

namespace taskctx {
inline namespace v1 {

// Suspends the coroutine until the job has ended, and then gives what Job::get() gives: the result,
// or the job's exception. The handle is empty afterwards.
//
//   int result = co_await pool.submit(compute);
template <typename T>
internal::JobAwaiter<Job<T>> operator co_await(Job<T>&& job) noexcept {
  return internal::JobAwaiter<Job<T>>(std::move(job));
}
template <typename T>
internal::JobAwaiter<Job<T>&> operator co_await(Job<T>& job) noexcept {
  return internal::JobAwaiter<Job<T>&>(job);
}
// Refuses the lines that g++ before 13 compiles wrongly.
template <typename T>
internal::JobAwaiter<Job<T>> operator co_await(internal::Unnamed<Job<T>>&& job) noexcept {
  static_assert(!std::is_same_v<T, T>,
                "g++ before 13 destroys lambdas and options twice in the line of a co_await: name "
                "the job first (auto job = pool.submit(...); co_await job;)");
  return internal::JobAwaiter<Job<T>>(std::move(job));
}
// Likewise with what SharedJob::get() gives: a reference, valid as long as any handle of the job.
//
//   const Config& now = co_await config;
template <typename T>
internal::JobAwaiter<const SharedJob<T>&> operator co_await(const SharedJob<T>& job) noexcept {
  return internal::JobAwaiter<const SharedJob<T>&>(job);
}

namespace internal {

template <typename A>
inline constexpr bool kIsJob = false;
template <typename T>
inline constexpr bool kIsJob<Job<T>> = true;

}  // namespace internal

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_JOB_AWAIT_H_
