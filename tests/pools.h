// SPDX-License-Identifier: Apache-2.0
//
// Pools for tests: of 1, 2, 4 and 8 threads, and one whose only thread is busy.

#ifndef TASKCTX_TESTS_POOLS_H_
#define TASKCTX_TESTS_POOLS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "tests/stealing.h"

namespace taskctx_test {

// What jobs are given, and set.
inline const taskctx::ContextVar<std::string> request_id("request_id");
inline const taskctx::ContextVar<int> number("number");

// A pool that counts the errors which nobody takes.
class JobApi : public testing::TestWithParam<int> {
 protected:
  // Keeps all of the pool's threads busy until the latch is opened.
  std::vector<taskctx::Job<void>> occupy(const Latch& until) {
    std::vector<taskctx::Job<void>> jobs;
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
  taskctx::JobPool pool{taskctx::JobPoolOptions{
      .concurrency = GetParam(),
      .exception_handler = [this](const std::exception_ptr&) { ++handled; }}};
};

class JobPoolTest : public testing::TestWithParam<int> {
 protected:
  taskctx::JobPool pool{taskctx::JobPoolOptions{.concurrency = GetParam()}};
};

// A pool of one thread, which is busy until the latch is opened.
class BusyPool {
 public:
  explicit BusyPool(taskctx::JobPoolOptions options) : pool_(std::move(options)) {
    Latch begun;
    busy_ = pool_.submit([&] {
      begun.open();
      go_.wait();
    });
    begun.wait();
  }
  ~BusyPool() { go_.open(); }

  taskctx::JobPool* operator->() { return &pool_; }
  void go() {
    go_.open();
    pool_.drain();
  }

 private:
  Latch go_;
  taskctx::JobPool pool_;
  taskctx::Job<void> busy_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_POOLS_H_
