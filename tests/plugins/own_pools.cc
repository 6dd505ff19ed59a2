// SPDX-License-Identifier: Apache-2.0

#include "tests/plugins/own_pools.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"

namespace {

using taskctx::Job;
using taskctx::JobPool;

taskctx::Task<int> wait_for(Job<int> job) { co_return co_await std::move(job); }

const taskctx_test::OwnPools own_pools{
    .make =
        [](int concurrency) {
          return std::make_unique<JobPool>(taskctx::JobPoolOptions{.concurrency = concurrency});
        },
    .destroy = [](std::unique_ptr<JobPool> pool) { pool.reset(); },
    .submit = [](JobPool& pool, std::function<int()> function) -> Job<int> {
      return pool.submit(std::move(function));
    },
    .submit_after = [](JobPool& pool, absl::Duration delay, std::function<int()> function)
        -> Job<int> { return pool.submit_after(delay, std::move(function)); },
    .spawn = [](JobPool& pool, Job<int> job) { return pool.spawn(wait_for(std::move(job))); },
    .get = [](Job<int> job) { return job.get(); },
    .wait_for = [](const Job<int>& job, absl::Duration limit) { return job.wait_for(limit); },
    .cancel = [](const Job<int>& job) { return job.cancel(); },
    .post = [](std::function<void()> function) { taskctx::default_pool().post(function); },
};

}  // namespace

const taskctx_test::OwnPools* plugin_own_pools() { return &own_pools; }
