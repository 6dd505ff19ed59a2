// SPDX-License-Identifier: Apache-2.0
//
// ContextExecutor around Asio's executors: handlers, strands, timers and coroutines have the
// context in which they were begun, without a bind().

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/defer.hpp>
#include <asio/dispatch.hpp>
#include <asio/execution.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/cancel.h"
#include "taskctx/context_executor.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;
using testing::ElementsAre;

using Clock = std::chrono::milliseconds;

template <typename E>
constexpr bool kIsExecutor =
    std::conjunction_v<asio::execution::is_executor<ContextExecutor<E>>,
                       asio::can_require<ContextExecutor<E>, asio::execution::blocking_t::never_t>,
                       std::is_convertible<ContextExecutor<E>, asio::any_io_executor>>;

// F-E2
TEST(ContextExecutorOfAsio, IsAnExecutor) {
  static_assert(kIsExecutor<asio::io_context::executor_type>);
  static_assert(kIsExecutor<asio::thread_pool::executor_type>);
  static_assert(kIsExecutor<asio::strand<asio::io_context::executor_type>>);
  static_assert(kIsExecutor<asio::any_io_executor>);
  static_assert(asio::execution::is_executor<ContextExecutor<asio::system_executor>>::value);
  asio::io_context io;
  asio::io_context other;
  const ContextExecutor executor{io.get_executor()};
  EXPECT_EQ(executor, ContextExecutor{io.get_executor()});
  EXPECT_NE(executor, ContextExecutor{other.get_executor()});
  EXPECT_EQ(&asio::query(executor, asio::execution::context), &io);
  static_assert(sizeof(executor) == sizeof(io.get_executor()));
}

// F-E2, V2: each of Asio's ways to give it a function; the thread itself sees nothing of it.
TEST(ContextExecutorOfAsio, AFunctionHasTheContextOfTheCall) {
  asio::io_context io;
  std::vector<int> seen;
  const auto look = [&seen] {
    seen.push_back(request.get(-1));
    request.set(99);
  };
  const auto give = [&look](const auto& executor, int first) {
    Scope scope{request, first};
    asio::post(executor, look);
    request.set(first + 1);
    asio::dispatch(executor, look);
    request.set(first + 2);
    asio::defer(executor, look);
  };
  give(ContextExecutor{io.get_executor()}, 1);
  give(asio::any_io_executor(ContextExecutor{io.get_executor()}), 4);
  give(ContextExecutor{asio::any_io_executor(io.get_executor())}, 7);
  asio::post(io, [&seen] { seen.push_back(request.get(-1)); });
  io.run();
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, -1));
}

// F-E2: on many threads, each request in a strand of its own and with others in one.
TEST(ContextExecutorOfAsio, AStrandRunsEachFunctionInItsContext) {
  for (const int threads : {1, 2, 4, 8}) {
    asio::thread_pool pool(static_cast<std::size_t>(threads));
    const ContextExecutor together{asio::make_strand(pool)};
    std::atomic<int> wrong{0};
    std::atomic<int> wrong_thread_locals{0};
    std::vector<int> order;  // Only the strand's functions touch it.
    std::vector<int> expected;
    for (int i = 0; i < 500; ++i) {
      const int of = 1 + i % 8;
      const Scope scope{request, of};
      thread_request = of;
      const auto look = [&, of] {
        wrong += request.get(-1) != of ? 1 : 0;
        wrong_thread_locals += thread_request != of ? 1 : 0;
        thread_request = of;
        request.set(-2);
      };
      expected.push_back(of);
      asio::post(together, [&order, look] {
        order.push_back(request.get());
        look();
      });
      asio::post(ContextExecutor{pool.get_executor()}, look);
    }
    pool.join();
    EXPECT_EQ(wrong, 0) << threads;
    EXPECT_EQ(order, expected) << threads;
    EXPECT_GT(wrong_thread_locals, 0) << "a thread_local stays where it was set";
  }
}

// F-E2, P25: by the timer's executor, or by the handler's.
TEST(ContextExecutorOfAsio, AWaitEndsInTheContextInWhichItBegan) {
  asio::io_context io;
  const ContextExecutor executor{io.get_executor()};
  asio::steady_timer erased(executor, Clock(1));
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>,
                             ContextExecutor<asio::io_context::executor_type>>
      exact(executor, Clock(2));
  asio::steady_timer plain(io, Clock(3));
  asio::steady_timer without(io, Clock(4));
  std::vector<int> seen;
  const auto look = [&seen](const asio::error_code& error) {
    seen.push_back(error ? -2 : request.get(-1));
    request.set(99);
  };
  const auto wait = [&look](auto& timer, int of) {
    const Scope scope{request, of};
    timer.async_wait(look);
  };
  wait(erased, 1);
  wait(exact, 2);
  {
    const Scope scope{request, 3};
    plain.async_wait(asio::bind_executor(executor, look));
    without.async_wait([&seen](const asio::error_code&) { seen.push_back(request.get(-1)); });
  }
  io.run();  // Ends: no executor is left that stands for work.
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, -1));
}

// Takes turns with others, in all ways of Asio's, and notes what it sees after each.
asio::awaitable<void> sees(asio::io_context& io, int me, std::vector<int>& seen) {
  seen.push_back(request.get(-1));
  request.set(me);
  co_await asio::post(asio::use_awaitable);
  seen.push_back(request.get(-1));
  co_await asio::post(io, asio::use_awaitable);  // By another executor and back.
  seen.push_back(request.get(-1));
  asio::steady_timer plain(io, Clock(1));
  co_await plain.async_wait(asio::use_awaitable);
  seen.push_back(request.get(-1));
  asio::steady_timer own(co_await asio::this_coro::executor, Clock(1));
  request.set(me + 1);
  co_await own.async_wait(asio::use_awaitable);
  seen.push_back(request.get(-1));
}
asio::awaitable<void> awaits_another(asio::io_context& io, int me, std::vector<int>& seen) {
  co_await sees(io, me, seen);
  seen.push_back(request.get(-1));
  throw std::runtime_error("at the end");
}

// F-E2, P24: what a coroutine has set stays with it over its waits; its end is its spawner's.
TEST(ContextExecutorOfAsio, ACoroutineKeepsItsContextOverWaits) {
  asio::io_context io;
  const ContextExecutor executor{io.get_executor()};
  std::array<std::vector<int>, 8> seen;
  std::vector<int> ends;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const int of = static_cast<int>(i);
    const Scope scope{request, 100 + of};
    asio::co_spawn(executor, awaits_another(io, 10 * of, seen[i]),
                   [&ends](const std::exception_ptr& error) {
                     EXPECT_NE(error, nullptr);
                     ends.push_back(request.get(-1));
                   });
  }
  io.run();
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const int me = 10 * static_cast<int>(i);
    EXPECT_THAT(seen[i], ElementsAre(100 + static_cast<int>(i), me, me, me, me + 1, me + 1));
  }
  EXPECT_THAT(ends, testing::UnorderedElementsAre(100, 101, 102, 103, 104, 105, 106, 107));
  EXPECT_EQ(request.find(), nullptr);
}

asio::awaitable<void> sums(int me, std::atomic<int>& wrong) {
  request.set(me);
  for (int i = 0; i < 50; ++i) {
    co_await asio::post(asio::use_awaitable);
    wrong += request.get(-1) != me ? 1 : 0;
  }
}

// F-E2: on threads that go from one coroutine to the other.
TEST(ContextExecutorOfAsio, CoroutinesOnManyThreadsKeepTheirContexts) {
#ifdef __clang__
  GTEST_SKIP() << "clang keeps the address of a thread_local of Asio's over a suspension";
#endif
  for (const int threads : {1, 2, 4, 8}) {
    asio::thread_pool pool(static_cast<std::size_t>(threads));
    std::atomic<int> wrong{0};
    std::atomic<int> ended{0};
    for (int of = 0; of < 64; ++of) {
      asio::co_spawn(ContextExecutor{asio::make_strand(pool)}, sums(of, wrong),
                     [&](const std::exception_ptr&) { ++ended; });
    }
    pool.join();
    EXPECT_EQ(wrong, 0) << threads;
    EXPECT_EQ(ended, 64);
  }
}

// F-E2, F-H1
TEST(ContextExecutorOfAsio, AWaitHasTheCancellationOfWhatBeganIt) {
  asio::io_context io;
  asio::steady_timer timer(ContextExecutor{io.get_executor()}, Clock(1));
  std::vector<bool> answers;
  {
    CancelScope scope;
    timer.async_wait([&](const asio::error_code&) { answers.push_back(cancelled()); });
    scope.cancel();
  }
  asio::post(ContextExecutor{io.get_executor()}, [&] { answers.push_back(cancelled()); });
  io.run();
  EXPECT_THAT(answers, ElementsAre(false, true));
}

}  // namespace
