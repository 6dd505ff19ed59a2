// SPDX-License-Identifier: Apache-2.0
//
// JobPoolStats: what a pool is doing, as numbers. UnfinishedJob: what it could not finish.
//
//   const taskctx::JobPoolStats now = pool.stats();
//   gauge("queued", now.queued);
//   for (const auto& job : pool.shutdown(absl::Seconds(5))) { log(job.name); }

#ifndef TASKCTX_JOB_STATS_H_
#define TASKCTX_JOB_STATS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "taskctx/errors.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// A bulk counts as one job. The parts are read one after the other: while jobs come and go, they
// may be a few jobs apart.
struct JobPoolStats {
  int threads = 0;          // How many may run jobs now: also oneTBB's own limit counts.
  std::size_t queued = 0;   // Nobody has begun them.
  std::size_t waiting = 0;  // For other jobs, or for their time.
  std::size_t running = 0;
  std::uint64_t succeeded = 0;  // Ended with a result.
  std::uint64_t failed = 0;     // Ended by an exception.
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;   // Never began: their time was over (cancel.h).
  std::uint64_t rejected = 0;  // Found the queue full.
};

// A job that had not ended when shutdown() returned.
struct UnfinishedJob {
  std::uint64_t id = 0;
  std::string name;
  bool has_begun = false;  // It was asked to end, and still runs. If not, it never will.
  SourcePlace place = {};  // Where it was submitted; line 0 if that is not known (Job::place()).
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_JOB_STATS_H_
