// SPDX-License-Identifier: Apache-2.0
//
// A logger whose lines carry the trace of the task that writes them, which nobody hands it.
//
//   logger.info("Starting request");  // INFO:app:trace-1: Starting request
//
// However deep the call, and on whichever thread the coroutine goes on.

#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"

inline taskctx::ContextVar<std::string> trace_id{"trace_id", "no-trace"};

class Logger {
 public:
  explicit Logger(std::string name) : name_(std::move(name)) {}

  void info(std::string_view message) {
    std::ostringstream line;
    line << "INFO:" << name_ << ':' << trace_id.get() << ": " << message << '\n';
    const std::lock_guard lock(mutex_);
    std::cout << line.str();
  }

 private:
  const std::string name_;
  std::mutex mutex_;
};

Logger logger("app");

taskctx::Task<> do_work() {
  logger.info("Working");
  co_await taskctx::sleep_for(absl::Milliseconds(10));
}

taskctx::Task<> handle_request(std::string trace) {
  trace_id.set(trace);
  logger.info("Starting request");
  co_await do_work();
  logger.info("Request complete");
}

taskctx::Task<> run() {
  logger.info("Up");
  co_await taskctx::when_all(handle_request("trace-1"), handle_request("trace-2"));
  logger.info("Down");
}

int main() {
  taskctx::JobPool pool{{.concurrency = 1}};  // One thread, so that the lines have one order.
  pool.spawn(run()).get();
}
