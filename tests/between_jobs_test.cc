// SPDX-License-Identifier: Apache-2.0
//
// User's code that runs on a pool's threads between jobs, at their ends: exception handlers, and
// the destructors of what a job has set, began with, was made of, returned or threw. It is at work
// in the pool as a job is: it may use the pool, and waits for nothing that waits for it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_pipeline.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "tests/guards.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using namespace taskctx;

struct Thrown : std::runtime_error {
  explicit Thrown(Guard with) : runtime_error("thrown"), guard(std::move(with)) {}
  Guard guard;
};
struct Cancelled : taskctx::JobCancelled {
  explicit Cancelled(Guard with) : JobCancelled("cancelled"), guard(std::move(with)) {}
  Guard guard;
};

Task<int> a_coroutine(Guard guard, Signal go) {
  go.wait();
  const Guard local = std::move(guard);
  co_await taskctx::yield();
  guarded.set(local);
  co_return 1;
}

// Where code may run between jobs. Each has `code` run there once, when `go` is given, and keeps no
// reference to the pool.
struct Place {
  const char* name;
  void (*run)(JobPool& pool, Code code, Signal go);
};
void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

constexpr Place kPlaces[] = {
    {"Handler",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([code = std::move(code), go] {
         go.wait();
         throw std::function<void()>(code);
       });
     }},
    {"ValueThatAJobSet",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([code = std::move(code), go]() mutable {
         go.wait();
         guarded.set(at_end(std::move(code)));
       });
     }},
    {"ValueThatAJobWithAHandleSet",
     [](JobPool& pool, Code code, Signal go) {
       (void)pool.submit([code = std::move(code), go]() mutable {
         go.wait();
         guarded.set(at_end(std::move(code)));
       });
     }},
    {"ContextThatAJobBeganWith",
     [](JobPool& pool, Code code, Signal go) {
       pool.post(JobOptions{.context = with_guard(std::move(code))}, [go] { go.wait(); });
     }},
    {"Result",
     [](JobPool& pool, Code code, Signal go) {
       (void)pool.submit([code = std::move(code), go]() mutable {
         go.wait();
         return at_end(std::move(code));
       });
     }},
    {"ResultOfADelayedJob",
     [](JobPool& pool, Code code, Signal go) {
       (void)pool.submit_after(absl::Microseconds(1), [code = std::move(code), go]() mutable {
         go.wait();
         return at_end(std::move(code));
       });
     }},
    {"ResultOfAContinuation",
     [](JobPool& pool, Code code, Signal go) {
       (void)pool.submit([go] { go.wait(); }).then([code = std::move(code)]() mutable {
         return at_end(std::move(code));
       });
     }},
    {"ExceptionThatNobodyHandles",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([code = std::move(code), go]() mutable {
         go.wait();
         throw Cancelled(at_end(std::move(code)));
       });
     }},
    {"ExceptionOfTheHandler",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([code = std::move(code), go]() mutable {
         go.wait();
         throw Thrown(at_end(std::move(code)));
       });
     }},
    {"Callable",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([guard = at_end(std::move(code)), go] { go.wait(); });
     }},
    {"Coroutine", [](JobPool& pool, Code code,
                     Signal go) { (void)pool.spawn(a_coroutine(at_end(std::move(code)), go)); }},
    {"EndOfAHelpedJob",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([&pool, code = std::move(code), go]() mutable {
         const auto inner =
             pool.submit([code = std::move(code)]() mutable { guarded.set(at_end(code)); });
         go.wait();
         inner.wait();
       });
     }},
    {"ContextOfATask",
     [](JobPool& pool, Code code, Signal go) {
       pool.post(JobOptions{.context = with_guard(std::move(code))}, [go] {
         taskctx::tbb::this_task_arena::enqueue([go] { go.wait(); });
         go.wait();
       });
     }},
    {"TokenOfAPipeline",
     [](JobPool& pool, Code code, Signal go) {
       pool.post([code = std::move(code), go]() mutable {
         go.wait();
         bool is_first = true;
         taskctx::tbb::parallel_pipeline(
             1,
             taskctx::tbb::make_filter<void, Guard>(taskctx::tbb::filter_mode::serial_in_order,
                                                    [&](taskctx::tbb::flow_control& control) {
                                                      if (!std::exchange(is_first, false)) {
                                                        control.stop();
                                                        return Guard();
                                                      }
                                                      return at_end(std::move(code));
                                                    }),
             taskctx::tbb::make_filter<Guard, void>(taskctx::tbb::filter_mode::parallel,
                                                    [](const Guard&) {}));
       });
     }},
};

class BetweenJobs : public testing::TestWithParam<std::tuple<Place, int>> {
 protected:
  [[nodiscard]] static const Place& place() { return std::get<0>(GetParam()); }
  [[nodiscard]] static JobPoolOptions options() {
    return {.concurrency = std::get<1>(GetParam()),
            .exception_handler =
                [](std::exception_ptr error) {
                  try {
                    std::rethrow_exception(std::exchange(error, nullptr));
                  } catch (const Code& code) {
                    code();
                  } catch (const Thrown&) {
                  }
                },
            .queue_capacity = 1};
  }

  // Runs `code` in the place, with a pool that lives until it has run.
  static void run(const std::function<void(JobPool&)>& code) {
    const Watchdog watchdog(place().name);
    const Signal done;
    JobPool pool(options());
    const Signal go;
    place().run(
        pool,
        [&, done] {
          code(pool);
          done.give();
        },
        go);
    go.give();
    done.wait();
  }
};

// M20: also if the pool has but one thread.
TEST_P(BetweenJobs, CodeMayWaitForAJob) {
  int result = 0;
  run([&](JobPool& pool) {
    result = pool.submit([] { return 7; }).then([](int seven) { return 6 * seven; }).get();
  });
  EXPECT_EQ(result, 42);
}

// M20, J16
TEST_P(BetweenJobs, CodeMaySubmitToAFullQueue) {
  std::atomic<int> ran{0};
  run([&](JobPool& pool) {
    for (int i = 0; i < 10; ++i) {
      pool.post([&] { ++ran; });
    }
  });
  EXPECT_EQ(ran, 10);
}

// M20, J19
TEST_P(BetweenJobs, CodeIsRefusedToWaitForThePool) {
  int refused = 0;
  run([&](JobPool& pool) {
    for (const auto& wait : {Code([&] { pool.drain(); }), Code([&] { (void)pool.shutdown(); })}) {
      try {
        wait();
      } catch (const JobError&) {
        ++refused;
      }
    }
  });
  EXPECT_EQ(refused, 2);
}

// M20: what it sets is seen by nobody else, and it sees nothing of the jobs around.
TEST_P(BetweenJobs, CodeLeavesNothingBehind) {
  std::string first = "?";
  std::string second = "?";
  {
    const Watchdog watchdog(place().name);
    JobPool pool(options());
    for (std::string* seen : {&first, &second}) {
      const Signal go;
      const Signal done;
      place().run(
          pool,
          [seen, done] {
            *seen = who.get();
            who.set("somebody");
            done.give();
          },
          go);
      go.give();
      done.wait();
    }
  }
  EXPECT_EQ(first, "nobody");
  EXPECT_EQ(second, "nobody");
}

// M20: the last reference to the pool may be anywhere; the pool ends when nothing is left.
TEST_P(BetweenJobs, CodeMayHaveTheLastReferenceToThePool) {
  const Watchdog watchdog(place().name);
  const MisuseRecorder recorder;
  auto mark = std::make_shared<int>(0);
  const std::weak_ptr<int> there = mark;
  const Signal done;
  {
    JobPoolOptions with_mark = options();
    with_mark.exception_handler = [mark = std::move(mark), handler = with_mark.exception_handler](
                                      std::exception_ptr error) { handler(std::move(error)); };
    auto pool = std::make_shared<JobPool>(std::move(with_mark));
    mark.reset();
    const Signal go;
    JobPool& its = *pool;
    place().run(
        its,
        [pool = std::move(pool), done]() mutable {
          pool.reset();
          done.give();
        },
        go);
    go.give();
  }
  done.wait();
  while (!there.expired()) {
    std::this_thread::yield();
  }
  EXPECT_THAT(
      recorder.messages(),
      testing::ElementsAre("cannot destroy pool: one of its own jobs would wait for itself"));
}

INSTANTIATE_TEST_SUITE_P(All, BetweenJobs,
                         testing::Combine(testing::ValuesIn(kPlaces), testing::Values(1, 2)),
                         [](const auto& its) {
                           return std::get<0>(its.param).name +
                                  std::to_string(std::get<1>(its.param));
                         });

}  // namespace
}  // namespace taskctx_test
