// SPDX-License-Identifier: Apache-2.0
//
// How the end of a job passes by what waits for its result: this program counts what is caught.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"

namespace {

std::atomic<int> caught{0};

}  // namespace

// What a catch clause calls first.
extern "C" void* __cxa_begin_catch(void* exception) noexcept {  // NOLINT: the ABI's name
  using Function = void* (*)(void*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "__cxa_begin_catch"));
  ++caught;
  return next(exception);
}

namespace {

using namespace taskctx;
using namespace taskctx_test;

constexpr int kLinks = 100'000;
constexpr int kFewCaught = 10;

int one_more(int i) { return i + 1; }

// Appends many links to `head`.
Job<int> chain(Job<int> head) {
  for (int i = 0; i < kLinks; ++i) {
    head = head.then(&one_more);
  }
  return head;
}

// Keeps all threads of a pool busy until its end.
class Busy {
 public:
  explicit Busy(JobPool& pool) {
    for (int i = 0; i < pool.concurrency(); ++i) {
      pool.post([end = end_] { end.wait(); });
    }
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { end_.open(); }

 private:
  Latch end_;
};

// J75
TEST(ALongChain, IsCancelledWithoutAnExceptionForEachLink) {
  for (const int threads : {1, 2}) {
    Job<int> last;
    const int before = caught;
    JobPool pool{{.concurrency = threads}};
    {
      const Busy busy(pool);
      const SharedJob<int> head = pool.submit({.name = "head"}, [] { return 0; }).shared();
      last = chain(head.then(&one_more));
      EXPECT_TRUE(head.cancel());
    }
    try {
      last.get();
      FAIL();
    } catch (const JobCancelled& error) {
      EXPECT_STREQ(error.what(), "cannot get result of job 'head': it was cancelled");
    }
    EXPECT_LE(caught - before, kFewCaught);
  }
}

// J75
TEST(ALongChain, PassesAnErrorOnWithoutCatchingItInEachLink) {
  for (const int threads : {1, 2}) {
    Job<int> last;
    const int before = caught;
    JobPool pool{{.concurrency = threads}};
    {
      const Busy busy(pool);
      last = chain(pool.submit([]() -> int { throw 5; }));
    }
    EXPECT_THROW(last.get(), int);
    EXPECT_LE(caught - before, kFewCaught);
  }
}

// J75, J10: up to a link that takes the handle.
TEST(ALongChain, PassesAnErrorOnToALinkThatTakesTheHandle) {
  JobPool pool{{.concurrency = 2}};
  Job<int> last = chain(pool.submit([]() -> int { throw 5; })).then([](Job<int> failed) {
    try {
      return failed.get();
    } catch (int error) {
      return -error;
    }
  });
  EXPECT_EQ(chain(std::move(last)).get(), kLinks - 5);
}

// J75
TEST(ManyJobs, ThatWereCancelledEndAsOneWithoutAnExceptionForEach) {
  const int before = caught;
  std::vector<Job<int>> jobs;
  Job<std::vector<int>> all;
  JobPool pool{{.concurrency = 2}};
  {
    const Busy busy(pool);
    const SharedJob<int> head = pool.submit([] { return 0; }).shared();
    for (int i = 0; i < kLinks; ++i) {
      jobs.push_back(head.then(&one_more));
    }
    all = taskctx::when_all(std::move(jobs));
    head.cancel();
  }
  EXPECT_THROW(all.get(), JobCancelled);
  EXPECT_LE(caught - before, kFewCaught);
}

}  // namespace
