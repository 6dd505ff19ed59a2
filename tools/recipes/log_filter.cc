// SPDX-License-Identifier: Apache-2.0
//
// A logger whose lines carry the trace of the task that writes them, without a parameter for it.
//
//   logger.info("Starting request");  // INFO:app:trace-1: Starting request
//
// It works at any depth of calls, and on any thread that resumes the coroutine. Each line is also
// written to standard error as a line of Abseil's log, with time, thread and place:
//
//   I1121 14:03:07.120934   71234 log_filter.cc:62] trace-1: Starting request

#include <unistd.h>

#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/log_severity.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/errors.h"
#include "taskctx/job_pool.h"

inline taskctx::ContextVar<std::string> trace_id{"trace_id", "no-trace"};

class Logger {
 public:
  explicit Logger(std::string name) : name_(std::move(name)) {}

  void info(std::string_view message,
            taskctx::SourcePlace place = taskctx::SourcePlace::current()) {
    log(absl::LogSeverity::kInfo, message, place);
  }

 private:
  void log(absl::LogSeverity severity, std::string_view message, taskctx::SourcePlace place) {
    const char* const level = absl::LogSeverityName(severity);
    const std::string line =
        absl::StrFormat("%s:%s:%s: %s\n", level, name_, trace_id.get(), message);
    const std::string_view path = place.file;
    const std::string abseils_line = absl::StrFormat(
        "%c%s %7d %s:%d] %s: %s\n", *level,
        absl::FormatTime("%m%d %H:%M:%E6S", absl::Now(), absl::LocalTimeZone()), gettid(),
        path.substr(path.rfind('/') + 1), place.line, trace_id.get(), message);
    const std::lock_guard lock(mutex_);
    std::cout << line;
    std::cerr << abseils_line;
  }

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
