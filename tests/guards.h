// SPDX-License-Identifier: Apache-2.0
//
// Code that runs when the last copy of a guard goes, in a context or elsewhere.

#ifndef TASKCTX_TESTS_GUARDS_H_
#define TASKCTX_TESTS_GUARDS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/tbb/parallel_pipeline.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"

namespace taskctx_test {

using Code = std::function<void()>;
using Guard = std::shared_ptr<const int>;
using Pool = std::shared_ptr<taskctx::JobPool>;

inline taskctx::ContextVar<Guard> guarded{"guarded"};
inline taskctx::ContextVar<std::string> who{"who", "nobody"};

// Runs `code`, and destroys it, when the last copy goes.
inline Guard at_end(Code code) {
  return {new int(0), [code = std::move(code)](const int* memory) mutable {
            delete memory;
            std::exchange(code, nullptr)();
          }};
}

// Something that one thread waits for, and that outlives who tells it.
class Signal {
 public:
  void give() const {
    *given_ = true;
    given_->notify_all();
  }
  void wait() const { given_->wait(false); }

 private:
  std::shared_ptr<std::atomic<bool>> given_ = std::make_shared<std::atomic<bool>>(false);
};

inline taskctx::Context with_guard(Code code) {
  taskctx::Context context;
  context.run([&] { guarded.set(at_end(std::move(code))); });
  return context;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_GUARDS_H_
