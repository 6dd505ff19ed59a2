// SPDX-License-Identifier: Apache-2.0
//
// Uses every public header, and includes none: headers_test.py includes them, in one order and
// in its reverse. It means the same in both.

namespace samples {

namespace ctbb = taskctx::tbb;

const taskctx::ContextVar<std::string> user{"user", "nobody"};
const taskctx::ContextVar<int> retries{"retries", {.default_value = 3}};
const taskctx::ContextVar<taskctx::Shared<int>> hits{"hits"};
const taskctx::ContextVar<int> worst{"worst", {.merge = [](const int& left, const int& right) {
                                       return left < right ? right : left;
                                     }}};

std::string scopes() {
  const taskctx::Scope scope{user, "ann", retries, 1};
  const taskctx::Scope adopted{user.set("bob")};
  taskctx::Token<int> token = retries.set(2);
  retries.reset(std::move(token));
  const taskctx::SuppressPropagation block;
  const taskctx::SwitchObserver observer([](const taskctx::Context&, const taskctx::Context&) {});
  taskctx::Context context = taskctx::copy_context();
  context.run([] { taskctx::dict::set("user", user.get()); });
  taskctx::bind(context, [] { hits.get().update([](int& count) { ++count; }); })();
  const taskctx::ContextExecutor executor{[](auto f) { f(); }};
  executor([] { (void)retries.get(); });
  const taskctx::Carried<std::string> message(context, "message");
  if (message.run(&std::string::size) == 0 || message == taskctx::Carried(message.value())) {
    return message.value();
  }
  try {
    return user.get();
  } catch (const taskctx::LookupError&) {
    return *taskctx::context_of(std::current_exception()).find(user);
  }
}

taskctx::Generator<int> numbers() { co_yield retries.get(); }
taskctx::Task<int> task() {
  co_await taskctx::yield();
  co_return 1;
}
taskctx::Task<int> limited_task() {
  co_await taskctx::with_cleanup(taskctx::shielded(task()), [](std::exception_ptr /*error*/) {
    return []() -> taskctx::Task<> { co_return; }();
  });
  co_return co_await taskctx::with_timeout(absl::Seconds(1), task());
}

int jobs() {
  const taskctx::Attribution<std::string> account{user};
  taskctx::JobPool pool{{.concurrency = 2, .attribution = account}};
  taskctx::Job<int> job = pool.submit({.name = "job"}, [] { return retries.get(); });
  const taskctx::JobExecutor executor = pool.executor();
  executor.execute([] { (void)taskctx::this_job::id(); });
  int sum = pool.submit([] { return 1; }).then([](int one) { return one + 1; }).get();
  const auto [first, second] = taskctx::gather(std::move(job), pool.spawn(limited_task()));
  for (const int number : numbers()) {
    sum += number;
  }
  return sum + first + second + taskctx::sync_wait(task());
}

int loops() {
  const ctbb::LostContextCanary canary;
  ctbb::parallel_for(0, 10, [](int) { (void)user.get(); });
  ctbb::parallel_for(ctbb::blocked_range<int>(0, 10), [](const auto&) {});
  ctbb::parallel_for_each(std::vector<int>{1}, [](int) {});
  ctbb::parallel_invoke([] {}, [] {});
  std::vector<int> sorted{2, 1};
  ctbb::parallel_sort(sorted, [](int a, int b) { return a < b; });
  ctbb::parallel_pipeline(1,
                          ctbb::make_filter<void, std::string>(ctbb::filter_mode::serial_in_order,
                                                               [](ctbb::flow_control& control) {
                                                                 control.stop();
                                                                 return user.get();
                                                               }) &
                              ctbb::make_filter<std::string, void>(ctbb::filter_mode::parallel,
                                                                   [](const std::string&) {}));
  const auto count = [](const auto& range, int sum) {
    worst.set(sum);
    return sum + static_cast<int>(range.size());
  };
  const int reduced =
      ctbb::parallel_reduce(ctbb::blocked_range<int>(0, 10), 0, count, std::plus<>());
  const int scanned = ctbb::parallel_scan(
      ctbb::blocked_range<int>(0, 10), 0,
      [](const auto& range, int sum, bool) { return sum + static_cast<int>(range.size()); },
      std::plus<>());
  ctbb::collaborative_once_flag flag;
  ctbb::collaborative_call_once(flag, [] {});
  ctbb::task_group group;
  group.run([] {});
  group.wait();
  ctbb::task_arena(2).execute([] {});
  ctbb::this_task_arena::isolate([] {});
  ctbb::task::suspend([](ctbb::task::suspend_point point) { ctbb::task::resume(point); });
  return reduced + scanned;
}

// The other ways to call it.
int in_functions() {
  namespace tbb = taskctx::tbb;
  int sum = 0;
  tbb::parallel_for(0, 1, [&](int i) { sum += i; });
  return sum;
}

}  // namespace samples

// Beside everything that is commonly used in this way.
namespace user_of_directives {

using namespace taskctx;
using namespace std;
using namespace oneapi;
using namespace absl;
#if defined(GTEST_INCLUDE_GTEST_GTEST_H_) || __has_include(<gtest/gtest.h>)
using namespace ::testing;
#endif
#if __has_include(<benchmark/benchmark.h>)
using namespace benchmark;
#endif

const ContextVar<string> tenant{"tenant"};
const ContextVar<Shared<int>> counter{"counter"};
const ContextVar<Overlay<int>> layered{"layered"};

Task<int> compute() {
  co_await yield();
  co_return co_await default_pool().submit([] { return 1; });
}
Generator<int> sequence() { co_yield 1; }
AsyncGenerator<int> stream() { co_yield 1; }

int all() {
  const Scope scope{tenant, "acme"};
  Token<string> token = tenant.set("other");
  tenant.reset(std::move(token));
  Context context = copy_context();
  context.run([] { (void)tenant.get(); });
  const ContextScope inside(context);
  JobPool pool{JobPoolOptions{.concurrency = 2}};
  Job<int> job = pool.submit(JobOptions{.name = "job"}, [] { return 1; });
  SharedJob<int> shared = std::move(job).shared();
  const JobPoolStats stats = pool.stats();
  const SuppressPropagation block;
  const SwitchObserver observer([](const Context&, const Context&) {});
  try {
    (void)tenant.get();
    dict::set("key", 1);
  } catch (const LookupError&) {
  } catch (const TokenError&) {
  } catch (const ContextError&) {
  } catch (const JobError&) {
  }
  (void)this_job::id();
  (void)when_all(pool.submit([] {}), pool.submit([] {}));
  for (const int i : sequence()) {
    (void)i;
  }
  return shared.get() + static_cast<int>(stats.queued) + sync_wait(compute());
}

}  // namespace user_of_directives

// At the top of a file of tests, in the global namespace.
#if defined(GTEST_INCLUDE_GTEST_GTEST_H_)
using namespace taskctx;
using namespace taskctx::gtest;
using namespace testing;

class TestOfAUser : public testing::Test, private IsolatedContext {
 protected:
  const ContextVar<std::string> name_{"name"};
  JobPool pool_{JobPoolOptions{.concurrency = 2}};
};

TEST_F(TestOfAUser, UsesBothLibraries) {
  const LeakCheck leaks;
  EXPECT_THAT(name_, IsUnset());
  const Scope scope{name_, "ann"};
  EXPECT_THAT(name_, testing::AllOf(HasValue("ann"), HasValue(Not(IsEmpty()))));
  EXPECT_THAT(copy_context(), Binds(name_, StartsWith("a")));
  EXPECT_EQ(pool_.submit([this] { return name_.get(); }).get(), "ann");
}
#endif
