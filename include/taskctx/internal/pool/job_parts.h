// SPDX-License-Identifier: Apache-2.0
//
// What a job consists of, apart from its code and its result: the stage that it is in, what links
// it with others, what is to happen at its end, and what few jobs have. JobState has one of each.

#ifndef TASKCTX_INTERNAL_POOL_JOB_PARTS_H_
#define TASKCTX_INTERNAL_POOL_JOB_PARTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "taskctx/internal/core/ending.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class JobState;
class LaneLock;  // See job_list.h: what takes one needs the lock of the job's lane.

// What is to happen when a job has ended. It is linked into the job, so adding it allocates
// nothing; it must live until it fires, which it does exactly once, on the thread that ended the
// job or, if the job has ended already, on the one that adds it.
struct Continuation {
  void (*fire)(Continuation* self) noexcept;
  Continuation* next = nullptr;
};

// What few jobs have.
struct JobExtras {
  std::shared_ptr<const std::string> name;  // nullptr if it has none. Its link has it, too.
  std::atomic<std::uint64_t> id{0};         // See JobState::id().
  std::int64_t queued_at = 0;               // In ns, if the pool has an accountant.
  bool keeps_context = false;               // JobOptions::keep_context
};

// The stages of a job's life. They change with the lock of the job's lane, in these functions of
// PoolCore only (finish() is JobState's):
//
//   made     the beginning
//   waiting  accept_waiting(); suspend()
//   queued   accept(); make_ready(); suspend(), if woken already; requeue_bulk();
//            begin_to_cancel() and break_circle(), of a suspended coroutine
//   running  accept(), accept_running(), accept_or_end(): the caller runs or ends it; try_begin();
//            begin_queued(); begin_or_look(); begin_to_cancel(), to end it; end_share(), of a bulk
//   ended    take_out(), called by finish()
enum class Stage : std::uint8_t {
  made,     // Not yet in the pool.
  waiting,  // For other jobs, or for its time: in its lane's list of those.
  queued,   // Nobody has begun it; of a bulk: there are elements that nobody has begun.
  running,
  ended,
};

// Is told what a waiting job waits for.
class Missing {
 public:
  // `job` has not ended. `is_choice`: another one's end would do as well.
  virtual void add(const LaneLock& lock, JobState* job, bool is_choice) noexcept = 0;

 protected:
  ~Missing() = default;
};

// The small parts of a job. A base class, because that fills a gap behind Workplace.
struct JobMarks {
  explicit JobMarks(std::uint16_t its_lane, bool can_be_shared) noexcept
      : is_bulk(can_be_shared), lane(its_lane) {}

  // What keeps the pool: see PoolCore::hold().
  enum class Hold : std::uint8_t { nothing, by_lane, by_reference };

  // These are guarded by the lane's lock.
  Stage stage = Stage::made;
  bool is_woken : 1 = false;    // What the job is about to wait for has come already.
  bool is_due : 1 = false;      // It is to be queued, or is, among those whose time has come.
  bool has_context : 1 = true;  // It has not let go of it.

  bool : 0;                  // Another place in memory.
  bool may_hold : 1 = true;  // Other jobs and contexts, in what the derived class adds.
  const bool is_bulk : 1;    // Many threads may perform it.
  Hold hold : 2 = Hold::nothing;
  bool has_ledger = false;  // Written by the thread that runs the job.
  const std::uint16_t lane;
};

// What links a job with others: in its lane's list, and when it is in none any more and ends, with
// what ends on the same thread (ending.h).
struct JobLinks {
  struct Neighbours {
    JobState* previous;
    JobState* next;
  };
  JobLinks() noexcept : in_list{nullptr, nullptr} {}
  JobLinks(const JobLinks&) = delete;
  JobLinks& operator=(const JobLinks&) = delete;
  ~JobLinks() = default;

  union {
    Neighbours in_list;  // Guarded by the lane's lock.
    Mortal at_end;
  };
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_JOB_PARTS_H_
