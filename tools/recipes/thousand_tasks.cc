// SPDX-License-Identifier: Apache-2.0
//
// A thousand tasks at once, each with its own key, which it looks up after each of ten awaits.
//
//   co_await taskctx::sleep_for(...);
//   key.get();  // still its own, although other tasks ran on this thread meanwhile

#include <iostream>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"

constexpr int kTasks = 1000;
constexpr int kAwaits = 10;

inline taskctx::ContextVar<int> key{"key"};

taskctx::Task<bool> keeps_its_key(int own) {
  key.set(own);
  bool is_kept = true;
  for (int i = 0; i < kAwaits; ++i) {
    co_await taskctx::sleep_for(absl::Microseconds(10));
    is_kept = is_kept && key.get() == own;
  }
  co_return is_kept;
}

taskctx::Task<int> count_kept() {
  std::vector<taskctx::Task<bool>> tasks;
  tasks.reserve(kTasks);
  for (int own = 0; own < kTasks; ++own) {
    tasks.push_back(keeps_its_key(own));
  }
  int kept = 0;
  for (const bool is_kept : co_await taskctx::when_all(std::move(tasks))) {
    kept += is_kept ? 1 : 0;
  }
  co_return kept;
}

int main() {
  taskctx::JobPool pool{{.concurrency = 4}};
  std::cout << pool.spawn(count_kept()).get() << " of " << kTasks << " tasks kept their key\n";
}
