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
// How one begins from the outside, and what it can wait for, is in coro.h.
//
// Threads:  a task runs on whichever thread resumes it, one at a time. What was set stays set: the
//           context is put in place at each resumption, and the thread gets back its own at each
//           suspension.
// Lifetime: a task owns its coroutine: destroying it destroys what the coroutine holds, within the
//           context that the coroutine has. Arguments by reference must outlive the task. So must
//           a lambda that is a coroutine: what it has captured is in the lambda, not in the task.
//           JobPool::spawn(lambda) and when_all(lambda, ...) keep it; spawn(lambda()) does not.
// Errors:   what the coroutine throws comes out of co_await. JobError where there is nothing to
//           await: the task is empty, or has been awaited.

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

// Throws JobError that says that there is no coroutine, or that it has been begun.
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

  // Has `awaiter` resumed at the end; nullptr stands for Flow::end().
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
  // The flow of a task that is awaited by a coroutine that knows nothing of contexts.
  struct Snapshot {
    class TaskFlow final : public PromiseFlow {
     public:
      TaskFlow(Node* node, std::coroutine_handle<> awaiter) noexcept
          : PromiseFlow(node), awaiter_(awaiter) {}

      void end() noexcept override { hand_over(awaiter_); }

     private:
      const std::coroutine_handle<> awaiter_;
    };

    explicit Snapshot(std::coroutine_handle<> awaiter)
        : context(capture()), flow(context.get(), awaiter) {}

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

// T is what the coroutine returns: void, an object type (which may be move-only), or a reference.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;
  using Result = T;
  using KnowsFlow = void;  // Not for users.

  // Makes a task without a coroutine.
  Task() noexcept = default;
  Task(Task&& other) noexcept = default;
  Task& operator=(Task&& other) noexcept = default;
  // Destroys the coroutine, begun or not; no other thread may be running it. If it awaits another
  // task, that is destroyed first, as deep as it goes, and so is one that it was given by value.
  // Constant stack.
  ~Task() = default;

  // Begins the coroutine in the context of the one that awaits it, and resumes that with the result
  // when it has ended. The two share the context: what either sets, the other sees. (A coroutine
  // whose promise is no ContextPromise has no context to share: there the task runs in a snapshot.)
  // Constant stack however deep, or often. Throws JobError if the task is empty or has been
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

// Takes the coroutine out of a task, for those who start it.
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

// The promise of a task that is given others, by value.
template <typename T, typename... Parameters>
class GivenTaskPromise final : public TaskPromise<T> {
 public:
  // Gets the coroutine's own copies, where these are no references. Clang 16 leaves out a lambda's
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
    static_assert(alignof(GivenTaskPromise) == alignof(TaskPromise<T>));  // So it lies as that one.
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
