// SPDX-License-Identifier: Apache-2.0
//
// What a handle can do: wait for a time, go on, cancel, be shared; and several jobs as one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using taskctx::FirstJob;
using taskctx::gather;
using taskctx::Job;
using taskctx::JobCancelled;
using taskctx::JobError;
using taskctx::JobOptions;
using taskctx::JobPool;
using taskctx::JobPoolOptions;
using taskctx::Scope;
using taskctx::SharedJob;
using taskctx::when_all;
using taskctx::when_any;
using taskctx_test::Latch;
using taskctx_test::Tracked;

const ContextVar<int> number("number");
const ContextVar<std::string> request_id("request_id");

class JobApi : public testing::TestWithParam<int> {
 protected:
  // Keeps all of the pool's threads busy until the latch is opened.
  std::vector<Job<void>> occupy(const Latch& until) {
    std::vector<Job<void>> jobs;
    auto all_busy = std::make_shared<taskctx_test::Gate>(GetParam() + 1);
    for (int i = 0; i < GetParam(); ++i) {
      jobs.push_back(pool.submit([&until, all_busy] {
        all_busy->arrive_and_wait();
        until.wait();
      }));
    }
    all_busy->arrive_and_wait();
    return jobs;
  }

  std::atomic<int> handled{0};
  JobPool pool{
      JobPoolOptions{.concurrency = GetParam(),
                     .exception_handler = [this](const std::exception_ptr&) { ++handled; }}};
};

// J8
TEST_P(JobApi, ArgumentsAreCopiedOrMovedIntoTheJob) {
  std::string text = "text";
  const auto size = [](std::string s, std::unique_ptr<int> more) {
    return static_cast<int>(s.size()) + *more;
  };
  Job<int> job = pool.submit(size, text, std::make_unique<int>(3));
  text = "longer text";
  EXPECT_EQ(job.get(), 7);
  struct Adder {
    int base;
    [[nodiscard]] int add(int more) const { return base + more; }
  };
  EXPECT_EQ(pool.submit(&Adder::add, Adder{1}, 2).get(), 3);
  int target = 0;
  pool.submit([](int& to) { to = 5; }, std::ref(target)).get();
  EXPECT_EQ(target, 5);
  Latch ran;
  pool.post(
      JobOptions{.name = "posted"}, [](const Latch* latch) { const_cast<Latch*>(latch)->open(); },
      &ran);
  ran.wait();
}

// J8
TEST_P(JobApi, AJobHasANameAndANumber) {
  Job<std::string> job = pool.submit(JobOptions{.name = "index"}, [] {
    return std::string(taskctx::this_job::name()) + " " + std::to_string(taskctx::this_job::id());
  });
  const std::uint64_t id = job.id();
  EXPECT_EQ(job.name(), "index");
  EXPECT_EQ(job.id(), id);
  EXPECT_EQ(job.get(), "index " + std::to_string(id));
  EXPECT_THROW((void)job.id(), JobError);
  EXPECT_EQ(pool.submit([] {}).name(), "");
  EXPECT_NE(pool.submit([] {}).id(), pool.submit([] {}).id());
  EXPECT_EQ(taskctx::this_job::id(), 0U);
  EXPECT_EQ(taskctx::this_job::name(), "");
}

// J8: leaves belong to their job, on whichever thread.
TEST_P(JobApi, LeavesKnowTheirJob) {
  Job<bool> job = pool.submit([&] {
    const std::uint64_t mine = taskctx::this_job::id();
    std::atomic<bool> same{true};
    taskctx::tbb::parallel_for(0, 100,
                               [&](int) { same = same && taskctx::this_job::id() == mine; });
    const Job<void> other = pool.submit([&] { same = same && taskctx::this_job::id() != mine; });
    other.wait();
    return same && taskctx::this_job::id() == mine;
  });
  EXPECT_TRUE(job.get());
}

// J9: and returns on time.
TEST_P(JobApi, WaitingMayEndBeforeTheJobDoes) {
  Latch go;
  Job<int> job = pool.submit([&] {
    go.wait();
    return 1;
  });
  const absl::Time before = absl::Now();
  EXPECT_FALSE(job.wait_for(absl::Milliseconds(20)));
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(19));
  EXPECT_FALSE(job.wait_until(absl::InfinitePast()));
  EXPECT_FALSE(job.ready());
  go.open();
  EXPECT_TRUE(job.wait_for(absl::InfiniteDuration()));
  EXPECT_TRUE(job.wait_until(absl::InfinitePast())) << "it has ended";
  EXPECT_EQ(job.get(), 1);
}

// J10, P25, F-E3: a continuation runs in the context of its registration.
TEST_P(JobApi, AContinuationRunsInTheContextOfItsRegistration) {
  Latch go;
  Job<std::string> first;
  {
    const Scope scope{request_id, "submitted"};
    first = pool.submit([&] {
      go.wait();
      return request_id.get();
    });
  }
  Job<std::string> next;
  {
    const Scope scope{request_id, "registered"};
    next = first.then([](const std::string& seen) { return seen + " " + request_id.get(); });
  }
  EXPECT_FALSE(first.valid());
  const Scope scope{request_id, "at the end"};
  go.open();
  next.wait();
  Job<std::string> last = next.then(JobOptions{.detached = true}, [](const std::string& seen) {
    return seen + " " + request_id.get("detached");
  });
  EXPECT_EQ(last.get(), "submitted registered detached") << "also where the job has ended already";
}

// J10
TEST_P(JobApi, AnErrorSkipsContinuationsUpToOneThatTakesTheHandle) {
  std::atomic<int> called{0};
  Job<int> job = pool.submit([]() -> int { throw std::runtime_error("first"); })
                     .then([&](int i) {
                       ++called;
                       return i;
                     })
                     .then([](Job<int> failed) {
                       try {
                         return failed.get();
                       } catch (const std::runtime_error& error) {
                         return static_cast<int>(std::string(error.what()).size());
                       }
                     });
  EXPECT_EQ(job.get(), 5);
  EXPECT_EQ(called, 0);
  EXPECT_NO_THROW(pool.submit([] {}).then([] {}).get());
  EXPECT_EQ(*pool.submit([] { return std::make_unique<int>(1); })
                 .then([](std::unique_ptr<int> p) { return p; })
                 .get(),
            1);
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J10: the chain may be long, wherever it is waited for, and dropped.
TEST_P(JobApi, ChainsMayBeLong) {
  constexpr int kLength = 20'000;
  const auto build = [&](Job<int> job) {
    for (int i = 0; i < kLength; ++i) {
      job = job.then([](int n) { return n + 1; });
    }
    return job;
  };
  EXPECT_EQ(build(pool.submit([] { return 0; })).get(), kLength);
  EXPECT_EQ(pool.submit([&] { return build(pool.submit([] { return 0; })).get(); }).get(), kLength);
  Latch go;
  (void)build(pool.submit([&] {
    go.wait();
    return 0;
  })).cancel();
  go.open();
  pool.drain();
}

// J11
TEST_P(JobApi, AJobThatNobodyHasBegunCanBeCancelled) {
  Latch go;
  const auto busy = occupy(go);
  std::atomic<bool> ran{false};
  std::string destroyed_in;
  struct Reads {
    std::string* to;
    explicit Reads(std::string* target) : to(target) {}
    Reads(const Reads&) = delete;
    Reads& operator=(const Reads&) = delete;
    ~Reads() { *to = request_id.get("none"); }
  };
  Job<int> job;
  {
    const Scope scope{request_id, "r-1"};
    job = pool.submit(JobOptions{.name = "late"},
                      [&, reads = std::make_unique<Reads>(&destroyed_in)] {
                        ran = true;
                        return 1;
                      });
  }
  EXPECT_TRUE(job.cancel());
  EXPECT_TRUE(job.ready());
  EXPECT_EQ(destroyed_in, "r-1") << "in the job's context, by cancel()";
  EXPECT_FALSE(job.cancel()) << "once";
  EXPECT_THAT([&] { job.get(); }, testing::ThrowsMessage<JobCancelled>(testing::StrEq(
                                      "cannot get result of job 'late': it was cancelled")));
  go.open();
  pool.drain();
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool.stats().cancelled, 1U);
  EXPECT_EQ(handled, 0);
}

// J11
TEST_P(JobApi, ARunningJobMayFindOutThatItIsToEnd) {
  Latch begun;
  Job<void> job = pool.submit([&] {
    begun.open();
    while (!taskctx::this_job::cancel_requested()) {
      std::this_thread::yield();
    }
    throw JobCancelled("stopped");
  });
  begun.wait();
  EXPECT_FALSE(job.cancel());
  EXPECT_THAT([&] { job.get(); }, testing::ThrowsMessage<JobCancelled>(testing::StrEq("stopped")));
  EXPECT_FALSE(taskctx::this_job::cancel_requested());
  EXPECT_EQ(pool.stats().cancelled, 1U);
  // Nobody hears of it if nobody waits.
  pool.post([] { throw JobCancelled("posted"); });
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J11: what waits for a cancelled job is cancelled, too; cancelling what waits leaves the first
// alone.
TEST_P(JobApi, CancellingGoesOnToContinuationsButNotBack) {
  Latch go;
  const auto busy = occupy(go);
  Job<int> first = pool.submit([] { return 1; });
  SharedJob<int> shared = std::move(first).shared();
  Job<int> next = shared.then([](const int& i) { return i; });
  EXPECT_TRUE(next.cancel());
  EXPECT_THROW(next.get(), JobCancelled);
  Job<int> other = shared.then([](const int& i) { return i; });
  EXPECT_TRUE(shared.cancel());
  go.open();
  EXPECT_THROW(other.get(), JobCancelled);
  pool.drain();
}

// J12
TEST_P(JobApi, ASharedHandleGivesTheResultOrTheErrorToAllWhoAsk) {
  const SharedJob<std::string> shared = pool.submit([] { return std::string("text"); }).shared();
  const SharedJob<std::string>& copy = shared;
  EXPECT_EQ(&copy.get(), &shared.get());
  const SharedJob<std::string> another = shared;  // NOLINT: a copy is what is tested
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([another] { EXPECT_EQ(another.get(), "text"); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto a = shared.then([](const std::string& s) { return s + "a"; }).shared();
  EXPECT_EQ(a.get(), "texta");
  const SharedJob<void> failed = pool.submit([] { throw std::runtime_error("x"); }).shared();
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_FALSE(SharedJob<int>().valid());
  EXPECT_THROW(SharedJob<int>().get(), JobError);
  pool.drain();
  EXPECT_EQ(handled, 0);
}

// J12, J3: the error of a shared job that nobody has asked for goes to the handler, with the last
// copy.
TEST_P(JobApi, ASharedErrorThatNobodySawGoesToTheHandlerOnce) {
  {
    const SharedJob<void> one = pool.submit([] { throw std::runtime_error("x"); }).shared();
    const SharedJob<void> two = one;  // NOLINT: a copy is what is tested
    two.wait();
    EXPECT_EQ(handled, 0);
  }
  EXPECT_EQ(handled, 1);
}

// J13, F-F3, P23: children of one gathering are independent of each other and of their parent.
TEST_P(JobApi, GatheringGivesResultsInOrderAndChildrenAreIndependent) {
  const Scope scope{number, 1};
  const auto child = [](int value) {
    const int seen = number.get();
    number.set(value);
    return seen + value;
  };
  auto [a, b, c] = gather(pool.submit(child, 10), pool.submit([] { number.set(100); }),
                          pool.submit([] { return std::string("c"); }));
  EXPECT_EQ(a, 11);
  EXPECT_TRUE((std::is_same_v<decltype(b), std::monostate>));
  EXPECT_EQ(c, "c");
  EXPECT_EQ(number.get(), 1);
  std::vector<Job<int>> jobs;
  for (int i = 0; i < 200; ++i) {
    jobs.push_back(pool.submit(child, i));
  }
  const std::vector<int> all = when_all(std::move(jobs)).get();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)], i + 1) << "nobody saw another's write";
  }
  EXPECT_EQ(when_all(pool.submit([] { return 1; }))
                .then([](std::tuple<int> t) { return std::get<0>(t) + number.get(); })
                .get(),
            2);
}

// J13, F-F3
TEST_P(JobApi, GatheringNothingEndsAtOnceAndAnEmptyHandleIsRefused) {
  EXPECT_TRUE(when_all(std::vector<Job<int>>()).get().empty());
  EXPECT_NO_THROW(when_all(std::vector<Job<void>>()).get());
  EXPECT_THROW((void)when_all(pool.submit([] {}), Job<int>()), JobError);
  std::vector<Job<int>> with_empty(1);
  EXPECT_THROW((void)when_all(std::move(with_empty)), JobError);
  EXPECT_THROW((void)when_any(std::vector<Job<int>>()), JobError);
}

// J13, F-F3: the first in order, not in time, and when all have ended.
TEST_P(JobApi, GatheringThrowsTheFirstErrorInOrderWhenAllHaveEnded) {
  Latch go;
  std::atomic<bool> last_ended{false};
  std::vector<Job<int>> jobs;
  jobs.push_back(pool.submit([]() -> int { return 1; }));
  jobs.push_back(pool.submit([&]() -> int {
    if (GetParam() > 1) {
      go.wait();
    }
    throw std::runtime_error("second");
  }));
  jobs.push_back(pool.submit([&]() -> int {
    go.open();
    last_ended = true;
    throw std::runtime_error("third");
  }));
  EXPECT_THAT([&] { when_all(std::move(jobs)).get(); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("second")));
  EXPECT_TRUE(last_ended);
  pool.drain();
  EXPECT_EQ(handled, 0) << "the others are dropped";
}

// J13
TEST_P(JobApi, TheFirstToEndIsTold) {
  Latch go;
  std::vector<Job<int>> jobs;
  if (GetParam() > 1) {
    jobs.push_back(pool.submit([&] {
      go.wait();
      return 0;
    }));
  } else {
    jobs.push_back(pool.submit_after(absl::Hours(1), [] { return 0; }));
  }
  jobs.push_back(pool.submit([] { return 1; }));
  FirstJob<int> first = when_any(std::move(jobs)).get();
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(first.jobs[1].get(), 1);
  EXPECT_FALSE(first.jobs[0].ready());
  first.jobs[0].cancel();
  go.open();
  pool.drain();
}

// J14
TEST_P(JobApi, ABulkCallsItsFunctionOncePerElementInCopiesOfOneSnapshot) {
  const Scope scope{number, 7};
  std::vector<std::string> words{"a", "bb", "ccc"};
  Job<std::vector<std::size_t>> sizes =
      pool.submit_bulk(words, [](const std::string& w) { return w.size(); });
  words.clear();
  EXPECT_THAT(sizes.get(), testing::ElementsAre(1, 2, 3)) << "it has a copy of the range";
  constexpr int kCount = 10'000;
  std::vector<std::atomic<int>> calls(kCount);
  std::atomic<int> wrong{0};
  pool.submit_bulk(std::views::iota(0, kCount),
                   [&](int i) {
                     ++calls[static_cast<std::size_t>(i)];
                     wrong += number.get() == 7 ? 0 : 1;
                     number.set(i);
                   })
      .get();
  EXPECT_TRUE(std::ranges::all_of(calls, [](const auto& count) { return count == 1; }));
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(pool.submit_bulk(std::vector<int>(), [](int i) { return i; }).get().empty());
  std::vector<std::unique_ptr<int>> owners;
  owners.push_back(std::make_unique<int>(3));
  EXPECT_EQ(
      *pool.submit_bulk(std::move(owners), [](std::unique_ptr<int>& p) { return std::move(p); })
           .get()[0],
      3);
}

// J14
TEST_P(JobApi, ABulkThrowsTheErrorOfItsFirstElementThatHasOneAndCallsAll) {
  std::atomic<int> calls{0};
  Job<void> bulk = pool.submit_bulk(std::views::iota(0, 100), [&](int i) {
    ++calls;
    if (i >= 40) {
      throw std::runtime_error(std::to_string(i));
    }
  });
  EXPECT_THAT([&] { bulk.get(); },
              testing::ThrowsMessage<std::runtime_error>(testing::StrEq("40")));
  EXPECT_EQ(calls, 100);
}

// J14: all threads take part, and a waiting job does, too.
TEST_P(JobApi, ABulkRunsOnAllThreads) {
  taskctx_test::AllThreads all(GetParam());
  pool.submit_bulk(std::views::iota(0, 1000), [&](int) { all.take_part(); }).get();
  EXPECT_EQ(all.count(), static_cast<std::size_t>(GetParam()));
  EXPECT_EQ(pool.submit([&] {
                  std::atomic<int> sum{0};
                  pool.submit_bulk(std::views::iota(0, 100), [&](int i) { sum += i; }).get();
                  return sum.load();
                })
                .get(),
            4950);
}

// J14, J11
TEST_P(JobApi, ABulkCanBeCancelledHalfWay) {
  std::atomic<int> calls{0};
  Latch begun;
  Latch go;
  Job<void> bulk = pool.submit_bulk(std::views::iota(0, 100'000), [&](int) {
    ++calls;
    begun.open();
    go.wait();
  });
  begun.wait();
  EXPECT_FALSE(bulk.cancel());
  go.open();
  EXPECT_THROW(bulk.get(), JobCancelled);
  EXPECT_LE(calls, GetParam());
  pool.drain();
}

// J15, P25, F-E4: not before its time, in the context of its registration.
TEST_P(JobApi, ADelayedJobRunsWhenItsTimeHasComeInTheContextOfItsRegistration) {
  const absl::Time before = absl::Now();
  Job<std::pair<absl::Time, std::string>> job;
  {
    const Scope scope{request_id, "registered"};
    job = pool.submit_after(absl::Milliseconds(20),
                            [] { return std::pair(absl::Now(), request_id.get()); });
  }
  Job<int> past = pool.submit_at(
      absl::UnixEpoch(), [](int i) { return i; }, 3);
  const auto [ran, seen] = job.get();
  EXPECT_GE(ran - before, absl::Milliseconds(20));
  EXPECT_EQ(seen, "registered");
  EXPECT_EQ(past.get(), 3);
  // In a job, too, on the pool's only thread.
  EXPECT_EQ(
      pool.submit([&] { return pool.submit_after(absl::Milliseconds(5), [] { return 4; }).get(); })
          .get(),
      4);
}

// J15
TEST_P(JobApi, ADelayedJobCanBeTakenBack) {
  std::vector<Job<void>> jobs;
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    jobs.push_back(
        pool.submit_after(JobOptions{.name = "later"}, absl::Hours(1 + i % 7), [&] { ++ran; }));
  }
  EXPECT_EQ(pool.stats().waiting, 100U);
  for (Job<void>& job : jobs) {
    EXPECT_TRUE(job.cancel());
    EXPECT_THROW(job.get(), JobCancelled);
  }
  pool.drain();
  EXPECT_EQ(ran, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
