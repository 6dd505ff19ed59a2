// SPDX-License-Identifier: Apache-2.0
//
// Carried values on their way through queues, from threads of a pool to threads that know nothing
// of it: every message has its producer's context and cancellation.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/concurrent_priority_queue.h>
#include <oneapi/tbb/concurrent_queue.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/this_job.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

using Message = Carried<int>;

// A queue that waits for nobody and locks nothing: one thread pushes, one pops.
template <typename T>
class Ring {
 public:
  bool try_push(T& item) {
    const std::size_t end = end_.load(std::memory_order_relaxed);
    // Pairs with the release in try_pop: the place is free, and its old item ended.
    if (end - begin_.load(std::memory_order_acquire) == places_.size()) {
      return false;
    }
    places_[end % places_.size()] = std::move(item);
    end_.store(end + 1, std::memory_order_release);
    return true;
  }
  bool try_pop(T& item) {
    const std::size_t begin = begin_.load(std::memory_order_relaxed);
    // Pairs with the release in try_push: the item is there.
    if (begin == end_.load(std::memory_order_acquire)) {
      return false;
    }
    item = std::move(places_[begin % places_.size()]);
    begin_.store(begin + 1, std::memory_order_release);
    return true;
  }

 private:
  std::array<T, 8> places_{};
  std::atomic<std::size_t> begin_{0};
  std::atomic<std::size_t> end_{0};
};

// Each queue, and how many threads may push to it, and pop.
struct Unbounded : oneapi::tbb::concurrent_queue<Message> {
  static constexpr int kThreads = 8;
};
struct Bounded : oneapi::tbb::concurrent_bounded_queue<Message> {
  Bounded() { set_capacity(4); }
  static constexpr int kThreads = 8;
};
struct ByPriority : oneapi::tbb::concurrent_priority_queue<Message> {
  static constexpr int kThreads = 8;
};
struct LockFree : Ring<Message> {
  void push(Message item) {
    while (!try_push(item)) {
      std::this_thread::yield();
    }
  }
  static constexpr int kThreads = 1;
};

template <typename Queue>
class CarriedThrough : public testing::Test {};
using Queues = testing::Types<Unbounded, Bounded, ByPriority, LockFree>;
TYPED_TEST_SUITE(CarriedThrough, Queues);

// F-N18: producers are jobs, consumers are plain threads; both work for 8 requests in turn.
TYPED_TEST(CarriedThrough, EveryMessageHasItsProducersContext) {
  constexpr int kRequests = 8;
  constexpr int kMessages = 400;  // Of each request.
  for (const int threads : {1, 2, 4, 8}) {
    if (threads > TypeParam::kThreads) {
      break;
    }
    const Watchdog watchdog("messages of " + std::to_string(threads) + " threads");
    TypeParam queue;
    std::atomic<int> left{kRequests * kMessages};
    std::atomic<int> wrong{0};
    std::atomic<int> wrong_thread_locals{0};
    std::array<std::atomic<int>, kRequests + 1> count{};
    std::vector<std::thread> consumers;
    for (int i = 0; i < threads; ++i) {
      consumers.emplace_back([&] {
        Message message;
        while (left > 0) {
          if (!queue.try_pop(message)) {
            std::this_thread::yield();
            continue;
          }
          message.run([&](int of) {
            wrong += request.get(-1) != of ? 1 : 0;
            wrong_thread_locals += thread_request != of ? 1 : 0;
            request.set(-2);
            thread_request = of;  // As code does that works for the request; and it stays.
            ++count[static_cast<std::size_t>(of)];
          });
          --left;
        }
        EXPECT_EQ(request.find(), nullptr);
      });
    }
    {
      JobPool pool{{.concurrency = threads}};
      for (int producer = 0; producer < threads; ++producer) {
        pool.post([&queue, producer, threads] {
          for (int i = producer; i < kRequests * kMessages; i += threads) {
            const Scope scope{request, 1 + i % kRequests};
            thread_request = request.get();
            queue.push(request.get());
          }
        });
      }
    }
    for (std::thread& consumer : consumers) {
      consumer.join();
    }
    EXPECT_EQ(wrong, 0) << threads;
    EXPECT_GT(wrong_thread_locals, 0) << "a thread_local is of no use here";
    for (std::size_t of = 1; of <= kRequests; ++of) {
      EXPECT_EQ(count[of], kMessages) << "of request " << of;
    }
  }
}

// Pops all, on a thread that knows nothing, and returns what each has of `request` and its value.
std::vector<std::pair<int, int>> popped_elsewhere(Unbounded& queue) {
  std::vector<std::pair<int, int>> seen;
  std::thread([&] {
    thread_request = 99;
    request.set(99);
    for (Message item; queue.try_pop(item);) {
      item.run([&](int value) { seen.emplace_back(request.get(-1), value); });
    }
  }).join();
  return seen;
}

// F-N18: from a leaf, a task of a group, a continuation and a handler.
TEST(CarriedQueue, TakesMessagesFromWhereverCodeRuns) {
  for (const int threads : {1, 2, 4, 8}) {
    Unbounded queue;
    {
      JobPool pool{{.concurrency = threads,
                    .exception_handler = [&](const std::exception_ptr&) { queue.push(4); }}};
      const Scope scope{request, 10};
      pool.submit([&] {
            ctbb::parallel_for(0, 100, [&](int i) {
              request.set(1000 + i);
              queue.push(1);
            });
            ctbb::task_group group;
            group.run([&] { queue.push(2); });
            group.wait();
          })
          .then([&] { queue.push(3); })
          .get();
      pool.post([] {
        request.set(20);
        throw std::runtime_error("for the handler");
      });
    }
    std::vector<std::pair<int, int>> expected{{10, 2}, {10, 3}, {20, 4}};
    for (int i = 0; i < 100; ++i) {
      expected.emplace_back(1000 + i, 1);
    }
    EXPECT_THAT(popped_elsewhere(queue), testing::UnorderedElementsAreArray(expected)) << threads;
  }
}

// F-N18, F-H1: a message is cancelled with what has produced it, and with nothing else.
TEST(CarriedQueue, AMessageHasTheCancellationOfItsProducer) {
  JobPool pool{{.concurrency = 2}};
  std::optional<Message> of_job;
  std::optional<Message> of_context;
  Latch is_made;
  Latch is_cancelled;
  auto job = pool.submit([&] {
    of_job.emplace(1);
    of_context.emplace(Context{}, 2);
    is_made.open();
    is_cancelled.wait();
    return this_job::id();
  });
  is_made.wait();
  Message outside(3);
  const auto asks = [](int /*value*/) { return taskctx::cancelled(); };
  EXPECT_FALSE(of_job->run(asks));
  job.cancel();
  is_cancelled.open();
  const std::uint64_t id = job.get();
  EXPECT_NE(id, 0U);
  std::thread([&] {
    EXPECT_FALSE(taskctx::cancelled());
    EXPECT_TRUE(of_job->run(asks));
    EXPECT_TRUE(of_context->run(asks));  // A context does not bring cancellation, nor cut it.
    EXPECT_FALSE(outside.run(asks));
    EXPECT_EQ(of_job->run([](int) { return this_job::id(); }), id);
    EXPECT_FALSE(of_job->context().run([] { return taskctx::cancelled(); }));
    // What runs below the message ends with it, on any pool's threads.
    EXPECT_THROW(of_job->run([](int) { ctbb::parallel_for(0, 1000, [](int) {}); }), Cancelled);
    EXPECT_THROW(of_job->run([&](int) { pool.submit([] { check_cancelled(); }).get(); }),
                 Cancelled);
  }).join();
  CancelScope consumers;
  consumers.cancel();
  EXPECT_TRUE(taskctx::cancelled());
  EXPECT_FALSE(outside.run(asks));
}

// F-N18, F-H2
TEST(CarriedQueue, AMessageHasTheDeadlineOfItsProducer) {
  std::optional<CancelScope> scope(std::in_place, CancelScopeOptions{.timeout = absl::Hours(1)});
  const Message message(1);
  scope.reset();
  EXPECT_EQ(remaining(), absl::InfiniteDuration());
  EXPECT_LE(message.run([](int) { return remaining(); }), absl::Hours(1));
}

// F-N18: in a job, a leaf and a group's task of the consumer's; its own context is back after that.
TEST(CarriedQueue, RunsWhereverCodeRuns) {
  for (const int threads : {1, 2, 4, 8}) {
    JobPool pool{{.concurrency = threads}};
    std::vector<Message> batch;
    for (int i = 0; i < 100; ++i) {
      const Scope scope{request, i};
      batch.emplace_back(i);
    }
    const Scope scope{request, -5};
    pool.submit([&] {
          for (auto& item : batch) {
            item.run([](int value) { ASSERT_EQ(request.get(), value); });
          }
          ctbb::parallel_for(0, 100, [&](int i) {
            batch[static_cast<std::size_t>(i)].run([](int value) {
              ASSERT_EQ(request.get(), value);
              ctbb::parallel_for(0, 4, [&](int) { ASSERT_EQ(request.get(), value); });
              request.set(-1);
            });
            ASSERT_EQ(request.get(), -5);
          });
          ctbb::task_group group;
          for (auto& item : batch) {
            group.run([&] { item.run([](int value) { ASSERT_EQ(request.get(), value); }); });
          }
          group.wait();
          EXPECT_EQ(request.get(), -5);
        })
        .get();
  }
}

Unbounded& queue_until_exit() {
  static Unbounded queue;
  return queue;
}
[[noreturn]] void exit_with_messages() {
  const Scope scope{request, 1};
  queue_until_exit().push(1);
  std::exit(0);
}

// F-N18, V1
TEST(CarriedQueue, MayEndWithTheProgram) {
  EXPECT_EXIT(exit_with_messages(), testing::ExitedWithCode(0), "");
}

}  // namespace
