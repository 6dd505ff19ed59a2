// SPDX-License-Identifier: Apache-2.0

#include "taskctx/job_pool.h"

#include <oneapi/tbb/task_arena.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/internal/pool_core.h"
#include "taskctx/job.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_options.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

void throw_no_job(const char* verb) {
  throw JobError(std::string("cannot ") + verb +
                 " job: the handle is empty, or its result was taken already");
}

}  // namespace internal

JobPool::JobPool(JobPoolOptions options) {
  if (options.concurrency < 0) {
    throw std::invalid_argument("cannot create pool: concurrency is " +
                                std::to_string(options.concurrency));
  }
  core_ = new internal::PoolCore(std::move(options), nullptr);
}

JobPool::JobPool(oneapi::tbb::task_arena& arena, JobPoolOptions options) {
  if (options.concurrency != 0) {
    throw std::invalid_argument(
        "cannot create pool: concurrency is given, and the arena has its own");
  }
  if (options.priority != JobPriority::normal) {
    throw std::invalid_argument("cannot create pool: priority is given, and the arena has its own");
  }
  core_ = new internal::PoolCore(std::move(options), &arena);
}

JobPool::~JobPool() { core_->close(); }

int JobPool::concurrency() const noexcept { return core_->concurrency(); }

}  // namespace v1
}  // namespace taskctx
