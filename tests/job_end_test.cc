// SPDX-License-Identifier: Apache-2.0
//
// std::exit() from wherever user code runs: the program ends, with the status that was asked for,
// and says what was lost. Each way in a process of its own.

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"
#include "tests/everywhere.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

[[noreturn]] void end() { std::exit(7); }

struct EndsWhenDestroyed {
  explicit EndsWhenDestroyed(bool ends = true) : is_armed(ends) {}
  EndsWhenDestroyed(EndsWhenDestroyed&& other) noexcept
      : is_armed(std::exchange(other.is_armed, false)) {}
  EndsWhenDestroyed& operator=(EndsWhenDestroyed&&) = delete;
  ~EndsWhenDestroyed() {
    if (is_armed) {
      end();
    }
  }
  bool is_armed;
};

[[noreturn]] void wait_for_ever() {
  static Latch& never = *new Latch;  // Also at exit.
  never.wait();
  std::abort();
}

Task<void> ending() {
  co_await taskctx::yield();
  end();
}
Task<void> ending_at_once() {
  end();
  co_return;
}
Task<void> waiting_for_ever() { co_await taskctx::sleep_for(absl::Hours(1)); }

using Ways = std::map<std::string, std::function<void(JobPool&)>>;

const Ways& ways() {
  static const Ways ways = {
      {"job", [](JobPool& pool) { pool.submit(end).wait(); }},
      {"posted",
       [](JobPool& pool) {
         pool.post(end);
         wait_for_ever();
       }},
      {"coroutine", [](JobPool& pool) { pool.spawn(ending()).wait(); }},
      {"leaf",
       [](JobPool& pool) {
         pool.submit([] {
               taskctx::tbb::parallel_for(0, 100, [](int i) {
                 if (i == 50) {
                   end();
                 }
               });
             })
             .wait();
       }},
      {"group",
       [](JobPool& pool) {
         pool.submit([] {
               taskctx::tbb::task_group group;
               group.run(end);
               group.wait();
             })
             .wait();
       }},
      {"continuation", [](JobPool& pool) { pool.submit([] {}).then(end).wait(); }},
      {"timer", [](JobPool& pool) { pool.submit_after(absl::Milliseconds(1), end).wait(); }},
      {"bulk",
       [](JobPool& pool) {
         pool.submit_bulk(std::views::iota(0, 10),
                          [](int i) {
                            if (i == 5) {
                              end();
                            }
                          })
             .wait();
       }},
      {"helped", [](JobPool& pool) { pool.submit([&pool] { pool.submit(end).wait(); }).wait(); }},
      {"destructor",
       [](JobPool& pool) {
         pool.post([ends = EndsWhenDestroyed()] {});
         wait_for_ever();
       }},
      {"result",
       [](JobPool& pool) {
         (void)pool.submit([] { return EndsWhenDestroyed(); });
         wait_for_ever();
       }},
      {"sync_wait", [](JobPool&) { taskctx::sync_wait(ending_at_once()); }},
      {"sync_wait_later", [](JobPool&) { taskctx::sync_wait(ending()); }},
      {"sync_wait_in_job",
       [](JobPool& pool) { pool.submit([] { taskctx::sync_wait(ending()); }).wait(); }},
      {"foreign",
       [](JobPool& pool) {
         Latch go;
         std::thread thread([&go] {
           go.wait();
           end();
         });
         pool.submit([&go] { go.open(); }).wait();
         thread.join();
       }},
      {"foreign_while_main_waits",
       [](JobPool&) {
         static Latch& waits = *new Latch;
         std::thread([] {
           waits.wait();
           end();
         }).detach();
         taskctx::sync_wait([]() -> Task<void> {
           waits.open();
           co_await waiting_for_ever();
         }());
       }},
      {"foreign_that_a_job_joins",
       [](JobPool& pool) { pool.submit([] { std::thread(end).join(); }).wait(); }},
      {"foreign_that_a_job_waits_for",
       [](JobPool& pool) {
         static Latch& at_exit = *new Latch;  // Nobody opens it.
         pool.post([] { at_exit.wait(); });
         std::thread(end).join();
       }},
      {"main_that_a_job_joins",
       [](JobPool& pool) {
         pool.post([main = pthread_self()] { pthread_join(main, nullptr); });
         end();
       }},
      {"main_that_a_coroutine_waits_for",
       [](JobPool& pool) {
         (void)pool.spawn(waiting_for_ever());
         end();
       }},
      {"main",
       [](JobPool& pool) {
         for (int i = 0; i < 100; ++i) {
           pool.post([] {});
         }
         end();
       }},
      {"main_and_a_thread_in_get",
       [](JobPool& pool) {
         Latch begun;
         static Latch& go = *new Latch;
         auto job = pool.submit([&begun] {
           begun.open();
           go.wait();
         });
         begun.wait();
         std::thread([taken = std::move(job)]() mutable { taken.get(); }).detach();
         go.open();
         end();
       }},
      {"quick_exit", [](JobPool& pool) { pool.submit([] { std::quick_exit(7); }).wait(); }},
      {"_Exit", [](JobPool& pool) { pool.submit([] { std::_Exit(7); }).wait(); }},
      {"plain_quick_exit",
       [](JobPool& pool) {
         pool.post(wait_for_ever);
         std::quick_exit(7);
       }},
  };
  return ways;
}

void end_by(const std::string& pool, const std::string& way) {
  alarm(20);  // What hangs is ended by a signal.
  const auto& act = ways().at(way);
  if (pool == "default") {
    act(taskctx::default_pool());
  } else if (pool == "static") {
    static JobPool object{{.concurrency = 2, .name = "static"}};
    act(object);
  } else if (pool == "owned") {
    static std::unique_ptr<JobPool> owner;  // Older than its pool.
    owner = std::make_unique<JobPool>(JobPoolOptions{.concurrency = 2, .name = "owned"});
    act(*owner);
  } else if (pool == "arena") {
    static oneapi::tbb::task_arena arena(2);
    static JobPool object{arena, {.name = "arena"}};
    act(object);
  } else if (pool == "leaked") {
    act(*new JobPool({.concurrency = 1, .name = "leaked"}));
  } else {
    JobPool local{{.concurrency = 2, .name = "local"}};
    act(local);
  }
}

std::vector<std::pair<std::string, std::string>> all() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const std::string pool : {"default", "static", "owned", "arena", "leaked", "local"}) {
    for (const auto& [way, act] : ways()) {
      all.emplace_back(pool, way);
    }
  }
  return all;
}

class EndDeathTest : public testing::TestWithParam<std::pair<std::string, std::string>> {};

// J61: it ends with its status, and does not wait for what waits for the thread that ends it.
TEST_P(EndDeathTest, TheProgramEndsWithTheStatusThatWasAskedFor) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto [pool, way] = GetParam();
  EXPECT_EXIT(end_by(pool, way), testing::ExitedWithCode(7), "");
}

INSTANTIATE_TEST_SUITE_P(All, EndDeathTest, testing::ValuesIn(all()));

// J61: what is lost is said, by pool.
TEST(EndReportDeathTest, SaysHowManyJobsOfWhichPoolAreLost) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(end_by("default", "helped"), testing::ExitedWithCode(7),
              "cannot finish 2 jobs of pool 'default': the program ends");
  EXPECT_EXIT(end_by("leaked", "job"), testing::ExitedWithCode(7),
              "cannot finish 1 jobs of pool 'leaked': the program ends");
  EXPECT_EXIT(end_by("default", "sync_wait"), testing::ExitedWithCode(7),
              "cannot finish 1 jobs of pool 'default': the program ends");
}

// J61: a static pool waits for its jobs as long as they go on to end, and says when it gives up.
TEST(EndReportDeathTest, SaysThatAStaticPoolHasGivenUpItsJobs) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(end_by("static", "main_that_a_job_joins"), testing::ExitedWithCode(7),
              "^taskctx: cannot finish 1 jobs of pool 'static': the program ends, and they may "
              "wait for that\n$");
}

[[noreturn]] void end_with_slow_jobs() {
  alarm(20);
  static JobPool pool{{.concurrency = 1}};
  for (int i = 0; i < 30; ++i) {
    pool.post([] { absl::SleepFor(absl::Milliseconds(200)); });  // Six seconds in all.
  }
  pool.post([] { std::fputs("the last one\n", stderr); });
  end();
}

// J61
TEST(EndReportDeathTest, AStaticPoolWaitsAsLongAsItsJobsGoOnToEnd) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(end_with_slow_jobs(), testing::ExitedWithCode(7), "^the last one\n$");
}

class EndEverywhereDeathTest : public testing::TestWithParam<Place> {};

void end_at(const Place& place, int threads, bool is_static) {
  alarm(20);
  Visit visit([](JobPool& /*pool*/) { end(); });
  if (is_static) {
    JobPoolOptions options{.concurrency = threads};
    if (place.prepare != nullptr) {
      place.prepare(options, visit);
    }
    static JobPool pool(std::move(options));
    (void)visit.in(pool, place);
  } else {
    (void)visit.at(place, threads);
  }
}

// J61: and so from each place where user code can run.
TEST_P(EndEverywhereDeathTest, TheProgramEndsWithTheStatusThatWasAskedFor) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (const int threads : {1, 2}) {
    for (const bool is_static : {false, true}) {
      EXPECT_EXIT(end_at(GetParam(), threads, is_static), testing::ExitedWithCode(7), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, EndEverywhereDeathTest, testing::ValuesIn(places()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
