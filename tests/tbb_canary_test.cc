// SPDX-License-Identifier: Apache-2.0
//
// The canary for plain oneTBB calls where taskctx::tbb was meant.

#include "taskctx/tbb/lost_context_canary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;
using taskctx::tbb::LostContextCanary;

constexpr int kThreads = 4;

constinit const ContextVar<std::string> user{"user"};

// Counts what is reported, by the number of the line.
class Reports {
 public:
  Reports() : previous_(taskctx::set_misuse_handler(&count)) { count_ = 0; }
  Reports(const Reports&) = delete;
  Reports& operator=(const Reports&) = delete;
  ~Reports() { taskctx::set_misuse_handler(previous_); }

  static int count() { return count_; }
  static unsigned line() { return line_; }

 private:
  static void count(const taskctx::Misuse& misuse) {
    EXPECT_EQ(misuse.variable, "user");
    EXPECT_THAT(
        std::string(misuse.message),
        testing::StartsWith("cannot read variable 'user': the body of a plain oneTBB call has "
                            "no context; call taskctx::tbb instead (read at "));
    EXPECT_THAT(misuse.place.file, testing::EndsWith("tbb_canary_test.cc"));
    (void)user.get("handlers may read, too");
    line_ = misuse.place.line;
    ++count_;
  }

  static inline std::atomic<int> count_ = 0;
  static inline std::atomic<unsigned> line_ = 0;
  taskctx::MisuseHandler previous_;
};

// Runs `read` on each of kThreads threads, in a plain oneTBB loop.
template <typename F>
void read_on_all_threads(const F& read) {
  StealingArena arena(kThreads);
  AllThreads all(kThreads);
  arena->execute([&] {
    oneapi::tbb::parallel_for(
        0, 2 * kThreads,
        [&](int) {
          all.take_part();
          read();
        },
        oneapi::tbb::simple_partitioner());
  });
  ASSERT_EQ(all.count(), static_cast<std::size_t>(kThreads));
}

// F-L4: each of the stolen leaves, with the variable and the place of the read.
TEST(LostContextCanaryTest, ReportsReadsInPlainBodiesWithTheirPlace) {
  const Reports reports;
  const LostContextCanary canary;
  const Scope scope{user, "ann"};
  std::atomic<int> lost = 0;
  constexpr unsigned kLine = __LINE__ + 2;
  read_on_all_threads([&] {
    if (user.find() == nullptr) {
      ++lost;
    }
  });
  EXPECT_GE(lost, kThreads - 1);
  EXPECT_EQ(reports.count(), lost);
  EXPECT_EQ(reports.line(), kLine);
}

// F-L4: whichever way it is read.
TEST(LostContextCanaryTest, ReportsEveryKindOfRead) {
  const Reports reports;
  const LostContextCanary canary;
  std::atomic<int> reads = 0;
  const std::thread::id caller = std::this_thread::get_id();
  read_on_all_threads([&] {
    if (std::this_thread::get_id() == caller) {
      return;  // Has a context of its own, in which nothing is set.
    }
    EXPECT_EQ(user.get("none"), "none");
    EXPECT_THROW((void)user.get(), taskctx::LookupError);
    EXPECT_EQ(user.find(), nullptr);
    reads += 3;
  });
  EXPECT_GE(reads, 3 * (kThreads - 1));
  EXPECT_EQ(reports.count(), reads);
}

// F-L4: a variable that nobody has set is no mistake in code of ours, nor outside of tasks.
TEST(LostContextCanaryTest, IsSilentWhereThereIsNoMistake) {
  const Reports reports;
  const LostContextCanary canary;
  EXPECT_EQ(user.find(), nullptr);
  StealingArena arena(kThreads);
  arena->execute([&] {
    ctbb::parallel_for(0, 1000, [](int) { EXPECT_EQ(user.find(), nullptr); });
    EXPECT_EQ(user.find(), nullptr);
  });
  EXPECT_EQ(user.find(), nullptr);
  taskctx::JobPool pool({.concurrency = 2});
  pool.submit([] {
        EXPECT_EQ(user.find(), nullptr);
        ctbb::task_group group;
        group.run([] { EXPECT_EQ(user.find(), nullptr); });
        group.wait();
      })
      .get();
  EXPECT_EQ(reports.count(), 0);
}

// F-L4: it is a debug mode: nothing is reported without it, nor after its end.
TEST(LostContextCanaryTest, WatchesWhileItLives) {
  const Reports reports;
  {
    const LostContextCanary first;
    const LostContextCanary second;
  }
  read_on_all_threads([] { EXPECT_EQ(user.find(), nullptr); });
  EXPECT_EQ(reports.count(), 0);
}

}  // namespace
