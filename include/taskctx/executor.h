// SPDX-License-Identifier: Apache-2.0
//
// JobExecutor: a pool in the form that other libraries take: an object with execute(), or a
// callable that takes work.
//
//   const taskctx::JobExecutor executor = pool.executor();
//   executor.execute([] { work(); });
//   std::function<void(std::function<void()>)> scheduler = executor;
//
// Threads:  all calls are thread-safe; copies are equal, and cost nothing.
// Lifetime: the pool must outlive the use of its executors.
// Errors:   as JobPool::post().
//
// The other way round, work for a foreign executor gets the context by taskctx::bind (bind.h):
//
//   std::async(std::launch::async, taskctx::bind([] { work(); }));
//   std::thread worker(taskctx::bind([] { work(); }));
//   asio::post(io_context, taskctx::bind([] { work(); }));  // or a ContextExecutor for all calls
//   auto bound = taskctx::bind([] { work(); });  // a C API: a function and a pointer
//   on_event([](void* data) { (*static_cast<decltype(bound)*>(data))(); }, &bound);

#ifndef TASKCTX_EXECUTOR_H_
#define TASKCTX_EXECUTOR_H_

#include <concepts>
#include <type_traits>
#include <utility>

#include "taskctx/internal/pool/call_place.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

class JobPool;

class JobExecutor {
 public:
  // Runs `function()` in the pool, in a snapshot of the current context. Blocks only if the pool's
  // queue is full, and the pool is one that blocks then.
  //
  //   executor.execute([] { work(); });
  template <typename F>
  void execute(F&& function, internal::CallPlace place = internal::CallPlace::here()) const;

  // Does the same, for libraries that call their scheduler.
  //
  //   std::function<void(std::function<void()>)> scheduler = executor;
  template <typename F>
    requires std::invocable<std::decay_t<F>>
  void operator()(F&& function) const {
    execute(std::forward<F>(function), internal::CallPlace());  // The call is the library's.
  }

  [[nodiscard]] friend bool operator==(const JobExecutor& a, const JobExecutor& b) = default;

 private:
  friend class JobPool;
  explicit JobExecutor(JobPool& pool) noexcept : pool_(&pool) {}

  JobPool* pool_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_EXECUTOR_H_
