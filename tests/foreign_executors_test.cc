// SPDX-License-Identifier: Apache-2.0
//
// Contexts through what other people wrote: std::async, std::thread, Asio, a C callback API by
// taskctx::bind; and libraries that take an executor, by JobPool::executor().

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <coroutine>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "tests/foreign.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

const ContextVar<std::string> request_id("request_id");
thread_local std::string thread_request = "none";

// F-E2, V2
TEST(ForeignExecutors, StdAsyncAndStdThreadCarryABoundCallable) {
  const Scope scope{request_id, "r-1"};
  thread_request = "r-1";
  const auto look = [] { return request_id.get("none") + " " + thread_request; };
  EXPECT_EQ(std::async(std::launch::async, taskctx::bind(look)).get(), "r-1 none");
  EXPECT_EQ(std::async(std::launch::async, look).get(), "none none") << "without bind";
  std::string seen;
  std::thread(taskctx::bind([&] { seen = look(); })).join();
  EXPECT_EQ(seen, "r-1 none");
}

// F-E2, V2, P25: handlers of different requests, one after the other on Asio's only thread.
TEST(ForeignExecutors, AsioRunsEachHandlerInTheContextOfItsRegistration) {
  asio::io_context io;
  auto work = asio::make_work_guard(io);
  std::thread loop([&] { io.run(); });
  std::vector<std::string> seen;
  for (const std::string id : {"r-1", "r-2"}) {
    const Scope scope{request_id, id};
    asio::post(io, taskctx::bind([&] {
                 seen.push_back(request_id.get());
                 request_id.set("changed");
                 thread_request = request_id.get();
               }));
  }
  asio::post(io, [&] { seen.push_back(request_id.get("unbound") + " " + thread_request); });
  asio::steady_timer timer(io, std::chrono::milliseconds(1));
  {
    const Scope scope{request_id, "timer"};
    timer.async_wait(taskctx::bind([&](const asio::error_code& error) {
      seen.push_back(error ? "error" : request_id.get());
      work.reset();
    }));
  }
  loop.join();
  EXPECT_THAT(seen, testing::ElementsAre("r-1", "r-2", "unbound changed", "timer"))
      << "the thread_local was left to whoever came next";
}

asio::awaitable<void> waits_in_a_scope(std::string id) {
  const Scope scope{request_id, std::move(id)};
  co_await asio::post(asio::use_awaitable);
}

// J86: each coroutine leaves what it has set to whatever the thread runs next (//tools/recipes:
// asio_coroutines mends that). The first one to end is not the last one that has opened a scope.
TEST(ForeignExecutors, AScopeAcrossTheWaitingOfAnotherLibraryIsReportedWithTheCause) {
  const taskctx_test::MisuseRecorder recorder;
  taskctx::Context().run([] {
    asio::io_context io;
    for (const char* id : {"r-1", "r-2"}) {
      asio::co_spawn(io, waits_in_a_scope(id), asio::detached);
    }
    io.run();
  });
  ASSERT_FALSE(recorder.messages().empty());
  EXPECT_THAT(recorder.messages()[0],
              testing::AllOf(testing::HasSubstr("cannot close scope of variable 'request_id': a "
                                                "scope that was opened later is still open"),
                             testing::HasSubstr("was it open across a co_await of another library, "
                                                "or a switch of fibers?")));
}

// Has a coroutine go on on whatever thread runs the loop, as coroutines of simple libraries do.
struct Loop {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) { asio::post(loop, coroutine); }
  void await_resume() const {}

  asio::io_context& loop;
};
Foreign waits_in_a_scope(asio::io_context& loop) {
  const Scope scope{request_id, "r-1"};
  co_await Loop{loop};
}

// J86: likewise where the coroutine goes on on another thread; there nothing is changed.
TEST(ForeignExecutors, AScopeThatEndsOnAnotherThreadIsReportedWithTheCause) {
  const taskctx_test::MisuseRecorder recorder;
  asio::io_context loop;
  taskctx::Context().run([&loop] { waits_in_a_scope(loop); });
  std::thread([&loop] {
    const Scope scope{request_id, "of the thread"};
    loop.run();
    EXPECT_EQ(request_id.get(), "of the thread");
  }).join();
  ASSERT_EQ(recorder.messages().size(), 1U);
  EXPECT_THAT(recorder.messages()[0],
              testing::AllOf(testing::HasSubstr("cannot close scope of variable 'request_id': the "
                                                "token was made in a different context"),
                             testing::HasSubstr("was it open across a co_await of another library, "
                                                "or a switch of fibers?")));
}

// A C API: a function, and a pointer for it; once with the end of its life.
extern "C" {
using CCallback = void (*)(void*);
}

struct CEvents {
  CCallback on_event;
  CCallback on_destroy;
  void* data;

  void fire() const {
    std::thread([this] { on_event(data); }).join();
  }
};

// F-E2, V2
TEST(ForeignExecutors, ACCallbackApiCarriesABoundCallable) {
  std::vector<std::string> seen;
  CEvents events{};
  {
    const Scope scope{request_id, "registrar"};
    auto bound = taskctx::bind([&] { seen.push_back(request_id.get("none")); });
    using Bound = decltype(bound);
    events = {.on_event = [](void* data) { (*static_cast<Bound*>(data))(); },
              .on_destroy = [](void* data) { delete static_cast<Bound*>(data); },
              .data = new Bound(std::move(bound))};
  }
  const Scope scope{request_id, "later"};
  events.fire();
  events.fire();
  events.on_destroy(events.data);
  EXPECT_THAT(seen, testing::ElementsAre("registrar", "registrar"));
}

}  // namespace
