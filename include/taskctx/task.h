// SPDX-License-Identifier: Apache-2.0
//
// Task: a coroutine that begins when it is awaited, and runs in its awaiter's context.
//
//   taskctx::Task<std::string> greet() { co_return "hello " + name.get(); }
//   taskctx::Task<> run() {
//     auto greeting = greet();           // nothing has begun yet
//     name.set("world");
//     print(co_await greeting);          // "hello world"
//   }
//
// coro.h has the ways to start a task from other code, and what a task can wait for.
//
// Threads:  a task runs on whichever thread resumes it, on one at a time. Its variables keep their
//           values: the context is installed at each resumption, and the thread gets its own
//           context back at each suspension.
// Lifetime: a task owns its coroutine. Destroying the task destroys the coroutine's variables, in
//           the coroutine's context. Arguments by reference must outlive the task. So must a lambda
//           that is a coroutine: its captures are in the lambda, not in the task.
//           JobPool::spawn(lambda) and when_all(lambda, ...) keep the lambda; spawn(lambda()) does
//           not.
// Errors:   co_await throws what the coroutine throws. It throws JobError if there is nothing to
//           await: the task is empty, or has been awaited already.

#ifndef TASKCTX_TASK_H_
#define TASKCTX_TASK_H_

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/owned_coroutine.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// Throws JobError: there is no coroutine, or it has begun already.
[[noreturn]] void throw_no_task(const char* verb, bool has_begun);

struct TaskAccess;

class TaskPromiseBase : public OwnedPromise {
 public:
  class FinalAwaiter {
   public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      TaskPromiseBase& promise = handle.promise();
      if (promise.awaiter_ != nullptr) {
        promise.ended();
        promise.flow()->go_on(promise.awaiter_);
      } else {
        promise.flow()->end();
      }
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  // Sets the coroutine to resume at the end; nullptr: Flow::end() is called instead.
  void set_awaiter(std::coroutine_handle<> awaiter) noexcept { awaiter_ = awaiter; }
  // Gives the coroutine a flow of its own, at whose end `awaiter` is resumed.
  void make_own_flow(std::coroutine_handle<> awaiter) {
    snapshot_ = std::make_unique<Snapshot>(awaiter);
    set_flow(&snapshot_->flow);
    if (special_ == nullptr) {
      special_ = &snapshot_->special;
    }
    special_->flow = &snapshot_->flow;
  }

 protected:
  TaskPromiseBase() = default;
  ~TaskPromiseBase() = default;
  void rethrow() {
    if (error_ != nullptr) {
      std::rethrow_exception(std::move(error_));
    }
  }

 private:
  // The flow of a task whose awaiter is a coroutine that has no flow.
  struct Snapshot {
    class TaskFlow final : public PromiseFlow {
     public:
      TaskFlow(Node* node, LinkRef link, std::coroutine_handle<> awaiter) noexcept
          : PromiseFlow(node, std::move(link)), awaiter_(awaiter) {}

      void end() noexcept override { hand_over(awaiter_); }

     private:
      const std::coroutine_handle<> awaiter_;
    };

    explicit Snapshot(std::coroutine_handle<> awaiter)
        : context(capture()), flow(context.get(), capture_link(), awaiter) {}

    const NodeRef context;
    TaskFlow flow;
    Special special;
  };

  std::coroutine_handle<> awaiter_;
  std::exception_ptr error_;
  std::unique_ptr<Snapshot> snapshot_;
};

template <typename T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <typename U = T>
    requires std::is_convertible_v<U, T>
  void return_value(U&& value) {
    if constexpr (std::is_same_v<std::remove_cvref_t<U>, T>) {
      result_.emplace(std::forward<U>(value));
    } else {
      result_.emplace(converted<T>(std::forward<U>(value)));
    }
  }
  T take() {
    rethrow();
    return std::move(*result_);
  }

 private:
  std::optional<T> result_;
};

template <typename T>
class TaskPromise<T&> : public TaskPromiseBase {
 public:
  Task<T&> get_return_object() noexcept;
  void return_value(T& value) noexcept { result_ = std::addressof(value); }
  void return_value(const std::remove_const_t<T>&& value) = delete;  // It ends with the coroutine.
  T& take() {
    rethrow();
    return *result_;
  }

 private:
  T* result_ = nullptr;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() { rethrow(); }
};

}  // namespace internal

// A coroutine that returns T: void, an object type (it may be move-only), or a reference.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;
  using Result = T;

  // Makes a task without a coroutine.
  Task() noexcept = default;
  Task(Task&& other) noexcept = default;
  Task& operator=(Task&& other) noexcept = default;
  // Destroys the coroutine, whether it has begun or not. No other thread may be running it. If it
  // awaits another task, that one is destroyed first, at any depth; so are tasks that it got as
  // arguments by value. Constant stack.
  ~Task() = default;

  // Begins the coroutine in its awaiter's context, and resumes the awaiter with the result at the
  // end. Both share that context: each sees what the other sets. (An awaiter whose promise is not a
  // ContextPromise has no context to share; then the task runs in a snapshot.) Uses constant stack,
  // at any depth and for any number of awaits. Throws JobError if the task is empty or has been
  // awaited.
  //
  //   int sum = co_await add(1, 2);
  auto operator co_await() noexcept { return Awaiter{coroutine_.handle()}; }

 private:
  friend promise_type;
  friend struct internal::TaskAccess;
  using Handle = std::coroutine_handle<promise_type>;

  struct Awaiter {
    bool await_ready() const {
      check(coroutine, "await");
      return false;
    }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiter) {
      promise_type& promise = coroutine.promise();
      if constexpr (std::is_base_of_v<internal::FlowPromise, Promise>) {
        promise.set_flow(awaiter.promise().flow());
        promise.set_awaiter(awaiter);
        promise.set_awaited_by(awaiter.promise());
      } else {
        promise.make_own_flow(awaiter);
        promise.flow()->enter();
      }
      promise.flow()->go_on(coroutine);
    }
    T await_resume() { return coroutine.promise().take(); }

    Handle coroutine;
  };

  static void check(Handle coroutine, const char* verb) {
    if (coroutine == nullptr || coroutine.promise().flow() != nullptr) [[unlikely]] {
      internal::throw_no_task(verb, coroutine != nullptr);
    }
  }

  explicit Task(Handle coroutine) noexcept : coroutine_(coroutine) {}

  internal::OwnedCoroutine<promise_type> coroutine_;
};

namespace internal {

template <typename T>
inline constexpr bool kKnowsFlow<Task<T>> = true;

template <typename T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
template <typename T>
Task<T&> TaskPromise<T&>::get_return_object() noexcept {
  return Task<T&>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// Takes the coroutine out of a task, for code that starts it.
struct TaskAccess {
  template <typename T>
  static void check(const Task<T>& task, const char* verb) {
    Task<T>::check(task.coroutine_.handle(), verb);
  }
  template <typename T>
  static OwnedCoroutine<TaskPromise<T>>& coroutine(Task<T>& task) noexcept {
    return task.coroutine_;
  }
};

// The promise of a task that gets other tasks as arguments by value.
template <typename T, typename... Parameters>
class GivenTaskPromise final : public TaskPromise<T> {
 public:
  // The arguments are the coroutine's own copies of its parameters. Clang 16 leaves out a lambda's
  // object, which is the first of `Parameters`.
  template <typename... Copies>
  explicit GivenTaskPromise(Copies&... copies) noexcept {
    constexpr std::size_t kLeftOut = sizeof...(Parameters) - sizeof...(Copies);
    std::size_t count = 0;
    [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
      (note<std::tuple_element_t<kLeftOut + kIndex, std::tuple<Parameters...>>>(copies, count),
       ...);
    }(std::index_sequence_for<Copies...>());
    special_here_.given = given_.data();
    this->special_ = &special_here_;
  }
  Task<T> get_return_object() noexcept {
    // Then a handle of one is a handle of the other.
    static_assert(alignof(GivenTaskPromise) == alignof(TaskPromise<T>));
    return TaskPromise<T>::get_return_object();
  }

 private:
  using Given = OwnedPromise::Given;

  template <typename Parameter>
  void note(auto& parameter, std::size_t& count) noexcept {
    if constexpr (kIsTask<Parameter>) {
      auto& coroutine = TaskAccess::coroutine(parameter);
      given_[count++] = {&coroutine, &std::remove_reference_t<decltype(coroutine)>::promise_of};
    }
  }

  std::array<Given, 1 + (std::size_t{kIsTask<Parameters>} + ...)> given_{};
  OwnedPromise::Special special_here_;
};

}  // namespace internal

}  // namespace v1
}  // namespace taskctx

template <typename T, typename... Parameters>
  requires(taskctx::internal::kIsTask<Parameters> || ...)
struct std::coroutine_traits<taskctx::Task<T>, Parameters...> {
  using promise_type = taskctx::internal::GivenTaskPromise<T, Parameters...>;
};

#endif  // TASKCTX_TASK_H_
