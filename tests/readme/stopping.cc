// SPDX-License-Identifier: Apache-2.0
//
// The samples of tools/docs/stopping.md, one function each. A line `// [name]` begins what the page
// shows under that name; `// [end]` ends it.

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <latch>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"
#include "taskctx/tbb.h"

namespace {

std::latch begun(1);  // The request has begun, so that all its parts can be stopped half-way.

void work() {}
void say_goodbye() {}
void close_socket() {}

void one_job(taskctx::JobPool& pool) {
  // [one_job]
  auto job = pool.submit([] {
    while (!taskctx::cancelled()) work();
  });
  if (!job.cancel()) job.wait();  // true: it had not begun, and never will
  // [end]
  std::cout << "one job: it has ended: " << job.ready() << '\n';
}

// [request]
void handle_request(taskctx::JobPool& pool, taskctx::CancelScope& scope,
                    std::function<void()>& on_close) {
  on_close = [&scope] { scope.cancel("the user went away"); };  // on any thread
  auto page = pool.submit([] {
    begun.count_down();
    taskctx::tbb::parallel_for(0, 1'000'000'000, [](int) { work(); });
  });
  try {
    page.get();  // it, and all that the job has started, ends by Cancelled
  } catch (const taskctx::Cancelled& cancelled) {
    std::cout << "a request: " << cancelled.status() << '\n';
  }
}
// [end]

void loops() {
  // [loops]
  taskctx::CancelScope scope{{.timeout = absl::Milliseconds(1)}};
  try {
    taskctx::tbb::parallel_for(0, 1'000'000'000, [](int) { work(); });  // needs no question
  } catch (const taskctx::Cancelled&) {
  }
  while (!taskctx::cancelled()) work();  // a loop of your own asks
  // [end]
  std::cout << "a loop: " << taskctx::cancel_reason() << '\n';
}

void after_a_time() {
  // [time]
  taskctx::CancelScope scope{{.timeout = absl::Seconds(10)}};
  {
    taskctx::CancelScope inner{{.timeout = absl::Hours(1)}};  // can only shorten
    std::cout << "after a time: " << (taskctx::remaining() <= absl::Seconds(10)) << '\n';
  }
  // [end]
}

void serve(taskctx::JobPool& pool) {
  auto job = pool.submit([] {
    while (true) taskctx::check_cancelled();
  });
  kill(getpid(), SIGTERM);
  job.get();
}

void on_a_signal() {
  // [signal]
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // first thing in main(): all threads inherit it

  taskctx::JobPool pool;
  taskctx::CancelScope scope;
  const std::jthread listener([&] {
    int signal = 0;
    sigwait(&signals, &signal);  // a thread, not a signal handler: it may call anything
    scope.cancel("SIGTERM");
  });
  try {
    serve(pool);  // its jobs end, and so do its waits for them
  } catch (const taskctx::Cancelled& cancelled) {
    std::cout << "a signal: " << cancelled.status() << '\n';
  }
  // [end]
}

void at_shutdown() {
  taskctx::JobPool pool{{.concurrency = 2}};
  std::latch both(2);
  auto endless = pool.submit({.name = "endless"}, [&both] {
    both.count_down();
    while (!taskctx::cancelled()) work();
  });
  both.arrive_and_wait();
  // [shutdown]
  const auto unfinished = pool.shutdown(absl::Milliseconds(10));  // waits, then cancels the rest
  for (const auto& job : unfinished) std::cout << "at shutdown: cancelled " << job.name << '\n';
  // [end]
}

struct Connection {
  // [shield]
  ~Connection() {
    taskctx::Shield shield;  // what is in this block is not cancelled from outside
    taskctx::tbb::parallel_for(0, 3, [](int) { say_goodbye(); });
    std::cout << "clean-up: cancelled: " << taskctx::cancelled() << '\n';
  }
  // [end]
};

void clean_up() {
  taskctx::CancelScope scope;
  const Connection connection;
  scope.cancel();
}

void callbacks() {
  taskctx::CancelScope scope;
  // [callback]
  taskctx::CancelCallback abort{[] {
    close_socket();
    std::cout << "a callback: once\n";
  }};
  std::stop_token token = taskctx::stop_token();  // for code that wants the standard library's
  // [end]
  scope.cancel();
  std::cout << "a token: " << token.stop_requested() << '\n';
}

// [coroutine]
taskctx::Task<void> poll() {
  while (true) {
    work();
    co_await taskctx::sleep_for(absl::Milliseconds(1));  // throws Cancelled: no question needed
  }
}
// [end]

void coroutines(taskctx::JobPool& pool) {
  // [spawn]
  auto polling = pool.spawn(poll());
  polling.cancel();
  polling.wait();
  // [end]
  std::cout << "a coroutine: it has ended: " << polling.ready() << '\n';
}

}  // namespace

int main() {
  on_a_signal();
  taskctx::JobPool pool{{.concurrency = 2}};
  one_job(pool);
  {
    taskctx::CancelScope scope;
    std::function<void()> on_close;
    std::jthread user([&] {
      begun.wait();
      on_close();
    });
    handle_request(pool, scope, on_close);
  }
  loops();
  after_a_time();
  at_shutdown();
  clean_up();
  callbacks();
  coroutines(pool);
}
