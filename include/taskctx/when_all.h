// SPDX-License-Identifier: Apache-2.0
//
// when_all, gather, when_any: several jobs as one.
//
//   auto [user, cart] = taskctx::gather(pool.submit(load_user), pool.submit(load_cart));
//   taskctx::Job<std::vector<int>> all = taskctx::when_all(std::move(jobs));
//   taskctx::FirstJob<int> first = taskctx::when_any(std::move(jobs)).get();
//
// Threads:  the jobs may belong to different pools. Nothing here blocks, but for gather().
// Lifetime: the jobs' handles are taken. Each job has the context of its own submission; the
//           new one has that of the call.
// Errors:   the first in the order of the arguments comes out of get(), when all have ended, or
//           goes to the exception handler with the context of the job that threw it; the others are
//           dropped. JobError where a handle is empty, or after the pool's shutdown.

#ifndef TASKCTX_WHEN_ALL_H_
#define TASKCTX_WHEN_ALL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "taskctx/internal/dependent.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/job_task.h"
#include "taskctx/internal/pool_core.h"
#include "taskctx/internal/refused.h"
#include "taskctx/internal/unnamed.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {

// Is what when_any() gives: all the handles, and which of the jobs was the first to end.
template <typename R>
struct FirstJob {
  std::size_t index = 0;
  std::vector<Job<R>> jobs;
};

namespace internal {

// What a job contributes to a tuple: its result, or std::monostate for void.
template <typename R>
using TupleElement = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <typename R>
TupleElement<R> take_element(Job<R>& job) {
  if constexpr (std::is_void_v<R>) {
    job.get();
    return {};
  } else {
    return job.get();
  }
}

template <typename... R>
struct JobTuple {
  template <typename Visit>
  void visit(Visit visit) const {
    std::apply([&](const auto&... job) { (visit_one(job, visit), ...); }, jobs);
  }
  template <typename Visit, typename J>
  static void visit_one(const J& job, Visit& visit) {
    if (job.valid()) {
      visit(static_cast<JobState*>(&JobAccess::state(job, "wait for")));
    }
  }

  std::tuple<Job<R>...> jobs;
};

template <typename R>
struct JobVector {
  template <typename Visit>
  void visit(Visit visit) const {
    for (const Job<R>& job : jobs) {
      if (job.valid()) {
        visit(static_cast<JobState*>(&JobAccess::state(job, "wait for")));
      }
    }
  }

  std::vector<Job<R>> jobs;
};

// Starts the job that waits for `count` children, or for one of them.
template <typename R, typename Children, typename F>
Job<R> start_gather(PoolCore* core, Children children, std::size_t count, bool needs_all,
                    F function) {
  using Task = GatherTask<R, Children, F>;
  core->check_not_forked("wait for jobs", "");
  NodeRef context = core->context(nullptr);
  auto extras = core->extras(nullptr);
  auto* const task = new Task(core, std::move(context), std::move(children), count, needs_all,
                              std::move(function));
  JobRef<JobResult<R>> handle(task);
  task->describe(std::move(extras));
  task->start();
  return JobAccess::make<R>(std::move(handle));
}

template <typename Jobs>
concept RangeOfJobs = std::ranges::input_range<Jobs> &&
    requires(std::ranges::range_value_t<Jobs>& job) {
  job.valid();
};

// Moves jobs out of a range. Throws JobError if one is empty; all handles are lost then.
template <RangeOfJobs Jobs>
auto take_jobs(Jobs&& jobs) {
  std::vector<std::decay_t<decltype(plain(std::declval<std::ranges::range_value_t<Jobs>>()))>>
      taken;
  for (auto& job : jobs) {
    (void)JobAccess::state(job, "wait for");
    taken.push_back(std::move(job));
  }
  return taken;
}

}  // namespace internal

// Returns a job that ends when all of `jobs` have ended, with a tuple of their results in order;
// std::monostate stands for void. It runs in the pool of the first one. O(n), allocates twice.
//
//   auto both = taskctx::when_all(pool.submit(load_user), pool.submit(load_cart));
//   auto page = both.then([](std::tuple<User, Cart> loaded) { return render(loaded); });
template <typename First, typename... More>
Job<std::tuple<internal::TupleElement<First>, internal::TupleElement<More>...>> when_all(
    Job<First> first, Job<More>... more) {
  using Result = std::tuple<internal::TupleElement<First>, internal::TupleElement<More>...>;
  using Children = internal::JobTuple<First, More...>;
  internal::PoolCore* const core = internal::JobAccess::state(first, "wait for").pool();
  ((void)internal::JobAccess::state(more, "wait for"), ...);
  constexpr std::size_t kCount = 1 + sizeof...(More);
  return internal::start_gather<Result>(
      core, Children{{std::move(first), std::move(more)...}}, kCount, /*needs_all=*/true,
      [](Children children) {
        return std::apply(
            [](auto&... job) {
              return Result{internal::take_element(job)...};  // Braces: from left to right.
            },
            children.jobs);
      });
}

// Is that for jobs that must get a name before they are awaited (internal/unnamed.h), as this must.
template <typename... Jobs>
requires(internal::kIsUnnamed<Jobs> || ...) auto when_all(Jobs&&... jobs) {
  auto all = when_all(internal::plain(std::forward<Jobs>(jobs))...);
  return internal::Unnamed<decltype(all)>(std::move(all));
}

// Returns a job that ends when all jobs of a range have ended, with a vector of their results in
// order, or nothing if they return void. Also for no jobs at all. O(n).
//
//   std::vector<taskctx::Job<int>> jobs = ...;
//   std::vector<int> results = taskctx::when_all(std::move(jobs)).get();
template <internal::RangeOfJobs Jobs>
requires(!std::is_lvalue_reference_v<Jobs>) auto when_all(Jobs&& jobs) {
  auto taken = internal::take_jobs(std::forward<Jobs>(jobs));
  using R = decltype(taken.front().get());
  static_assert(!std::is_reference_v<R>, "a vector can't hold references");
  using Result =
      std::conditional_t<std::is_void_v<R>, void, std::vector<internal::TupleElement<R>>>;
  using Children = internal::JobVector<R>;
  const std::size_t count = taken.size();
  internal::PoolCore* const core =
      taken.empty() ? internal::JobPoolAccess::core(default_pool())
                    : internal::JobAccess::state(taken.front(), "wait for").pool();
  return internal::start_gather<Result>(core, Children{std::move(taken)}, count, /*needs_all=*/true,
                                        [](Children children) -> Result {
                                          if constexpr (std::is_void_v<R>) {
                                            for (Job<R>& job : children.jobs) {
                                              job.get();
                                            }
                                          } else {
                                            Result results;
                                            results.reserve(children.jobs.size());
                                            for (Job<R>& job : children.jobs) {
                                              results.push_back(job.get());
                                            }
                                            return results;
                                          }
                                        });
}

// Waits for all jobs and returns their results: when_all(...).get(). In a job of the same pool what
// nobody has begun is run right here.
//
//   auto [user, cart] = taskctx::gather(pool.submit(load_user), pool.submit(load_cart));
template <typename... Jobs>
decltype(auto) gather(Jobs&&... jobs) {
  return when_all(std::forward<Jobs>(jobs)...).get();
}

// Returns a job that ends when the first job of a range has ended, with or without an error, with
// all the handles. Throws JobError if there is no job. O(n).
//
//   taskctx::FirstJob<Reply> first = taskctx::when_any(std::move(replicas)).get();
//   Reply reply = first.jobs[first.index].get();
//   for (const auto& job : first.jobs) if (job.valid()) job.cancel();
template <internal::RangeOfJobs Jobs>
requires(!std::is_lvalue_reference_v<Jobs>) auto when_any(Jobs&& jobs) {
  auto taken = internal::take_jobs(std::forward<Jobs>(jobs));
  using R = decltype(taken.front().get());
  using Children = internal::JobVector<R>;
  if (taken.empty()) {
    internal::throw_no_job("wait for first of no");
  }
  const std::size_t count = taken.size();
  internal::PoolCore* const core = internal::JobAccess::state(taken.front(), "wait for").pool();
  return internal::start_gather<FirstJob<R>>(
      core, Children{std::move(taken)}, count, /*needs_all=*/false, [](Children children) {
        FirstJob<R> first{.index = 0, .jobs = std::move(children.jobs)};
        while (!first.jobs[first.index].ready()) {
          ++first.index;
        }
        return first;
      });
}

// Refused: handles that would be left behind empty.
template <typename Jobs>
requires internal::RangeOfJobs<Jobs&>
__attribute__((unavailable("when_all() takes the handles over: std::move(jobs)"))) internal::Refused
when_all(Jobs& /*jobs*/) {
  return {};
}
template <typename Jobs>
requires internal::RangeOfJobs<Jobs&>
__attribute__((unavailable("when_any() takes the handles over: std::move(jobs)"))) internal::Refused
when_any(Jobs& /*jobs*/) {
  return {};
}

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_WHEN_ALL_H_
