// SPDX-License-Identifier: Apache-2.0
//
// The middleware sets a request's id once, and all that the request does can read it.
//
//   taskctx::Scope scope{request_id, id};  // for the call of the handler
//   return handler();                      // and for its jobs and the leaves of its loops
//
// Many requests at once: each finds its own id.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"

inline taskctx::ContextVar<std::string> request_id{"request_id", "none"};

struct Response {
  std::string request_id;
};
using Handler = std::function<Response()>;

// The middleware: wraps a handler into one that has an id.
std::function<Response(const std::string& id)> with_request_id(Handler handler) {
  return [handler](const std::string& id) {
    taskctx::Scope scope{request_id, id};
    return handler();
  };
}

// A log that all requests share.
std::mutex log_mutex;
std::vector<std::string> log_lines;

void log(const std::string& message) {  // Needs no parameter for the id.
  const std::lock_guard lock(log_mutex);
  log_lines.push_back(message + " for " + request_id.get());
}

Response route() {
  const std::vector<std::string> needed{"user", "payment"};
  taskctx::tbb::parallel_for(std::size_t{0}, needed.size(),
                             [&](std::size_t i) { log("Fetching " + needed[i]); });
  return {request_id.get()};
}

int main() {
  const auto handle = with_request_id(route);
  taskctx::JobPool pool{{.concurrency = 4}};
  std::vector<taskctx::Job<Response>> requests;
  for (const std::string id : {"req-123", "req-456", "req-789"}) {
    requests.push_back(pool.submit([&handle, id] { return handle(id); }));
  }
  for (taskctx::Job<Response>& request : requests) {
    std::cout << "request_id: " << request.get().request_id << '\n';
  }
  std::cout << "outside: " << request_id.get() << '\n';

  std::sort(log_lines.begin(), log_lines.end());  // They came in any order.
  for (const std::string& line : log_lines) {
    std::cout << line << '\n';
  }
}
