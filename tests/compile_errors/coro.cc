// SPDX-License-Identifier: Apache-2.0
//
// Wrong uses of coroutines, and what the compiler says of them (compile_errors_test.py).

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

#define TEST(suite, name)                                                                   \
  [[maybe_unused]] static taskctx::Task<> suite##_##name(taskctx::JobPool& pool,            \
                                                         [[maybe_unused]] std::string text, \
                                                         [[maybe_unused]] taskctx::Job<int> job)

[[maybe_unused]] static taskctx::Task<int> task() { co_return 1; }

// J80
// only: g\+\+ 1[0-2]
// error: name the job first (auto job = pool.submit(...); co_await job;)
TEST(AwaitErrors, ALambdaWithCapturesInTheLine) {
  co_await pool.submit([text] {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, ALambdaInAStdFunction) {
  co_await pool.submit(std::function<void()>([text] {}));
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, OptionsInTheLine) {
  co_await pool.submit({.name = "a"}, [] {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, OptionsOfASpawnedTask) { co_await pool.spawn({.detached = true}, task()); }

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, AContinuation) {
  co_await job.then([text](int) {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, AContinuationOfWhatIsStartedInTheLine) {
  co_await pool.submit([text] { return 1; }).then([](int) {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, ADelayedJob) {
  co_await pool.submit_after(absl::Seconds(1), [text] {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, ABulk) {
  std::vector<int> numbers;
  co_await pool.submit_bulk(numbers, [text](int) {});
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, OneOfSeveral) {
  co_await taskctx::when_all(pool.submit([] {}), pool.submit([text] {}));
}

// J80
// only: g\+\+ 1[0-2]
// error: name the job first
TEST(AwaitErrors, OneOfSeveralBesideATask) {
  co_await taskctx::when_all(task(), pool.submit([text] {}));
}

// J80
// silent:
TEST(AwaitErrors, WhatIsSafeIsAllowed) {
  auto named = pool.submit([text] { return 1; });
  co_await named;
  co_await pool.submit([&text] { text += "."; });
  co_await pool.submit([](const std::string&) {}, text);
  co_await pool.spawn(task());
  const auto sum = co_await taskctx::when_all(task(), task());
  co_await job;
  (void)sum;
}
