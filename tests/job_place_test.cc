// SPDX-License-Identifier: Apache-2.0
//
// Where a job was submitted: what its handle, and the list of unfinished jobs, tell of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/executor.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/when_all.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

void expect_line(const SourcePlace& place, unsigned line) {
  EXPECT_STREQ(place.file, __FILE__);
  EXPECT_EQ(place.line, line);
}

Task<int> one() { co_return 1; }

// J78
TEST(PlaceOfSubmission, IsThatOfTheCall) {
  JobPool pool{{.concurrency = 1}};
  const auto f = [] { return 1; };
  const auto co = [] { return one(); };
  expect_line(pool.submit(f).place(), __LINE__);
  expect_line(pool.spawn(one()).place(), __LINE__);
  expect_line(pool.spawn(co).place(), __LINE__);
  expect_line(pool.submit_after(absl::ZeroDuration(), f).place(), __LINE__);
  expect_line(pool.submit_at(absl::Now(), f).place(), __LINE__);
  expect_line(pool.submit_bulk(std::vector<int>(2), [](int) {}).place(), __LINE__);
  expect_line(pool.submit(f).then([](int) {}).place(), __LINE__);
  expect_line(pool.submit(f).shared().then([](int) {}).place(), __LINE__);
  expect_line(when_all(std::vector<Job<int>>()).place(), __LINE__);
  std::vector<Task<int>> tasks(1);
  tasks[0] = one();
  expect_line(when_all(std::move(tasks)).place(), __LINE__);
}

// J78
TEST(PlaceOfSubmission, IsThatOfTheOptions) {
  JobPool pool{{.concurrency = 1}};
  const JobOptions options{.name = "a"};
  const unsigned line = __LINE__ - 1;
  expect_line(pool.submit(options, [] {}).place(), line);
  const auto g = [](int) {};
  expect_line(pool.submit(options, g, 1).place(), line);
  expect_line(pool.submit({.name = "b"}, g, 1).place(), __LINE__);
  JobOptions named{};
  const unsigned next = __LINE__ - 1;
  named.name = "c";
  expect_line(pool.spawn(named, one()).place(), next);
  JobOptions unknown;
  unknown.name = "d";
  EXPECT_EQ(pool.spawn(unknown, one()).place().line, 0);
  expect_line(pool.submit({.place = options.place}, [] {}).place(), line);
}

// J78
TEST(PlaceOfSubmission, IsToldOfWhatShutdownLeaves) {
  JobPool pool{{.concurrency = 1}};
  Latch has_begun;
  Latch go;
  pool.post([&] { has_begun.open(), go.wait(); });
  const unsigned line = __LINE__ - 1;
  has_begun.wait();
  pool.executor().execute([] {});
  pool.executor()([] {});
  const auto left = pool.shutdown(absl::ZeroDuration());
  go.open();
  ASSERT_EQ(left.size(), 3);
  std::vector<unsigned> lines;
  for (const UnfinishedJob& job : left) {
    lines.push_back(job.place.line);
  }
  std::ranges::sort(lines);
  EXPECT_EQ(lines, (std::vector<unsigned>{0, line, line + 3}));
}

}  // namespace
