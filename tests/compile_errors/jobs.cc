// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of pools and jobs, and what the compiler says of them (compile_errors_test.py).

#include <chrono>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/generator.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"

#define TEST(suite, name) void suite##_##name()

inline taskctx::ContextVar<std::string> user{"user", "nobody"};
taskctx::JobPool& pool();
taskctx::Task<int> compute(int n);
taskctx::Generator<int> count();

struct Service {
  int handle(int n) { return n; }
};

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ALambdaIsNotSubmitted) {
  auto job = pool().submit([]() -> taskctx::Task<int> { co_return 1; });
  int i = job.get();
  (void)i;
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, AFunctionIsNotSubmitted) {
  auto job = pool().submit(compute, 1);
  job.wait();
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ATaskIsNotSubmitted) { auto job = pool().submit(compute(1)); }

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, OptionsDontHelp) { auto job = pool().submit({.name = "x"}, compute, 1); }

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, NamedOptionsDontHelp) {
  const taskctx::JobOptions options;
  auto job = pool().submit(options, compute, 1);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ALambdaIsNotPosted) {
  pool().post([]() -> taskctx::Task<> { co_return; });
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNotPostedWithOptions) {
  pool().post({.name = "x"}, []() -> taskctx::Task<> { co_return; });
}

// J94
// error: nobody iterates over what this job makes: it would never run
TEST(CoroutineErrors, AGeneratorIsNotPosted) { pool().post(count); }

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNotSubmittedForLater) {
  auto job = pool().submit_after(std::chrono::seconds(1), compute, 1);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNotSubmittedForATime) {
  auto job = pool().submit_at(std::chrono::system_clock::now(), compute, 1);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNotSubmittedInBulk) {
  auto job = pool().submit_bulk(std::vector<int>{1}, compute);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNoContinuation) {
  auto job = pool().submit([] { return 1; });
  auto next = job.then(compute);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNoContinuationInOneLine) {
  auto next = pool().submit([] { return 1; }).then(compute);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
// lines: 24
TEST(CoroutineErrors, ItIsNoContinuationOfAHandle) {
  auto job = pool().submit([] { return 1; }).then([](taskctx::Job<int> parent) {
    return compute(parent.get());
  });
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNoContinuationOfAVoid) {
  auto job = pool().submit([] {}).then([] { return compute(1); });
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
TEST(CoroutineErrors, ItIsNoContinuationOfAShared) {
  auto job = pool().submit([] { return 1; }).shared().then({.name = "x"}, compute);
}

// J94
// error: cannot submit a coroutine: it would never run: use pool.spawn(...)
// lines: 24
TEST(CoroutineErrors, ItIsNotExecuted) {
  pool().executor().execute([] { return compute(1); });
}

// J94
// error: a Task runs in its awaiter's context: pool.spawn({.context = c}, task)
TEST(CoroutineErrors, ItIsNotBound) {
  std::thread thread(taskctx::bind([]() -> taskctx::Task<> { co_return; }));
}

// J94
// error: a Task runs in its awaiter's context: pool.spawn({.context = c}, task)
TEST(CoroutineErrors, ItIsNotBoundToAContext) {
  const taskctx::Context context;
  std::thread thread(taskctx::bind(context, compute, 1));
}

// J94
// error: a Task runs in its awaiter's context
// lines: 26
TEST(CoroutineErrors, ItIsNotBoundWithArgumentsToCome) {
  std::thread thread(taskctx::bind(compute), 1);
}

// J94
// error: a Task runs in its awaiter's context: pool.spawn({.context = c}, task)
TEST(CoroutineErrors, ItIsNotRunInAContext) {
  taskctx::Context context;
  context.run(compute, 1);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AReferenceNeedsRef) {
  int n = 0;
  auto job = pool().submit([](int& x) { x = 1; }, n);
  job.get();
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, ANumberIsNotCalled) {
  auto job = pool().submit(3);
  int i = job.get();
  (void)i;
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, NothingIsNotCalled) { auto job = pool().submit(); }

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, ArgumentsAreMissing) {
  auto job = pool().submit([](int) {});
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, ArgumentsHaveAnotherType) {
  auto job = pool().submit([](int) {}, "three");
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AnArgumentIsMoved) {
  auto p = std::make_unique<int>(1);
  auto job = pool().submit([](std::unique_ptr<int>) {}, p);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AFunctionIsMoved) {
  auto f = [p = std::make_unique<int>(1)] {};
  auto job = pool().submit(f);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AnObjectIsMissing) { auto job = pool().submit(&Service::handle, 1); }

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AlsoWithOptions) {
  auto job = pool().submit(
      {.name = "x"}, [](int&) {}, 1);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AlsoPosted) {
  int n = 0;
  pool().post([](int& x) { x = 1; }, n);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AlsoForLater) {
  int n = 0;
  auto job = pool().submit_after(
      std::chrono::seconds(1), [](int& x) { x = 1; }, n);
}

// J95
// error: a job calls a copy of the function with copies of the arguments: std::ref() gives a
// reference, std::move() what has no copy
TEST(SubmitErrors, AlsoForATime) {
  int n = 0;
  auto job = pool().submit_at(
      std::chrono::system_clock::now(), [](int& x) { x = 1; }, n);
}

// J95
// error: a bulk takes a range with a size and random access: a vector, a span, std::views::iota
// lines: 24
TEST(SubmitErrors, ABulkNeedsRandomAccess) {
  std::vector<int> v{1, 2};
  auto job = pool().submit_bulk(v | std::views::filter([](int i) { return i > 1; }),
                                [](int i) { return i; });
  job.get();
}

// J95
// error: a bulk takes a range with a size and random access: a vector, a span, std::views::iota
TEST(SubmitErrors, ABulkNeedsARange) {
  auto job = pool().submit_bulk(100, [](int i) { return i; });
}

// J95
// error: a bulk calls a copy of the function with each element of a copy of the range: std::move()
// what has no copy
TEST(SubmitErrors, ABulkGivesElements) {
  auto job = pool().submit_bulk(std::vector<int>{1}, [](std::string) {});
}

// J95
// error: a bulk takes a range with a size and random access: a vector, a span, std::views::iota
TEST(SubmitErrors, ABulkWithOptionsNeedsRandomAccess) {
  auto job = pool().submit_bulk({.name = "x"}, 100, [](int i) { return i; });
}

// J95
// error: a continuation takes the result of its job, or a handle of it
TEST(SubmitErrors, ContinuationTakesTheResult) {
  auto job = pool().submit([] { return 1; });
  auto next = job.then([](std::string) {});
  next.get();
}

// J95
// error: a continuation takes the result of its job, or a handle of it
TEST(SubmitErrors, ContinuationTakesTheResultInOneLine) {
  auto next = pool().submit([] { return 1; }).then([](std::string) {});
}

// J95
// error: a continuation takes the result of its job, or a handle of it
TEST(SubmitErrors, ContinuationOfNothingTakesNothing) {
  auto next = pool().submit([] {}).then([](int) {});
}

// J95
// error: a continuation takes the result of its job, or a handle of it
TEST(SubmitErrors, ContinuationOfASharedTakesAReference) {
  auto next = pool().submit([] { return 1; }).shared().then([](int&) {});
}

// J95
// error: use of deleted function | call to deleted constructor | call to implicitly-deleted
TEST(SubmitErrors, AJobIsNotCopied) {
  auto job = pool().submit([] { return 1; });
  auto copy = job;
}

// J95
// warning: ignoring return
TEST(SubmitErrors, ADroppedHandleIsWarnedOf) {
  pool().submit([] { return 1; });
}

// J95
// warning: ignoring return
// lines: 18
TEST(SubmitErrors, ADroppedHandleOfACaptureIsWarnedOf) {
  const std::string s;
  pool().submit([s] { return s; });
}

// J95
// error: a delay is a duration of absl or std::chrono: std::chrono::seconds(1)
TEST(SubmitErrors, ANumberIsNoDelay) {
  auto job = pool().submit_after(1, [] {});
}

// J95
// error: a delay is a duration of absl or std::chrono: std::chrono::seconds(1)
TEST(SubmitErrors, ANumberIsNoDelayWithOptions) {
  auto job = pool().submit_after({.name = "x"}, 1, [] {});
}

// J95
// error: a time is one of absl's or of a std::chrono clock: submit_after() takes a delay
TEST(SubmitErrors, ADelayIsNoTime) {
  auto job = pool().submit_at(std::chrono::seconds(1), [] {});
}

// J95
// error: when_all() takes the handles over: std::move(jobs)
TEST(SubmitErrors, HandlesAreMovedIntoWhenAll) {
  std::vector<taskctx::Job<int>> jobs;
  auto all = taskctx::when_all(jobs);
}

// J95
// error: when_any() takes the handles over: std::move(jobs)
TEST(SubmitErrors, HandlesAreMovedIntoWhenAny) {
  std::vector<taskctx::Job<int>> jobs;
  auto first = taskctx::when_any(jobs);
}

// J95
// error: include taskctx/coro.h, to spawn coroutines
TEST(SubmitErrors, SpawnNeedsItsHeader) { auto job = pool().spawn(compute(1)); }

// J95
// error: include taskctx/coro.h, to spawn coroutines
TEST(SubmitErrors, SpawnOfACallNeedsItsHeader) { auto job = pool().spawn(compute, 1); }

// J95
// error: include taskctx/coro.h, to await pool.schedule()
TEST(SubmitErrors, ScheduleNeedsItsHeader) { auto schedule = pool().schedule(); }

// J94, J95
// silent:
TEST(SubmitErrors, WhatIsRightIsNotRefused) {
  Service service;
  int n = 0;
  const taskctx::JobOptions options;
  taskctx::JobOptions changed;
  auto a = pool().submit(&Service::handle, &service, 0);
  auto b = pool().submit([](int& x) { ++x; }, std::ref(n));
  auto c = pool().submit(
      options, [](std::unique_ptr<int>) {}, std::make_unique<int>(1));
  auto d = pool().submit(changed, [] {});
  pool().post({.name = "x"}, [] {});
  pool().post(
      options, [](int) {}, 1);
  pool().post(
      changed, [](const auto&) {}, "x");
  auto e = pool().submit(count).then([](taskctx::Generator<int> generator) {
    int sum = 0;
    for (const int i : generator) {
      sum += i;
    }
    return sum;
  });
  auto f = pool().submit_bulk(std::views::iota(0, 3), [](int i) { return i; });
  auto g = pool().submit_bulk(options, std::vector<int>{1}, [](int& i) { i = 2; });
  auto h = pool().submit_after(std::chrono::seconds(1), [] {});
  auto i = pool().submit_at(
      options, std::chrono::system_clock::now(), [](int) {}, 1);
  auto j = f.then([](taskctx::Job<std::vector<int>> job) { return job.get(); });
  auto k = h.then({.name = "x"}, [] {});
  auto l = g.then(options, [](taskctx::Job<void>) {});
  auto m = a.shared().then([](const int& result) { return result; });
  static_assert(std::is_invocable_v<taskctx::JobExecutor, std::function<void()>>);
  static_assert(!std::is_invocable_v<taskctx::JobExecutor, int>);
}
