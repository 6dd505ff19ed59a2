// SPDX-License-Identifier: Apache-2.0
//
// The kinds of jobs that have options, each as a function that starts one.

#ifndef TASKCTX_TESTS_JOB_KINDS_H_
#define TASKCTX_TESTS_JOB_KINDS_H_

#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "tests/support.h"

namespace taskctx_test {

inline const taskctx::ContextVar<std::string> request_id{"request_id"};
inline const taskctx::ContextVar<int> number{"number"};
inline const taskctx::ContextVar<std::shared_ptr<Tracked>> inherited{"inherited"};
inline const taskctx::ContextVar<std::shared_ptr<Tracked>> written{"written"};

inline taskctx::Task<> coroutine(std::function<void()> body) {
  co_await taskctx::yield();
  body();
}

// The kinds of jobs that have options, by name: each runs `body`, bulks for one element.
struct Kind {
  const char* name;
  taskctx::Job<void> (*start)(taskctx::JobPool& pool, const taskctx::JobOptions& options,
                              std::function<void()> body);
};
inline const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"submit",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options, std::function<void()> body)
           -> taskctx::Job<void> { return pool.submit(options, std::move(body)); }},
      {"submit_bulk",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options,
          std::function<void()> body) -> taskctx::Job<void> {
         return pool.submit_bulk(options, std::views::iota(0, 1), [body](int) { body(); });
       }},
      {"submit_after",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options,
          std::function<void()> body) -> taskctx::Job<void> {
         return pool.submit_after(options, absl::Microseconds(1), std::move(body));
       }},
      {"then",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options, std::function<void()> body)
           -> taskctx::Job<void> { return pool.submit([] {}).then(options, std::move(body)); }},
      {"then of a shared job",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options,
          std::function<void()> body) -> taskctx::Job<void> {
         return pool.submit([] {}).shared().then(
             options, [body](const taskctx::SharedJob<void>&) { body(); });
       }},
      {"spawn",
       [](taskctx::JobPool& pool, const taskctx::JobOptions& options, std::function<void()> body)
           -> taskctx::Job<void> { return pool.spawn(options, coroutine(std::move(body))); }}};
  return all;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_JOB_KINDS_H_
