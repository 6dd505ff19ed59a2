// SPDX-License-Identifier: Apache-2.0
//
// A context for each coroutine of another library, here Asio. Asio knows nothing of contexts: when
// a coroutine waits, what it has set stays on the thread, and the next coroutine sees it. The
// executor below solves that: it runs each step of its coroutine in one Context.
//
//   context->run([&step] { Step(std::move(step))(); });
//
// A Context is for one step at a time, as a coroutine is. If callbacks run beside it on several
// threads, let the executor wrap a strand. Where no Scope is open across a co_await,
// taskctx::ContextExecutor is enough: it takes the context from each step to the next.

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/execution.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace {

// Runs functions by `Executor`, in a context that all copies of this executor share.
template <typename Executor>
class OneContextExecutor {
 public:
  // Begins with a snapshot of the current context.
  explicit OneContextExecutor(Executor executor)
      : executor_(std::move(executor)),
        context_(std::make_shared<taskctx::Context>(taskctx::copy_context())) {}

  template <typename Step>
  void execute(Step step) const {
    asio::post(executor_, [step = std::move(step), context = context_]() mutable {
      // The step is destroyed in the context, too: at the end, the coroutine goes with it.
      context->run([&step] { Step(std::move(step))(); });
    });
  }

  // Asio's requirements for an executor.
  asio::execution_context& query(asio::execution::context_t /*what*/) const noexcept {
    return executor_.context();
  }
  static constexpr auto query(asio::execution::blocking_t /*what*/) noexcept {
    return asio::execution::blocking_t(asio::execution::blocking.never);
  }
  OneContextExecutor require(asio::execution::blocking_t::never_t /*what*/) const { return *this; }
  friend bool operator==(const OneContextExecutor& a, const OneContextExecutor& b) noexcept {
    return a.executor_ == b.executor_ && a.context_ == b.context_;
  }

 private:
  Executor executor_;
  std::shared_ptr<taskctx::Context> context_;
};

const taskctx::ContextVar<std::string> user{"user", "nobody"};

void log(const char* message) { std::printf("[%s] %s\n", user.get().c_str(), message); }

asio::awaitable<void> look_up() {
  log("asks the database");
  co_await asio::post(asio::use_awaitable);  // Lets the others have their turn.
  log("has an answer");
}

asio::awaitable<void> handle(std::string name) {
  const taskctx::Scope scope{user, std::move(name)};  // Open across what follows.
  co_await look_up();
  co_await asio::post(asio::use_awaitable);
  log("is served");
}

}  // namespace

int main() {
  asio::io_context io;
  for (const char* name : {"ann", "bob"}) {
    const OneContextExecutor executor(io.get_executor());
    asio::co_spawn(asio::any_io_executor(executor), handle(name), asio::detached);
  }
  io.run();
  log("runs the loop");
}
