// SPDX-License-Identifier: Apache-2.0
//
// What can be a job and what can't, and the sentences that say so (refused.h). JobPool and the
// handles have the refused overloads of their own calls from here.

#ifndef TASKCTX_INTERNAL_POOL_JOB_REFUSALS_H_
#define TASKCTX_INTERNAL_POOL_JOB_REFUSALS_H_

#include <concepts>
#include <functional>
#include <ranges>
#include <type_traits>

#include "taskctx/deadline.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What a job can keep.
template <typename T>
concept Storable = std::constructible_from<std::decay_t<T>, T>;

// What can be submitted: called once; the function and its arguments are copies of the job's own.
template <typename F, typename... Args>
concept JobFunction = Storable<F> && (Storable<Args> && ...) &&
                      std::invocable<std::decay_t<F>, std::decay_t<Args>...> &&
                      !kCallMakesTask<std::decay_t<F>, std::decay_t<Args>...>;

// Likewise, where nobody gets the result: not a generator either.
template <typename F, typename... Args>
concept PostedFunction =
    JobFunction<F, Args...> && !kCallMakesCoroutine<std::decay_t<F>, std::decay_t<Args>...>;

// What can be spawned, beside a Task: called once to make one, and as an lvalue, since it lives on.
template <typename F, typename... Args>
concept CoroutineFunction = Storable<F> && (Storable<Args> && ...) &&
                            kCallMakesTask<std::decay_t<F>&, std::decay_t<Args>...>;
template <typename F, typename... Args>
using TaskOf = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>>;

// A range that a bulk can keep, and begin anywhere.
template <typename Range>
concept BulkRange = std::ranges::random_access_range<std::decay_t<Range>> &&
                    std::ranges::sized_range<std::decay_t<Range>>;

// What can be called for each of its elements.
template <typename F, typename Range>
concept BulkFunction =
    Storable<F> && Storable<Range> &&
    std::invocable<std::decay_t<F>&, std::ranges::range_reference_t<std::decay_t<Range>>> &&
    !kCallMakesTask<std::decay_t<F>&, std::ranges::range_reference_t<std::decay_t<Range>>>;

// Tells how a continuation is called: with the result, if it takes that, else with the handle.
template <typename F, typename Result>
inline constexpr bool kTakesResult = std::is_invocable_v<F, Result>;
template <typename F>
inline constexpr bool kTakesResult<F, void> = std::is_invocable_v<F>;

template <typename F, typename Handle, typename Result>
inline constexpr bool kContinuesAsTask = kCallMakesTask<F, Handle>;
template <typename F, typename Handle, typename Result>
  requires kTakesResult<F, Result>
inline constexpr bool kContinuesAsTask<F, Handle, Result> = kCallMakesTask<F, Result>;
template <typename F, typename Handle>
  requires kTakesResult<F, void>
inline constexpr bool kContinuesAsTask<F, Handle, void> = kCallMakesTask<F>;

template <typename F, typename Handle, typename Result>
concept ContinuationOf =
    Storable<F> &&
    (kTakesResult<std::decay_t<F>, Result> ||
     std::invocable<std::decay_t<F>, Handle>)&&!kContinuesAsTask<std::decay_t<F>, Handle, Result>;

template <typename T>
inline constexpr bool kIsOptions = std::is_same_v<std::remove_cvref_t<T>, JobOptions>;

// Tells what is wrong with a call that submits a function, the options left out.
template <typename... Call>
struct JobCall {
  static constexpr bool kIsCoroutine = false;
  static constexpr bool kIsWrong = true;
  static constexpr bool kIsGenerator = false;
};
template <typename F, typename... Args>
struct JobCall<F, Args...> {
  static constexpr bool kIsCoroutine = internal::kIsCoroutine<std::remove_cvref_t<F>> ||
                                       kCallMakesTask<std::decay_t<F>, std::decay_t<Args>...>;
  static constexpr bool kIsWrong = !kIsCoroutine && !JobFunction<F, Args...>;
  static constexpr bool kIsGenerator =
      JobFunction<F, Args...> && kCallMakesCoroutine<std::decay_t<F>, std::decay_t<Args>...>;
};
template <typename O, typename... Call>
  requires kIsOptions<O>
struct JobCall<O, Call...> : JobCall<Call...> {};

template <typename... Call>
concept CoroutineCall = JobCall<Call...>::kIsCoroutine;
template <typename... Call>
concept WrongCall = JobCall<Call...>::kIsWrong;

template <typename... Call>
concept GeneratorCall = JobCall<Call...>::kIsGenerator;

template <typename F, typename Range>
concept CoroutineBulk =
    kCallMakesTask<std::decay_t<F>&, std::ranges::range_reference_t<std::decay_t<Range>>>;
template <typename F, typename Range>
concept WrongBulk = !CoroutineBulk<F, Range> && !BulkFunction<F, Range>;

// The refused overloads of JobPool's calls.
struct JobRefusals {
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit(Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit(Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit(const JobOptions& /*options*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit(const JobOptions& /*options*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  post(Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  post(Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires GeneratorCall<Call...>
  __attribute__((
      unavailable("nobody iterates over what this job makes: it would never run"))) static Refused
  post(Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  post(const JobOptions& /*options*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  post(const JobOptions& /*options*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires GeneratorCall<Call...>
  __attribute__((
      unavailable("nobody iterates over what this job makes: it would never run"))) static Refused
  post(const JobOptions& /*options*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_at(Deadline /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit_at(Deadline /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_at(const JobOptions& /*options*/, Deadline /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit_at(const JobOptions& /*options*/, Deadline /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_after(Timeout /*delay*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit_after(Timeout /*delay*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires CoroutineCall<Call...>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_after(const JobOptions& /*options*/, Timeout /*delay*/, Call&&... /*call*/) {
    return {};
  }
  template <typename... Call>
    requires WrongCall<Call...>
  __attribute__((
      unavailable("a job calls a copy of the function with copies of the arguments: std::ref() "
                  "gives a reference, std::move() what has no copy"))) static Refused
  submit_after(const JobOptions& /*options*/, Timeout /*delay*/, Call&&... /*call*/) {
    return {};
  }
  // A number, or a time of the wrong kind.
  template <typename Time, typename... Call>
    requires(!std::convertible_to<Time, Timeout> && !kIsOptions<Time>)
  __attribute__((unavailable(
      "a delay is a duration of absl or std::chrono: std::chrono::seconds(1)"))) static Refused
  submit_after(Time&& /*delay*/, Call&&... /*call*/) {
    return {};
  }
  template <typename Time, typename... Call>
    requires(!std::convertible_to<Time, Timeout>)
  __attribute__((unavailable(
      "a delay is a duration of absl or std::chrono: std::chrono::seconds(1)"))) static Refused
  submit_after(const JobOptions& /*options*/, Time&& /*delay*/, Call&&... /*call*/) {
    return {};
  }
  template <typename Time, typename... Call>
    requires(!std::convertible_to<Time, Deadline> && !kIsOptions<Time>)
  __attribute__((
      unavailable("a time is one of absl's or of a std::chrono clock: "
                  "submit_after() takes a delay"))) static Refused
  submit_at(Time&& /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename Time, typename... Call>
    requires(!std::convertible_to<Time, Deadline>)
  __attribute__((
      unavailable("a time is one of absl's or of a std::chrono clock: "
                  "submit_after() takes a delay"))) static Refused
  submit_at(const JobOptions& /*options*/, Time&& /*due*/, Call&&... /*call*/) {
    return {};
  }
  template <typename Range, typename F>
    requires(!kIsOptions<Range> && !BulkRange<Range>)
  __attribute__((
      unavailable("a bulk takes a range with a size and random access: a vector, a "
                  "span, std::views::iota"))) static Refused
  submit_bulk(Range&& /*range*/, F&& /*function*/) {
    return {};
  }
  template <BulkRange Range, typename F>
    requires WrongBulk<F, Range>
  __attribute__((
      unavailable("a bulk calls a copy of the function with each element of a copy of the range: "
                  "std::move() what has no copy"))) static Refused
  submit_bulk(Range&& /*range*/, F&& /*function*/) {
    return {};
  }
  template <BulkRange Range, typename F>
    requires CoroutineBulk<F, Range>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_bulk(Range&& /*range*/, F&& /*function*/) {
    return {};
  }
  template <typename Range, typename F>
    requires(!kIsOptions<Range> && !BulkRange<Range>)
  __attribute__((
      unavailable("a bulk takes a range with a size and random access: a vector, a "
                  "span, std::views::iota"))) static Refused
  submit_bulk(const JobOptions& /*options*/, Range&& /*range*/, F&& /*function*/) {
    return {};
  }
  template <BulkRange Range, typename F>
    requires WrongBulk<F, Range>
  __attribute__((
      unavailable("a bulk calls a copy of the function with each element of a copy of the range: "
                  "std::move() what has no copy"))) static Refused
  submit_bulk(const JobOptions& /*options*/, Range&& /*range*/, F&& /*function*/) {
    return {};
  }
  template <BulkRange Range, typename F>
    requires CoroutineBulk<F, Range>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  submit_bulk(const JobOptions& /*options*/, Range&& /*range*/, F&& /*function*/) {
    return {};
  }
};

// The refused overloads of then().
template <typename Handle, typename Result>
struct ThenRefusals {
  template <typename F>
    requires kContinuesAsTask<std::decay_t<F>, Handle, Result>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  then(F&& /*function*/) {
    return {};
  }
  template <typename F>
    requires(!ContinuationOf<F, Handle, Result> &&
             !kContinuesAsTask<std::decay_t<F>, Handle, Result>)
  __attribute__((
      unavailable("a continuation takes the result of its job, or a handle of it, "
                  "and is std::move()d here if it has no copy"))) static Refused
  then(F&& /*function*/) {
    return {};
  }
  template <typename F>
    requires kContinuesAsTask<std::decay_t<F>, Handle, Result>
  __attribute__((unavailable(
      "cannot submit a coroutine: it would never run: use pool.spawn(...)"))) static Refused
  then(const JobOptions& /*options*/, F&& /*function*/) {
    return {};
  }
  template <typename F>
    requires(!ContinuationOf<F, Handle, Result> &&
             !kContinuesAsTask<std::decay_t<F>, Handle, Result>)
  __attribute__((
      unavailable("a continuation takes the result of its job, or a handle of it, "
                  "and is std::move()d here if it has no copy"))) static Refused
  then(const JobOptions& /*options*/, F&& /*function*/) {
    return {};
  }
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_JOB_REFUSALS_H_
