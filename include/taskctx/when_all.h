// SPDX-License-Identifier: Apache-2.0
//
// when_all, gather, when_any: several jobs as one.
//
//   auto [user, cart] = taskctx::gather(pool.submit(load_user), pool.submit(load_cart));
//   taskctx::Job<std::vector<int>> all = taskctx::when_all(std::move(jobs));
//   taskctx::FirstJob<int> first = taskctx::when_any(std::move(jobs)).get();
//
//   when_all(taskctx::FailFast{}, ...)       // the first failure cancels the others
//   when_any(taskctx::CancelLosers{}, ...)   // the first end does
//
// gather() for code that needs the results at once; when_all() for a continuation or a coroutine;
// when_any() for the fastest of several that do the same.
//
// Threads:  the jobs may belong to different pools. Only gather() blocks.
// Lifetime: the jobs' handles are taken. Each job has the context of its own submission; the
//           new one has that of the call.
// Errors:   of several errors, the first in the order of the arguments (with FailFast: in time) is
//           thrown by get(), when all jobs have ended, or goes to the exception handler with the context of the job that
//           threw it; the others are dropped. The calls throw JobError if a handle is empty, or
//           after the pool's shutdown; and std::bad_alloc. The caller then still has all handles,
//           unless they came from a range that can be iterated over only once.

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

#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/pool/call_place.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/launch.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/internal/pool/waiting_jobs.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {

// The result of when_any(): all the handles, and which of the jobs was the first to end.
template <typename R>
struct FirstJob {
  std::size_t index = 0;
  std::vector<Job<R>> jobs;
};

// The first argument of a when_all() whose jobs are of no use without one another: as soon as one
// has ended without a result, the others are cancelled (Job::cancel()). The new job ends when all
// of them have ended, so none of them still runs then, and throws what the first one in time threw.
// Unless it is cancelled itself, or its scope is: it does not wait for them then, nor cancel them.
//
//   auto [user, cart] = co_await taskctx::when_all(taskctx::FailFast{}, load_user(), load_cart());
struct FailFast {};
// The first argument of a when_any() that needs one job only: as soon as one has ended, with or
// without an error, the others are cancelled. The new job ends when all have ended, likewise.
//
//   auto first = co_await taskctx::when_any(taskctx::CancelLosers{}, std::move(replicas));
struct CancelLosers {};

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

// Starts the job that waits for `count` children, or for one of them. If that throws, the
// children are still there.
template <typename R, typename Children, typename F>
Job<R> start_gather(PoolCore* core, Children& children, std::size_t count, Gather how,
                    CallPlace place, F function) {
  WaitingEntry entry(core, "wait for jobs", nullptr,
                     [&children](auto* job) { job->start(children); });
  return JobAccess::make<R>(
      launch<GatherJob<R, Children, F>>(entry, nullptr, place, count, how, std::move(function)));
}

template <typename Handle>
using JobResultIn = decltype(std::declval<Handle&>().get());

template <typename Jobs>
concept RangeOfJobs = std::ranges::input_range<Jobs> &&
                      requires(std::ranges::range_value_t<Jobs>& job) { job.valid(); };

// Calls `start` with the jobs of a range, and puts them back if that throws. Throws JobError if one
// is empty. If the range can be iterated over only once, all handles are lost then.
template <RangeOfJobs Jobs, typename Start>
auto with_jobs(Jobs&& jobs, Start start) {
  using R = JobResultIn<std::ranges::range_value_t<Jobs>>;
  std::vector<Job<R>> taken;
  if constexpr (std::ranges::forward_range<Jobs>) {
    std::size_t count = 0;
    for (auto& job : jobs) {
      (void)JobAccess::state(job, "wait for");
      ++count;
    }
    taken.reserve(count);
  }
  for (auto& job : jobs) {
    if constexpr (!std::ranges::forward_range<Jobs>) {
      (void)JobAccess::state(job, "wait for");
    }
    taken.push_back(std::move(job));
  }
  JobVector<R> children{std::move(taken)};
  try {
    return start(children);
  } catch (...) {
    if constexpr (std::ranges::forward_range<Jobs>) {
      auto back = children.jobs.begin();
      for (auto& job : jobs) {
        job = std::move(*back++);
      }
    }
    throw;
  }
}

// The bodies of when_all() and when_any().
template <typename First, typename... More>
auto gather_tuple(Gather how, Job<First>&& first, Job<More>&&... more) {
  using Result = std::tuple<TupleElement<First>, TupleElement<More>...>;
  using Children = JobTuple<First, More...>;
  PoolCore* const core = JobAccess::state(first, "wait for").pool();
  ((void)JobAccess::state(more, "wait for"), ...);
  constexpr std::size_t kCount = 1 + sizeof...(More);
  Children children{{std::move(first), std::move(more)...}};
  try {
    return start_gather<Result>(core, children, kCount, how, /*place=*/{}, [](Children ended) {
      return std::apply(
          [](auto&... job) {
            return Result{take_element(job)...};  // Braces: from left to right.
          },
          ended.jobs);
    });
  } catch (...) {
    std::tie(first, more...) = std::move(children.jobs);
    throw;
  }
}

template <typename Jobs>
auto gather_range(Gather how, Jobs&& jobs, CallPlace place) {
  using R = JobResultIn<std::ranges::range_value_t<Jobs>>;
  static_assert(!std::is_reference_v<R>, "a vector can't hold references");
  using Result = std::conditional_t<std::is_void_v<R>, void, std::vector<TupleElement<R>>>;
  using Children = JobVector<R>;
  return with_jobs(std::forward<Jobs>(jobs), [how, place](Children& children) {
    const std::size_t count = children.jobs.size();
    PoolCore* const core = count == 0 ? JobPoolAccess::core(default_pool())
                                      : JobAccess::state(children.jobs.front(), "wait for").pool();
    return start_gather<Result>(core, children, count, how, place, [](Children ended) -> Result {
      if constexpr (std::is_void_v<R>) {
        for (Job<R>& job : ended.jobs) {
          job.get();
        }
      } else {
        Result results;
        results.reserve(ended.jobs.size());
        for (Job<R>& job : ended.jobs) {
          results.push_back(job.get());
        }
        return results;
      }
    });
  });
}

template <typename Jobs>
auto gather_first(Gather how, Jobs&& jobs, CallPlace place) {
  using R = JobResultIn<std::ranges::range_value_t<Jobs>>;
  using Children = JobVector<R>;
  return with_jobs(std::forward<Jobs>(jobs), [how, place](Children& children) {
    if (children.jobs.empty()) {
      throw_no_job("wait for first of no");
    }
    PoolCore* const core = JobAccess::state(children.jobs.front(), "wait for").pool();
    return start_gather<FirstJob<R>>(
        core, children, children.jobs.size(), how, place, [](Children ended, JobState* winner) {
          FirstJob<R> first{.index = 0, .jobs = std::move(ended.jobs)};
          const auto is_first = [&](const Job<R>& job) {
            return winner != nullptr ? &JobAccess::state(job, "wait for") == winner : job.ready();
          };
          while (!is_first(first.jobs[first.index])) {
            ++first.index;
          }
          return first;
        });
  });
}

}  // namespace internal

// Returns a job that ends when all of `jobs` have ended, with a tuple of their results in order;
// std::monostate stands for void. It runs in the pool of the first one. O(n), allocates thrice.
//
//   auto both = taskctx::when_all(pool.submit(load_user), pool.submit(load_cart));
//   auto page = both.then([](std::tuple<User, Cart> loaded) { return render(loaded); });
template <typename First, typename... More>
Job<std::tuple<internal::TupleElement<First>, internal::TupleElement<More>...>> when_all(
    Job<First>&& first, Job<More>&&... more) {
  return internal::gather_tuple(internal::Gather::all, std::move(first), std::move(more)...);
}
template <typename First, typename... More>
Job<std::tuple<internal::TupleElement<First>, internal::TupleElement<More>...>> when_all(
    FailFast /*tag*/, Job<First>&& first, Job<More>&&... more) {
  return internal::gather_tuple(internal::Gather::fail_fast, std::move(first), std::move(more)...);
}

// Likewise for jobs that must get a name before they are awaited (internal/pool/unnamed.h): so must
// the result.
template <typename... Jobs>
  requires(internal::kIsUnnamed<Jobs> || ...)
auto when_all(Jobs&&... jobs) {
  auto all = when_all(internal::plain(std::forward<Jobs>(jobs))...);
  return internal::Unnamed<decltype(all)>(std::move(all));
}

// Returns a job that ends when all jobs of a range have ended, with a vector of their results in
// order, or nothing if they return void. Also for no jobs at all. O(n).
//
//   std::vector<taskctx::Job<int>> jobs = ...;
//   std::vector<int> results = taskctx::when_all(std::move(jobs)).get();
template <internal::RangeOfJobs Jobs>
  requires(!std::is_lvalue_reference_v<Jobs>)
auto when_all(Jobs&& jobs, internal::CallPlace place = internal::CallPlace::here()) {
  return internal::gather_range(internal::Gather::all, std::forward<Jobs>(jobs), place);
}
template <internal::RangeOfJobs Jobs>
  requires(!std::is_lvalue_reference_v<Jobs>)
auto when_all(FailFast /*tag*/, Jobs&& jobs,
              internal::CallPlace place = internal::CallPlace::here()) {
  return internal::gather_range(internal::Gather::fail_fast, std::forward<Jobs>(jobs), place);
}

// Waits for all jobs and returns their results: when_all(...).get(). In a job of the same pool what
// nobody has begun is run right here.
//
//   auto [user, cart] = taskctx::gather(pool.submit(load_user), pool.submit(load_cart));
template <typename... Jobs>
decltype(auto) gather(Jobs&&... jobs) {
  return when_all(std::forward<Jobs>(jobs)...).get();
}
template <internal::RangeOfJobs Jobs>
  requires(!std::is_lvalue_reference_v<Jobs>)
decltype(auto) gather(Jobs&& jobs, internal::CallPlace place = internal::CallPlace::here()) {
  return when_all(std::forward<Jobs>(jobs), place).get();
}

// Returns a job that ends when the first job of a range has ended, with or without an error, with
// all the handles. Throws JobError if there is no job. O(n). The others go on (see CancelLosers).
//
//   taskctx::FirstJob<Reply> first = taskctx::when_any(std::move(replicas)).get();
//   Reply reply = first.jobs[first.index].get();
template <internal::RangeOfJobs Jobs>
  requires(!std::is_lvalue_reference_v<Jobs>)
auto when_any(Jobs&& jobs, internal::CallPlace place = internal::CallPlace::here()) {
  return internal::gather_first(internal::Gather::first, std::forward<Jobs>(jobs), place);
}
template <internal::RangeOfJobs Jobs>
  requires(!std::is_lvalue_reference_v<Jobs>)
auto when_any(CancelLosers /*tag*/, Jobs&& jobs,
              internal::CallPlace place = internal::CallPlace::here()) {
  return internal::gather_first(internal::Gather::cancel_losers, std::forward<Jobs>(jobs), place);
}

// Refused: handles that would be left empty.
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
