// SPDX-License-Identifier: Apache-2.0
//
// Unnamed: a job's handle that can't be awaited in the line that starts the job, where the compiler
// gets that wrong.
//
// g++ before 13 destroys twice the members of what an expression with co_await makes with braces: a
// lambda with captures, an aggregate (JobOptions is one). It copies their bytes from temporaries,
// which it destroys as well. What a constructor has made is right: a string, a vector, a Task. So
// there the calls that take such things return an Unnamed<Job<R>>: a Job<R> in every way, except
// that
//
//   co_await pool.submit([text] { ... });               // does not compile
//
//   auto job = pool.submit([text] { ... });
//   co_await job;                                       // right with every compiler
//
// Whether a lambda was made in the same line is not known, so what is moved there counts as made
// there. With other compilers nothing of this exists: the calls return a Job<R>.

#ifndef TASKCTX_INTERNAL_POOL_UNNAMED_H_
#define TASKCTX_INTERNAL_POOL_UNNAMED_H_

#include <type_traits>
#include <utility>

#include "taskctx/internal/core/refused.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

template <typename R>
class Job;

namespace internal {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool kDestroysTwice = true;
#else
inline constexpr bool kDestroysTwice = false;
#endif

// Tells whether a call has got something that may have been made with braces in the same line. T is
// what a forwarding reference is deduced to: a reference for what has a name.
template <typename T>
inline constexpr bool kMayBeDestroyedTwice =
    kDestroysTwice && !std::is_reference_v<T> && !std::is_trivially_destructible_v<T> &&
    (std::is_aggregate_v<T> || !std::is_move_assignable_v<T> /* a lambda */ ||
     requires { &T::operator(); } /* which may be in a std::function */);

template <typename Handle>
class Unnamed;

// What a call returns that makes `Handle` of arguments of these types.
template <typename Handle, typename... Arguments>
using Started =
    std::conditional_t<(kMayBeDestroyedTwice<Arguments> || ...), Unnamed<Handle>, Handle>;

template <typename R>
class [[nodiscard]] Unnamed<Job<R>> : public Job<R> {
 public:
  Unnamed(Job<R>&& job) noexcept  // NOLINT(google-explicit-constructor): it is what is returned
      : Job<R>(std::move(job)) {}

  // In the same line this is about the same temporaries.
  template <typename F>
  auto then(F&& function) && {
    return unnamed(Job<R>::then(std::forward<F>(function)));
  }
  template <typename F>
  auto then(const JobOptions& options, F&& function) && {
    return unnamed(Job<R>::then(options, std::forward<F>(function)));
  }
  template <typename F>
  auto then(F&& function) & {
    return Job<R>::then(std::forward<F>(function));
  }
  template <typename F>
  auto then(const JobOptions& options, F&& function) & {
    return Job<R>::then(options, std::forward<F>(function));
  }

 private:
  template <typename Next>
  static Unnamed<Job<Next>> unnamed(Job<Next> job) noexcept {
    return job;
  }
  static Refused unnamed(Refused refused) noexcept { return refused; }
};

template <typename T>
inline constexpr bool kIsUnnamed = false;
template <typename Handle>
inline constexpr bool kIsUnnamed<Unnamed<Handle>> = true;

// Makes a Job<R> of an Unnamed one, and leaves alone what is none.
template <typename T>
T&& plain(T&& other) noexcept {
  return std::forward<T>(other);
}
template <typename R>
Job<R>&& plain(Unnamed<Job<R>>&& job) noexcept {
  return std::move(job);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_UNNAMED_H_
