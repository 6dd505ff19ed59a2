// SPDX-License-Identifier: Apache-2.0
//
// A gate behind which coroutines wait, for as long as a test wants.

#ifndef TASKCTX_TESTS_CORO_GATE_H_
#define TASKCTX_TESTS_CORO_GATE_H_

#include <atomic>
#include <latch>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

namespace taskctx_test {

inline const taskctx::ContextVar<std::string> request{"request", "none"};

// Where nothing that is waited for comes before open().
struct Gate {
  ~Gate() { open(); }
  void open() {
    if (!is_open.test_and_set()) {
      latch.count_down();
    }
  }

  std::latch latch{1};
  std::atomic_flag is_open;
  taskctx::JobPool blocked{{.concurrency = 1}};
  taskctx::SharedJob<int> job = blocked
                                    .submit([this] {
                                      latch.wait();
                                      return 1;
                                    })
                                    .shared();
};

inline taskctx::Task<int> waits_for(Gate& gate) {
  const taskctx::Scope scope{request, "child's"};
  co_return co_await gate.job;
}
inline taskctx::AsyncGenerator<int> yields_late(Gate& gate) {
  const taskctx::Scope scope{request, "generator's"};
  co_yield co_await gate.job;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_CORO_GATE_H_
