// SPDX-License-Identifier: Apache-2.0
//
// What a coroutine awaits with a time limit, with a shield, or with clean-up that awaits, too.
//
//   Page page = co_await taskctx::with_timeout(absl::Seconds(1), load_page());
//   co_await taskctx::shielded(write_log());              // whole, whoever cancels this code
//
//   taskctx::Task<> finish(std::exception_ptr error);     // commits, or rolls back
//   co_await taskctx::with_cleanup(move_money(), finish); // calls it, whatever happens
//
// The first argument that is awaited may be a task; a function that returns one, and that is kept
// as long as the task; or a job, which goes on if the wait for it ends early. A job or task with a
// name is borrowed: such a job's handle stays valid then. All runs in the context of the coroutine
// that awaits, as a Task does: each sees what the other sets. Nothing begins before it is awaited.
//
// Threads:  as Task.
// Errors:   what is awaited comes out, and std::bad_alloc. g++ before 13 must not make a function
//           with captures that have destructors in a line with co_await (coro.h): give the task
//           that these calls return a name, and await it in the next line.

#ifndef TASKCTX_CORO_CANCEL_H_
#define TASKCTX_CORO_CANCEL_H_

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "taskctx/cancel.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/job_await.h"
#include "taskctx/internal/pool/job_refusals.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/job.h"
#include "taskctx/task.h"

namespace taskctx {
inline namespace v1 {

// Thrown by with_cleanup() if both have failed: the body, and then its clean-up.
class CleanupError : public std::runtime_error {
 public:
  CleanupError(std::exception_ptr of_cleanup, std::exception_ptr of_body);

  // Return what was thrown. Never nullptr.
  [[nodiscard]] const std::exception_ptr& of_cleanup() const noexcept { return of_cleanup_; }
  [[nodiscard]] const std::exception_ptr& of_body() const noexcept { return of_body_; }

 private:
  std::exception_ptr of_cleanup_;
  std::exception_ptr of_body_;
};

namespace internal {

// How an argument is kept that will be awaited: jobs and tasks that have a name by reference.
template <typename A>
inline constexpr bool kIsBorrowed =
    std::is_lvalue_reference_v<A> &&
    (kIsTask<std::remove_cvref_t<A>> || kIsJob<std::remove_cvref_t<A>>);
template <typename A>
using KeptAs = std::conditional_t<kIsBorrowed<A>, A, std::decay_t<A>>;

template <typename A>
decltype(auto) awaitable_of(A& kept) {
  if constexpr (CoroutineFunction<A>) {
    return std::invoke(kept);
  } else {
    return (kept);
  }
}

template <typename T>
inline constexpr bool kIsSharedJob = false;
template <typename T>
inline constexpr bool kIsSharedJob<SharedJob<T>> = true;

// What can be awaited here: a task, a function that returns one, a job.
template <typename A>
concept Awaited = kIsTask<std::remove_cvref_t<A>> || kIsJob<std::remove_cvref_t<A>> ||
                  kIsSharedJob<std::remove_cvref_t<A>> || CoroutineFunction<std::decay_t<A>>;

template <typename A>
using AwaitedResult = decltype(awaiter_of(awaitable_of(std::declval<A&>())).await_resume());

template <typename T, typename A>
Task<T> await_within(Timeout timeout, A awaited) {
  const CancelScope scope{{.timeout = timeout}};
  co_return co_await awaitable_of(awaited);
}

template <typename T, typename A>
Task<T> await_shielded(A awaited) {
  const Shield shield;
  co_return co_await awaitable_of(awaited);
}

// The result of a body, or its error.
template <typename T>
class Outcome {
 public:
  template <typename A>
  Task<> of(A& body) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await awaitable_of(body);
      } else if constexpr (std::is_reference_v<T>) {
        result_ = std::addressof(co_await awaitable_of(body));
      } else {
        result_.emplace(co_await awaitable_of(body));
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  T take() {
    if (error_ != nullptr) {
      std::rethrow_exception(std::move(error_));
    }
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*result_);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(*result_);
    }
  }

 private:
  struct Nothing {};
  [[no_unique_address]] std::conditional_t<
      std::is_void_v<T>, Nothing,
      std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::optional<T>>>
      result_{};
  std::exception_ptr error_;
};

template <typename T, typename A, typename Cleanup>
Task<T> await_with_cleanup(A body, Cleanup cleanup) {
  Outcome<T> outcome;
  co_await outcome.of(body);
  std::exception_ptr failed;
  {
    const Shield shield;
    try {
      co_await std::invoke(cleanup, outcome.error());
    } catch (...) {
      failed = std::current_exception();
    }
  }
  if (failed != nullptr && outcome.error() != nullptr) {
    throw CleanupError(std::move(failed), outcome.error());
  }
  if (failed != nullptr) {
    std::rethrow_exception(std::move(failed));
  }
  co_return outcome.take();
}

// A task that can't be awaited in the line that makes it (unnamed.h).
template <typename T>
class [[nodiscard]] Unnamed<Task<T>> : public Task<T> {
 public:
  Unnamed(Task<T>&& task) noexcept  // NOLINT(google-explicit-constructor): it is what is returned
      : Task<T>(std::move(task)) {}

  auto operator co_await() & noexcept { return Task<T>::operator co_await(); }
  auto operator co_await() && noexcept {
    static_assert(!std::is_same_v<T, T>,
                  "g++ before 13 destroys lambdas twice in the line of a co_await: name the task "
                  "first (auto task = with_cleanup(...); co_await task;)");
    return Task<T>::operator co_await();
  }
};
template <typename T>
inline constexpr bool kKnowsFlow<Unnamed<Task<T>>> = true;

}  // namespace internal

// Awaits something for a limited time. When that is over, the waits, and algorithms, in what is
// awaited end by Cancelled, with the status DEADLINE_EXCEEDED, and so does this if that is not
// caught. What has ended nevertheless gives its result. The time begins when this is awaited.
// Allocates three times; with a deadline the scope costs some 100 ns (CancelScope).
//
//   try {
//     page = co_await taskctx::with_timeout(absl::Seconds(1), load_page());
//   } catch (const taskctx::Cancelled&) {
//     taskctx::check_cancelled();  // goes on if it is not this limit, but one around, or a cancel()
//     page = old_page();
//   }
template <internal::Awaited A>
auto with_timeout(Timeout timeout, A&& awaited) {
  using Kept = internal::KeptAs<A>;
  using Result = Task<internal::AwaitedResult<Kept>>;
  return internal::Started<Result, A>(
      internal::await_within<typename Result::Result, Kept>(timeout, std::forward<A>(awaited)));
}

// Awaits something inside a Shield: neither deadlines nor any cancel() around reach it, nor end the
// wait. A Job::cancel() that came meanwhile is told by the first wait after it. Allocates twice.
//
//   co_await taskctx::shielded(save(state));
template <internal::Awaited A>
auto shielded(A&& awaited) {
  using Kept = internal::KeptAs<A>;
  using Result = Task<internal::AwaitedResult<Kept>>;
  return internal::Started<Result, A>(
      internal::await_shielded<typename Result::Result, Kept>(std::forward<A>(awaited)));
}

// Awaits `body`, and then, whether it has ended, failed, or been cancelled, the task of
// `cleanup(error)`: once, in the same context as the body left it, inside a Shield. `error` is what
// the body has thrown, or nullptr. Then gives what the body gives. If only the clean-up throws,
// that comes out; if both do, CleanupError with both. The clean-up is not called if the coroutine
// is destroyed while it is suspended (a coroutine of your own: coro.h), or if there is no memory
// for its task. Allocates four times.
//
//   co_await taskctx::with_cleanup(move_money(db), [&db](std::exception_ptr error) {
//     return error != nullptr ? db.rollback() : db.commit();
//   });
template <internal::Awaited A, typename Cleanup>
  requires internal::CoroutineFunction<std::decay_t<Cleanup>, std::exception_ptr>
auto with_cleanup(A&& body, Cleanup&& cleanup) {
  using Kept = internal::KeptAs<A>;
  using Result = Task<internal::AwaitedResult<Kept>>;
  return internal::Started<Result, A, Cleanup>(
      internal::await_with_cleanup<typename Result::Result, Kept, std::decay_t<Cleanup>>(
          std::forward<A>(body), std::forward<Cleanup>(cleanup)));
}

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CORO_CANCEL_H_
