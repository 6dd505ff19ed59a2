// SPDX-License-Identifier: Apache-2.0
//
// What calls that are refused have in common. A call that can't be right is not left to the
// compiler's own words: an overload for it is there, whose attribute says what to write instead, at
// the line of the call.
//
//   pool.submit(handle(request));  // is unavailable: a Task is spawned: pool.spawn(task)
//
// Whoever asks whether a call compiles (requires, std::is_invocable) is told the truth by clang; by
// g++ that it does. So there are no such overloads of what others ask of: Bound, JobExecutor's
// call, taskctx::tbb.

#ifndef TASKCTX_INTERNAL_CORE_REFUSED_H_
#define TASKCTX_INTERNAL_CORE_REFUSED_H_

#include <type_traits>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

template <typename T>
class Task;
enum class GeneratorReads;
template <typename T, GeneratorReads kReads>
class Generator;
template <typename T, GeneratorReads kReads>
class AsyncGenerator;

namespace internal {

// What a refused call returns: anything, so that nothing more is said of what is done with it.
struct Refused {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor)
  template <typename... Args>
  Refused operator()(Args&&... /*args*/) const {
    return {};
  }
  template <typename... Args>
  Refused then(Args&&... /*args*/) const {
    return {};
  }
  Refused get() const { return {}; }
  Refused shared() const { return {}; }
  void wait() const {}
};

// Tell whether a value of type R is a coroutine, without coro.h.
template <typename R>
inline constexpr bool kIsTask = false;
template <typename T>
inline constexpr bool kIsTask<Task<T>> = true;

template <typename R>
inline constexpr bool kIsCoroutine = kIsTask<R>;
template <typename T, GeneratorReads kReads>
inline constexpr bool kIsCoroutine<Generator<T, kReads>> = true;
template <typename T, GeneratorReads kReads>
inline constexpr bool kIsCoroutine<AsyncGenerator<T, kReads>> = true;

// Tell whether a call makes one, which then does not run by itself.
template <typename F, typename... Args>
inline constexpr bool kCallMakesTask = false;
template <typename F, typename... Args>
  requires std::is_invocable_v<F, Args...>
inline constexpr bool kCallMakesTask<F, Args...> =
    kIsTask<std::remove_cvref_t<std::invoke_result_t<F, Args...>>>;
template <typename F, typename... Args>
inline constexpr bool kCallMakesCoroutine = false;
template <typename F, typename... Args>
  requires std::is_invocable_v<F, Args...>
inline constexpr bool kCallMakesCoroutine<F, Args...> =
    kIsCoroutine<std::remove_cvref_t<std::invoke_result_t<F, Args...>>>;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_REFUSED_H_
