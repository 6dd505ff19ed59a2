// SPDX-License-Identifier: Apache-2.0
//
// Requests as coroutines, awaited together: each has its own id in all that it awaits.
//
//   co_await taskctx::when_all(handle_request("req-123"), handle_request("req-456"));
//
// The middleware's scope stays open while its request is suspended, and no other request sees it.
// One thread serves all requests, in the order in which they are resumed.

#include <iostream>
#include <string>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

inline taskctx::ContextVar<std::string> request_id{"request_id", "none"};

taskctx::Task<> fetch_data() {
  std::cout << "Fetching data for " << request_id.get() << '\n';
  co_await taskctx::sleep_for(absl::Milliseconds(10));
}

taskctx::Task<> handle_request(std::string id) {
  taskctx::Scope scope{request_id, id};
  co_await fetch_data();
  co_await fetch_data();
}

taskctx::Task<> run() {
  co_await taskctx::when_all(handle_request("req-123"), handle_request("req-456"));
  std::cout << "outside: " << request_id.get() << '\n';
}

int main() {
  taskctx::JobPool pool{{.concurrency = 1}};
  pool.spawn(run()).get();
}
