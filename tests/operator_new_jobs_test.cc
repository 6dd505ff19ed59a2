// SPDX-License-Identifier: Apache-2.0
//
// Jobs, coroutines and loops where operator new uses context variables, on one thread or on all.

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/attribution.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/task.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/parallel_reduce.h"
#include "taskctx/when_all.h"
#include "tests/meddling_new.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

inline ContextVar<std::string> joined{
    "joined",
    {.policy = taskctx::policy::copy([](const std::string&) { return std::string(); }),
     .merge = [](const std::string& left, const std::string& right) { return left + right; }}};
taskctx::Task<int> inner(int value) {
  const Scope scope{number, value, text, kLong};
  co_await taskctx::yield();
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_return number.get();
}
taskctx::Task<int> outer_task() {
  const Scope scope{number, 20, text, kOther};
  const int first = co_await inner(21);
  auto [left, right] = co_await taskctx::when_all(inner(22), inner(23));
  EXPECT_EQ(number.get(), 20);
  EXPECT_EQ(text.get(), kOther);
  co_return first + left + right;
}
taskctx::Task<> writing() {
  (void)number.set(8);
  (void)text.set(kOther);
  co_return;
}

// Everything that waits or hands over, with operator new armed on this thread, or on all.
void work(taskctx::JobPool& pool) {
  const Scope scope{number, 7, text, kLong, joined, kLong};
  const Context kept = copy_context();
  taskctx::sync_wait(writing());
  EXPECT_EQ(number.get(), 8);
  EXPECT_EQ(text.get(), kOther);
  EXPECT_EQ(taskctx::sync_wait(outer_task()), 66);
  EXPECT_EQ(pool.spawn(outer_task()).get(), 66);
  const auto set_and_get = [] {
    const std::string before = text.get();
    (void)text.set(before + "!");
    (void)joined.set(joined.get() + "!");
    return text.get();
  };
  auto job = pool.submit(set_and_get);
  EXPECT_EQ(job.get(), kOther + "!");
  EXPECT_EQ(joined.get(), kLong + "!");
  auto named = pool.submit({.name = kLong, .keep_context = true}, set_and_get);
  auto then = named.then([](const std::string& value) { return value + text.get(); });
  EXPECT_EQ(then.get(), kOther + "!" + kOther);
  EXPECT_EQ(joined.get(), kLong + "!!");
  pool.submit_bulk(std::vector<int>(10), [](int) { (void)joined.set("b"); }).get();
  EXPECT_EQ(joined.get(), kLong + "!!bbbbbbbbbb");
  auto later = pool.submit_after(absl::Microseconds(10), set_and_get);
  auto much_later = pool.submit_after(absl::Hours(1), set_and_get);
  EXPECT_EQ(later.get(), kOther + "!");
  EXPECT_TRUE(much_later.cancel());
  pool.post([] { (void)text.set(kLong); });
  taskctx::SharedJob<int> shared = pool.submit([] { return number.get(); }).shared();
  EXPECT_EQ(shared.get(), 8);
  std::atomic<int> sum{0};
  taskctx::tbb::parallel_for(0, 100, [&sum](int) {
    sum += number.get();
    (void)text.set(text.get() + "?");
  });
  EXPECT_EQ(sum, 800);
  EXPECT_EQ(text.get(), kOther);
  (void)pool.stats();
  EXPECT_EQ(*kept.find(number), 7);
  EXPECT_EQ(*kept.find(text), kLong);
}

// M39
TEST(OperatorNewOfJobs, OfTheThreadThatWaits) {
  const taskctx_test::Watchdog watchdog("operator new of a thread that waits");
  taskctx::Attribution<std::string> account{text};
  taskctx::JobPool pool{{.concurrency = 2, .attribution = account}};
  for (int i = 0; i < 10; ++i) {
    const Armed arm;
    work(pool);
    EXPECT_TRUE(pool.drain());
    (void)account.totals();
  }
  EXPECT_EQ(wrong_depths, 0);
}

// M39
TEST(OperatorNewOfJobs, OfAllThreads) {
  const taskctx_test::Watchdog watchdog("operator new of all threads");
  armed_everywhere = true;
  for (int i = 0; i < 5; ++i) {
    taskctx::Attribution<std::string> account{text};
    taskctx::JobPool pool{{.concurrency = 2, .attribution = account}};
    work(pool);
    pool.submit([&pool] { work(pool); }).get();
    std::thread([&pool] { work(pool); }).join();
    EXPECT_TRUE(pool.drain());
    (void)account.totals();
  }
  armed_everywhere = false;
  EXPECT_EQ(wrong_depths, 0);
}

}  // namespace
