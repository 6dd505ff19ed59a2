// SPDX-License-Identifier: Apache-2.0
//
// submit_bulk(): one job that calls its function for each element.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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

INSTANTIATE_TEST_SUITE_P(Threads, JobApi, testing::Values(1, 2, 4, 8));

}  // namespace
