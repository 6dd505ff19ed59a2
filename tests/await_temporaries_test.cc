// SPDX-License-Identifier: Apache-2.0
//
// The lines with co_await that people write: each of their temporaries is destroyed once. Those
// that a compiler gets wrong do not compile with it (compile_errors/coro.cc), and are left out
// here.

#include <gtest/gtest.h>

#include <coroutine>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/internal/pool/unnamed.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

Task<int> takes(Tracked tracked) {
  co_await taskctx::yield();
  co_return tracked.value();
}
Task<int> borrows(const Tracked& tracked) {
  co_await taskctx::yield();
  co_return tracked.value();
}
taskctx::AsyncGenerator<int> yields(Tracked tracked) { co_yield tracked.value(); }

Task<int> awaits_tasks() {
  const Tracked one(1);
  int sum = co_await takes(one);
  sum += co_await takes(Tracked(1));
  sum += co_await borrows(Tracked(1)) + co_await borrows(one);
  sum += sum > 0 ? co_await takes(Tracked(1)) : co_await borrows(Tracked(1));
  if (co_await takes(Tracked(1)) == 1 && co_await borrows(Tracked(1)) == 1) {
    ++sum;
  }
  co_return sum + co_await takes(Tracked(1));
}

Task<int> awaits_what_is_spawned(JobPool& pool) {
  int sum = co_await pool.spawn(takes(Tracked(1)));
  auto [a, b] = co_await taskctx::when_all(takes(Tracked(1)), takes(Tracked(1)));
  sum += a + b;
  std::vector<Task<int>> tasks;
  tasks.push_back(takes(Tracked(1)));
  for (const int each : co_await taskctx::when_all(std::move(tasks))) {
    sum += each;
  }
  auto rows = yields(Tracked(1));
  co_return sum + *co_await rows.next();
}

Task<int> awaits_jobs(JobPool& pool) {
  const Tracked one(1);
  const auto named = [one] { return one.value(); };
  int sum = co_await pool.submit(named);
  sum += co_await pool.submit([] { return 1; });
  sum += co_await pool.submit([&one] { return one.value(); });
  sum += co_await pool.submit([](const Tracked& tracked) { return tracked.value(); }, Tracked(1));
  sum += co_await pool.submit([](const std::string& text) { return static_cast<int>(text.size()); },
                              std::string("a"));
  co_return sum + co_await pool.submit(named).then([](int value) { return value; });
}

Task<int> awaits_jobs_that_have_a_name(JobPool& pool) {
  const Tracked one(1);
  auto job = pool.submit([one] { return one.value(); });
  int sum = co_await job;
  auto with_options = pool.submit({.name = "a"}, [one] { return one.value(); });
  sum += co_await with_options;
  Job<int> spawned = pool.spawn({.name = "a"}, takes(one));
  sum += co_await spawned;
  auto first = pool.submit([] { return 1; });
  auto next = first.then([one](int value) { return value; });
  sum += co_await next;
  auto later = pool.submit_after(absl::ZeroDuration(), [one] { return one.value(); });
  sum += co_await later;
  auto bulk = pool.submit_bulk(std::vector<int>(1), [one](int) { return one.value(); });
  for (const int each : co_await bulk) {
    sum += each;
  }
  auto all = taskctx::when_all(pool.submit([one] { return one.value(); }),
                               pool.submit([] { return 1; }), takes(one));
  const auto [a, b, c] = co_await all;
  std::vector<Job<int>> jobs;
  jobs.push_back(pool.submit([one] { return one.value(); }));
  auto both = taskctx::when_all(std::move(jobs));
  for (const int each : co_await both) {
    sum += each;
  }
  co_return sum + a + b + c;
}

#if !defined(__GNUC__) || defined(__clang__) || __GNUC__ >= 13
Task<int> awaits_what_is_made_in_the_line(JobPool& pool) {
  const Tracked one(1);
  int sum = co_await pool.submit([one] { return one.value(); });
  sum += co_await pool.submit({.name = "a"}, [one] { return one.value(); });
  sum += co_await pool.spawn({.name = "a"}, takes(one));
  sum += co_await pool.submit([] { return 1; }).then([one](int value) { return value; });
  sum += co_await pool.submit(std::function<int()>([one] { return one.value(); }));
  auto [a, b] = co_await taskctx::when_all(pool.submit([one] { return one.value(); }), takes(one));
  co_return sum + a + b;
}
#endif

int run(int expected, auto&& lines) {
  const int alive = Tracked::alive();
  JobPool pool{{.concurrency = 2}};
  EXPECT_EQ(pool.spawn(lines(pool)).get(), expected);
  pool.drain();
  EXPECT_EQ(Tracked::alive(), alive);
  return 0;
}

// J80
TEST(AwaitTemporaries, OfTasksAreDestroyedOnce) {
  run(7, [](JobPool& /*pool*/) { return awaits_tasks(); });
  run(5, awaits_what_is_spawned);
}

// J80
TEST(AwaitTemporaries, OfJobsAreDestroyedOnce) {
  run(6, awaits_jobs);
  run(10, awaits_jobs_that_have_a_name);
#if !defined(__GNUC__) || defined(__clang__) || __GNUC__ >= 13
  run(7, awaits_what_is_made_in_the_line);
#endif
}

// J80: what is returned is a Job<R> where nothing can go wrong, and always with a good compiler.
TEST(AwaitTemporaries, OnlyWhatMayBeWrongMustGetAName) {
  using taskctx::internal::kDestroysTwice;
  const auto is_job = []<typename T>(const T&) { return std::is_same_v<T, Job<int>>; };
  const std::string text = "text";
  JobPool pool{{.concurrency = 1}};
  const auto named = [text] { return 1; };
  EXPECT_TRUE(is_job(pool.submit([] { return 1; })));
  EXPECT_TRUE(is_job(pool.submit([&text, n = 1] { return text.empty() ? 0 : n; })));
  EXPECT_TRUE(is_job(pool.submit(named)));
  EXPECT_TRUE(is_job(pool.submit([](const std::string&) { return 1; }, std::string("a"))));
  EXPECT_TRUE(is_job(pool.spawn(takes(Tracked(1)))));
  EXPECT_EQ(is_job(pool.submit([text] { return 1; })), !kDestroysTwice);
  EXPECT_EQ(is_job(pool.submit(JobOptions(), named)), !kDestroysTwice);
  EXPECT_EQ(is_job(pool.submit([](const JobOptions&) { return 1; }, JobOptions())),
            !kDestroysTwice);
}

}  // namespace
