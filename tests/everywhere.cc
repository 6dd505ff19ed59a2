// SPDX-License-Identifier: Apache-2.0
//
// The places, one function each.

#include "tests/everywhere.h"

#include <atomic>
#include <exception>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/observer.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"

namespace taskctx_test {
namespace {

using namespace taskctx;

namespace ctbb = taskctx::tbb;
using Ending = std::shared_ptr<VisitAtEnd>;

// For the functions that are plain pointers.
std::atomic<Visit*> of_function{nullptr};
void visit_in_function() {
  if (Visit* visit = of_function.exchange(nullptr)) {
    (*visit)();
  }
}

int copied(const int& value) {
  visit_in_function();
  return value;
}
int merged(const int& left, const int& right) {
  visit_in_function();
  return left + right;
}
void changed(const taskctx::Change<int>& /*change*/) { visit_in_function(); }
int computed() {
  visit_in_function();
  return 1;
}

ContextVar<Ending> ending{"ending"};
ContextVar<int> with_policy{"with_policy", {.policy = taskctx::policy::copy(&copied)}};
ContextVar<int> with_merge{"with_merge", {.merge = &merged}};
ContextVar<int> with_on_change{"with_on_change", {.on_change = &changed}};

Ending at_end(Visit& visit) { return std::make_shared<VisitAtEnd>(visit); }

// Lets a job go on when this ends.
struct Gate {
  ~Gate() { latch->count_down(); }
  std::shared_ptr<std::latch> latch = std::make_shared<std::latch>(1);
};

struct Thrown : std::exception {
  explicit Thrown(Ending what) : end(std::move(what)) {}
  Ending end;
};

// An object with static or thread storage that visits at its end.
struct LateVisit {
  ~LateVisit() {
    if (visit != nullptr) {
      (*visit)();
    }
  }
  Visit* visit = nullptr;
};

void in_job(JobPool& pool, const std::function<void()>& function) { pool.submit(function).get(); }

void on_plain_thread(JobPool& /*pool*/, Visit& visit) {
  std::thread([&] { visit(); }).join();
}
void on_main_thread(JobPool& /*pool*/, Visit& visit) { visit(); }
void in_thread_local_destructor(JobPool& /*pool*/, Visit& visit) {
  std::thread([&] {
    thread_local LateVisit late;
    late.visit = &visit;
  }).join();
}
void in_bound_callable(JobPool& /*pool*/, Visit& visit) {
  std::thread(taskctx::bind([&] { visit(); })).join();
}
void in_callable_bound_by_a_job(JobPool& pool, Visit& visit) {
  auto bound = pool.submit([&] { return taskctx::bind([&] { visit(); }); }).get();
  std::thread(std::move(bound)).join();
}
void in_jobs_own(JobPool& pool, Visit& visit) {
  pool.post([&] { visit(); });
}
void in_nested_job(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { pool.submit([&] { visit(); }).get(); });
}
void in_bulk_element(JobPool& pool, Visit& visit) {
  pool.submit_bulk(std::vector<int>(3), [&](int) { visit(); }).wait();
}
void in_continuation(JobPool& pool, Visit& visit) {
  pool.submit([] {}).then([&] { visit(); }).wait();
}
void in_delayed_job(JobPool& pool, Visit& visit) {
  pool.submit_after(absl::Microseconds(1), [&] { visit(); }).wait();
}
void in_job_of_another_pool(JobPool& /*pool*/, Visit& visit) {
  JobPool other{{.concurrency = 1}};
  other.submit([&] { visit(); }).wait();
}
void in_job_run_by_its_submitter(JobPool& /*pool*/, Visit& visit) {
  JobPool full{
      {.concurrency = 1, .queue_capacity = 1, .when_full = taskctx::WhenFull::run_in_caller}};
  const Gate gate;
  full.post([latch = gate.latch] { latch->wait(); });
  for (int i = 0; i < 3; ++i) {  // One of them finds the queue full.
    full.post([&, caller = std::this_thread::get_id()] {
      if (caller == std::this_thread::get_id()) {
        visit();
      }
    });
  }
}
void in_leaf(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { ctbb::parallel_for(0, 3, [&](int) { visit(); }); });
}
void in_leaf_of_plain_onetbb(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { oneapi::tbb::parallel_for(0, 3, [&](int) { visit(); }); });
}
void in_group_task(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    ctbb::task_group group;
    group.run([&] { visit(); });
    group.wait();
  });
}
void in_enqueued_task(JobPool& pool, Visit& visit) {
  static ctbb::task_arena arena(2);
  in_job(pool, [&] { arena.enqueue([&] { visit(); }); });
}
void in_arena(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { ctbb::task_arena(2).execute([&] { visit(); }); });
}
void in_isolated_call(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { ctbb::this_task_arena::isolate([&] { visit(); }); });
}
void in_join(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    (void)ctbb::parallel_reduce(
        ctbb::blocked_range<int>(0, 4), 0, [](const auto& /*range*/, int sum) { return sum; },
        [&](int left, int right) {
          visit();
          return left + right;
        },
        ctbb::simple_partitioner{});
    visit();  // Where no part was stolen, nothing is joined.
  });
}
void in_comparison(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    std::vector<int> numbers(1000, 1);
    ctbb::parallel_sort(numbers.begin(), numbers.end(), [&](int a, int b) {
      visit();
      return a < b;
    });
  });
}
void in_filter(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    ctbb::parallel_pipeline(2, ctbb::make_filter<void, void>(ctbb::filter_mode::serial_in_order,
                                                             [&](ctbb::flow_control& control) {
                                                               visit();
                                                               control.stop();
                                                             }));
  });
}
void in_call_once(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    ctbb::collaborative_once_flag once;
    ctbb::collaborative_call_once(once, [&] { visit(); });
  });
}

Task<> visiting(Visit& visit) {
  visit();
  co_return;
}
Task<> visiting_later(Visit& visit) {
  co_await taskctx::yield();
  visit();
}
Task<> visiting_at_its_end(Visit& visit) {
  const VisitAtEnd end(visit);
  co_await taskctx::yield();
}
taskctx::Generator<int> visiting_generator(Visit& visit) {
  visit();
  co_yield 1;
}
taskctx::AsyncGenerator<int> visiting_async_generator(Visit& visit) {
  co_await taskctx::yield();
  visit();
  co_yield 1;
}
Task<> consuming(Visit& visit) {
  auto values = visiting_async_generator(visit);
  (void)co_await values.next();
}
Task<> visiting_when_cancelled(Visit& visit, std::latch& begun) {
  const VisitAtEnd end(visit);
  begun.count_down();
  co_await taskctx::sleep_for(absl::Hours(1));
}
Task<> waiting(std::shared_ptr<std::latch> latch) {
  latch->wait();
  co_await taskctx::yield();
}
void in_coroutine(JobPool& pool, Visit& visit) { pool.spawn(visiting(visit)).wait(); }
void in_coroutine_later(JobPool& pool, Visit& visit) { pool.spawn(visiting_later(visit)).wait(); }
void in_coroutines_destructor(JobPool& pool, Visit& visit) {
  pool.spawn(visiting_at_its_end(visit)).wait();
}
void in_cancelled_coroutine(JobPool& pool, Visit& visit) {
  std::latch begun(1);
  const auto job = pool.spawn(visiting_when_cancelled(visit, begun));
  begun.wait();
  job.cancel();
  job.wait();
}
void in_generator(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    for ([[maybe_unused]] const int value : visiting_generator(visit)) {
    }
  });
}
void in_async_generator(JobPool& pool, Visit& visit) { pool.spawn(consuming(visit)).wait(); }
void in_awaited_task_of_main(JobPool& /*pool*/, Visit& visit) {
  taskctx::sync_wait(visiting(visit));
}

void throwing(JobPool& pool, Visit& /*visit*/) {
  pool.post([] { throw Thrown(nullptr); });
}
void with_visiting_handler(JobPoolOptions& options, Visit& visit) {
  options.exception_handler = [&visit](const std::exception_ptr& /*error*/) { visit(); };
}
void with_silent_handler(JobPoolOptions& options, Visit& /*visit*/) {
  options.exception_handler = [](const std::exception_ptr& /*error*/) {};
}
void with_visiting_factory(JobPoolOptions& options, Visit& visit) {
  options.context_factory = [&visit](const Context* /*parent*/) {
    if (taskctx::this_job::id() != 0) {
      visit();
    }
    return Context();
  };
}
void submitting_in_a_job(JobPool& pool, Visit& /*visit*/) {
  in_job(pool, [&] { pool.post([] {}); });
}

void in_destructor_of_value_that_a_job_set(JobPool& pool, Visit& visit) {
  pool.post([&] { ending.set(at_end(visit)); });
}
void in_destructor_of_value_that_a_job_began_with(JobPool& pool, Visit& visit) {
  const Gate gate;
  const Scope scope{ending, at_end(visit)};
  pool.post([latch = gate.latch] { latch->wait(); });
}
void in_destructor_of_value_that_a_coroutine_began_with(JobPool& pool, Visit& visit) {
  const Gate gate;
  const Scope scope{ending, at_end(visit)};
  (void)pool.spawn(waiting(gate.latch));
}
void in_destructor_of_value_of_a_leaf(JobPool& pool, Visit& visit) {
  in_job(pool, [&] { ctbb::parallel_for(0, 1, [&](int) { ending.set(at_end(visit)); }); });
}
void in_destructor_of_given_context(JobPool& pool, Visit& visit) {
  Context context;
  context.run([&] { ending.set(at_end(visit)); });
  const Gate gate;
  pool.post({.context = std::move(context)}, [latch = gate.latch] { latch->wait(); });
}
void in_destructor_of_result(JobPool& pool, Visit& visit) {
  const Gate gate;
  (void)pool.submit([latch = gate.latch, &visit] {
    latch->wait();
    return at_end(visit);
  });
}
void in_destructor_of_callable(JobPool& pool, Visit& visit) {
  pool.post([end = VisitAtEnd(visit)] {});
}
void in_destructor_of_bound_callable(JobPool& pool, Visit& visit) {
  const Gate gate;
  Context context;
  context.run([&] { ending.set(at_end(visit)); });
  pool.post(taskctx::bind(context, [latch = gate.latch] { latch->wait(); }));
}
void in_destructor_of_exception(JobPool& pool, Visit& visit) {
  pool.post([&] { throw Thrown(at_end(visit)); });
}
void in_destructor_of_group_tasks_callable(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    ctbb::task_group group;
    group.run([end = at_end(visit)] {});
    group.wait();
  });
}

void in_policy(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    const Scope scope{with_policy, 1};
    of_function = &visit;
    pool.post([] {});
  });
}
void in_merge(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    const Scope scope{with_merge, 1};
    auto child = pool.submit([] { with_merge.set(2); });
    child.wait();
    of_function = &visit;
    child.get();
  });
}
void in_on_change(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    of_function = &visit;
    with_on_change.set(1);
  });
}
void in_observer(JobPool& pool, Visit& visit) {
  const taskctx::SwitchObserver observer([&](const Context& /*from*/, const Context& /*to*/) {
    if (taskctx::this_job::id() != 0) {
      visit();
    }
  });
  in_job(pool, [] { Context().run([] {}); });
}
void in_default_factory(JobPool& pool, Visit& visit) {
  const ContextVar<int> with_default{"with_default", {.default_factory = &computed}};
  in_job(pool, [&] {
    of_function = &visit;
    (void)with_default.get();
  });
}
void in_misuse_handler(JobPool& pool, Visit& visit) {
  in_job(pool, [&] {
    of_function = &visit;
    auto* const before =
        taskctx::set_misuse_handler([](const taskctx::Misuse& /*misuse*/) { visit_in_function(); });
    {
      auto token = with_merge.set(1);
      const Scope scope{std::move(token)};
      const Scope again{std::move(token)};  // NOLINT(bugprone-use-after-move): that is the misuse
    }
    taskctx::set_misuse_handler(before);
  });
}

}  // namespace

const std::vector<Place>& places() {
  static const std::vector<Place> all{
      {"MainThread", false, &on_main_thread},
      {"PlainThread", false, &on_plain_thread},
      {"ThreadLocalDestructor", false, &in_thread_local_destructor},
      {"BoundCallable", false, &in_bound_callable},
      {"CallableBoundByAJob", false, &in_callable_bound_by_a_job},
      {"Job", true, &in_jobs_own},
      {"NestedJob", true, &in_nested_job},
      {"BulkElement", true, &in_bulk_element},
      {"Continuation", true, &in_continuation},
      {"DelayedJob", true, &in_delayed_job},
      {"JobOfAnotherPool", false, &in_job_of_another_pool},
      {"JobRunByItsSubmitter", false, &in_job_run_by_its_submitter},
      {"Leaf", true, &in_leaf},
      {"LeafOfPlainOnetbb", true, &in_leaf_of_plain_onetbb},
      {"GroupTask", true, &in_group_task},
      {"EnqueuedTask", false, &in_enqueued_task},
      {"Arena", true, &in_arena},
      {"IsolatedCall", true, &in_isolated_call},
      {"Join", true, &in_join},
      {"Comparison", true, &in_comparison},
      {"Filter", true, &in_filter},
      {"CallOnce", true, &in_call_once},
      {"Coroutine", true, &in_coroutine},
      {"CoroutineLater", true, &in_coroutine_later},
      {"CoroutinesDestructor", true, &in_coroutines_destructor},
      {"CancelledCoroutine", true, &in_cancelled_coroutine},
      {"Generator", true, &in_generator},
      {"AsyncGenerator", true, &in_async_generator},
      {"AwaitedTaskOfMain", false, &in_awaited_task_of_main},
      {"ExceptionHandler", true, &throwing, &with_visiting_handler},
      {"ContextFactory", true, &submitting_in_a_job, &with_visiting_factory},
      {"DestructorOfValueThatAJobSet", true, &in_destructor_of_value_that_a_job_set},
      {"DestructorOfValueThatAJobBeganWith", true, &in_destructor_of_value_that_a_job_began_with},
      {"DestructorOfValueThatACoroutineBeganWith", true,
       &in_destructor_of_value_that_a_coroutine_began_with},
      {"DestructorOfValueOfALeaf", true, &in_destructor_of_value_of_a_leaf},
      {"DestructorOfGivenContext", true, &in_destructor_of_given_context},
      {"DestructorOfResult", true, &in_destructor_of_result},
      {"DestructorOfCallable", true, &in_destructor_of_callable},
      {"DestructorOfBoundCallable", true, &in_destructor_of_bound_callable},
      {"DestructorOfException", true, &in_destructor_of_exception, &with_silent_handler},
      {"DestructorOfGroupTasksCallable", true, &in_destructor_of_group_tasks_callable},
      {"Policy", true, &in_policy},
      {"Merge", true, &in_merge},
      {"OnChange", true, &in_on_change},
      {"Observer", true, &in_observer},
      {"DefaultFactory", true, &in_default_factory},
      {"MisuseHandler", true, &in_misuse_handler},
  };
  return all;
}

}  // namespace taskctx_test
