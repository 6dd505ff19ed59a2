// SPDX-License-Identifier: Apache-2.0
//
// What a plugin offers that has a copy of the library, with pools, of its own: see own_copy.h.

#ifndef TASKCTX_TESTS_PLUGINS_OWN_POOLS_H_
#define TASKCTX_TESTS_PLUGINS_OWN_POOLS_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

namespace taskctx_test {

struct OwnPools {
  std::unique_ptr<taskctx::JobPool> (*make)(int concurrency);
  void (*destroy)(std::unique_ptr<taskctx::JobPool> pool);
  taskctx::Job<int> (*submit)(taskctx::JobPool& pool, std::function<int()> function);
  taskctx::Job<int> (*submit_after)(taskctx::JobPool& pool, absl::Duration delay,
                                    std::function<int()> function);
  // Spawns a coroutine that waits for `job`, and returns what that does.
  taskctx::Job<int> (*spawn)(taskctx::JobPool& pool, taskctx::Job<int> job);
  int (*get)(taskctx::Job<int> job);
  bool (*wait_for)(const taskctx::Job<int>& job, absl::Duration limit);
  bool (*cancel)(const taskctx::Job<int>& job);
  // Posts to the plugin's default pool.
  void (*post)(std::function<void()> function);
};

}  // namespace taskctx_test

extern "C" const taskctx_test::OwnPools* plugin_own_pools();

#endif  // TASKCTX_TESTS_PLUGINS_OWN_POOLS_H_
