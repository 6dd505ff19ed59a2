// SPDX-License-Identifier: Apache-2.0
//
// context_of where the body is a job's, or the thread changes: it tells of the innermost body that
// has thrown, to whoever takes the job's error.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <ranges>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb.h"
#include "tests/job_kinds.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"
#include "tests/thrower.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// Returns the request of the body whose exception comes out of `call`.
template <typename F>
int thrower_in(const F& call) {
  return outcome(call).known;
}

void fail_in_a_leaf(int id) {
  request.set(-1);
  ctbb::parallel_for(0, 8, [id](int) { fail(id); });
}

// T9
TEST(ContextOf, TellsOfTheJobWhoseErrorIsTaken) {
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    for (const Kind& kind : kinds()) {
      SCOPED_TRACE(kind.name);
      for (int i = 0; i < 20; ++i) {
        auto job = kind.start(pool, {}, [] { fail(3); });
        EXPECT_EQ(thrower_in([&] { (void)job.get(); }), 3);
      }
    }
  }
}

// T9: also where the exception has passed other jobs.
TEST(ContextOf, TellsOfTheInnermostBodyInAJob) {
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    EXPECT_EQ(thrower_in([&] { pool.submit([] { fail_in_a_leaf(4); }).get(); }), 4);
    EXPECT_EQ(thrower_in([&] {
                pool.submit([&] {
                      request.set(-2);
                      pool.submit([] { fail_in_a_leaf(5); }).get();
                    })
                    .get();
              }),
              5);
    EXPECT_EQ(thrower_in([&] {
                ctbb::parallel_for(0, 8, [&](int) {
                  request.set(-3);
                  pool.submit([] { fail(6); }).get();
                });
              }),
              6);
    EXPECT_EQ(thrower_in([&] {
                pool.submit_bulk(std::views::iota(0, 100), [](int) { fail_in_a_leaf(7); }).get();
              }),
              7);
    EXPECT_EQ(thrower_in([&] {
                sync_wait([&]() -> Task<> {
                  Job<void> job = pool.submit([] { fail_in_a_leaf(8); });
                  co_await job;
                });
              }),
              8);
    EXPECT_EQ(thrower_in([&] { pool.submit([] { fail(9); }).then([] {}).get(); }), 9);
  }
}

// T9, J12: the first one that asks is told. The context is gone then.
TEST(ContextOf, IsToldOncePerJob) {
  JobPool pool{{.concurrency = 2}};
  const SharedJob<void> job = pool.submit([] { fail_in_a_leaf(3); }).shared();
  EXPECT_EQ(thrower_in([&] { job.get(); }), 3);
  EXPECT_EQ(thrower_in([&] {
              ctbb::parallel_for(0, 1, [&](int) {
                request.set(5);
                job.get();
              });
            }),
            5);
}

// T9, J73, P22
TEST(ContextOf, KeepsNothingOfAJobWhoseErrorNobodyTakes) {
  const ContextVar<Tracked> tracked("tracked");
  std::atomic<int> handled{0};
  {
    JobPool pool{
        {.concurrency = 4, .exception_handler = [&](const std::exception_ptr&) { ++handled; }}};
    for (int i = 0; i < 100; ++i) {
      pool.post([&] {
        ctbb::parallel_for(0, 4, [&](int) {
          tracked.set(Tracked(1));
          fail(1);
        });
      });
    }
  }
  EXPECT_EQ(handled, 100);
  EXPECT_EQ(Tracked::alive(), 0);
}

// T9, T8: a task that goes on on another thread, and throws there.
TEST(ContextOf, TellsOfATaskThatWasSuspended) {
  for (const int threads : {1, 2, 4, 8}) {
    StealingArena arena(threads);
    std::atomic<int> wrong{0};
    arena->execute([&] {
      ctbb::parallel_for(1, 100, [&](int id) {
        const int known = thrower_in([&] {
          ctbb::task_group group;
          group.run([&, id] {
            ctbb::task::suspend([](ctbb::task::suspend_point point) { ctbb::task::resume(point); });
            fail(id);
          });
          group.wait();
        });
        wrong += static_cast<int>(known != id);
      });
    });
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace
