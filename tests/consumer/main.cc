// SPDX-License-Identifier: Apache-2.0
//
// A program outside the repository that uses the library's public headers and targets.

#include <iostream>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

inline taskctx::ContextVar<std::string> request_id{"request_id"};

int main() {
  taskctx::Scope scope{request_id, "r-1"};
  taskctx::JobPool pool{{.concurrency = 4}};
  taskctx::Job<std::string> job = pool.submit([] { return request_id.get(); });

  const std::string seen = job.get();
  std::cout << "the job saw " << seen << '\n';
  return seen == "r-1" ? 0 : 1;
}
