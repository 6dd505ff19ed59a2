// SPDX-License-Identifier: Apache-2.0
//
// A job that ends between the two steps of cancel(): it was told, what it has created was not yet.
// This program's operator new holds the canceller there, where it puts the reason into words.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <latch>
#include <new>
#include <thread>
#include <utility>

#include "taskctx/cancel.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"
#include "tests/support.h"

namespace {

// What the next allocation of this thread waits for.
constinit thread_local std::latch* to_wait_for = nullptr;

}  // namespace

void* operator new(std::size_t size) {
  if (std::latch* const open = std::exchange(to_wait_for, nullptr)) {
    open->wait();
  }
  void* const memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace taskctx_test {
namespace {

using taskctx::cancelled;
using taskctx::Job;
using taskctx::JobCancelled;
using taskctx::JobPool;

// J102: the pool has one thread, so that what a job has submitted begins when the job has ended.
TEST(CancelRace, AJobThatIsToldAndEndsAtOnceIsCancelledWithAllThatItHasCreated) {
  const Watchdog watchdog("end of a job in the middle of cancel()");
  JobPool pool{{.concurrency = 1}};
  std::latch has_submitted(1);
  std::latch has_ended(1);
  std::latch is_cancelled(1);
  Job<bool> child;
  Job<void> grandchild;
  const Job<void> job = pool.submit([&] {
    child = pool.submit([&] {
      grandchild = pool.submit([] {});
      EXPECT_FALSE(cancelled()) << "the canceller is held";
      has_ended.count_down();
      is_cancelled.wait();
      return cancelled();
    });
    has_submitted.count_down();
    while (!cancelled()) {
      std::this_thread::yield();
    }
  });
  has_submitted.wait();
  to_wait_for = &has_ended;
  EXPECT_FALSE(job.cancel());
  EXPECT_EQ(to_wait_for, nullptr);
  EXPECT_TRUE(job.ready());
  is_cancelled.count_down();
  EXPECT_TRUE(child.get());
  EXPECT_THROW(grandchild.get(), JobCancelled);
}

// J102
TEST(CancelRace, AJobThatHasEndedCancelsNothing) {
  const Watchdog watchdog("cancel after the end");
  JobPool pool{{.concurrency = 1}};
  std::latch has_ended(1);
  std::latch is_cancelled(1);
  Job<bool> child;
  const Job<void> job = pool.submit([&] {
    child = pool.submit([&] {
      has_ended.count_down();
      is_cancelled.wait();
      return cancelled();
    });
  });
  has_ended.wait();
  EXPECT_FALSE(job.cancel());
  is_cancelled.count_down();
  EXPECT_FALSE(child.get());
}

}  // namespace
}  // namespace taskctx_test
