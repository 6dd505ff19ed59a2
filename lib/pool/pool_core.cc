// SPDX-License-Identifier: Apache-2.0
//
// The pool's lists of jobs: how a job gets from stage to stage, and what gets it a thread: a
// shell (pool_shells.cc), a call (due_jobs.cc), a thread that waits (job_wait.cc).

#include "taskctx/internal/pool/pool_core.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "lib/pool/parking.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Multiples of the golden ratio: they are spread evenly over the lanes, and so is every second or
// third of them, where a thread submits to several pools in turn.
constexpr std::uint32_t kGolden = 0x9e37'79b9;  // Of 2^32.

// What a thread has made last.
struct Made {
  std::uint32_t turn;
  const JobState* job;  // May be gone.
};
constinit thread_local Made last_made{};

// After so many due jobs one begins that is queued: due jobs can't keep it waiting forever.
constexpr std::uint32_t kMostDueInARow = 16;

}  // namespace

std::uint16_t PoolCore::next_lane(const JobState* job) const noexcept {
  last_made.turn += kGolden;
  last_made.job = job;
  return static_cast<std::uint16_t>(std::uint64_t{last_made.turn} * (lane_mask_ + 1) >> 32);
}

Lane& PoolCore::lane_of(const JobState* job) const noexcept { return lanes_[job->lane]; }

void PoolCore::push_queued(const LaneLock& lock, JobState* job) noexcept {
  Lane& lane = lock.lane();
  job->stage = Stage::queued;
  if (job->is_due) [[unlikely]] {
    lane.due.push_back(job);
    due_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  lane.queued.push_back(job);
  lane.has_queued.store(true, std::memory_order_relaxed);
}

void PoolCore::erase_queued(const LaneLock& lock, JobState* job) noexcept {
  Lane& lane = lock.lane();
  if (job->is_due) [[unlikely]] {
    job->is_due = false;
    lane.due.erase(job);
    due_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  lane.queued.erase(job);
  lane.has_queued.store(lane.queued.size() != 0, std::memory_order_relaxed);
}

void PoolCore::push_running(const LaneLock& lock, JobState* job) noexcept {
  job->stage = Stage::running;
  lock.lane().running.push_back(job);
}

void PoolCore::begin_queued(const LaneLock& lock, JobState* job) noexcept {
  if (job->is_bulk && job->join(lock)) [[unlikely]] {
    return;  // There is work for more threads.
  }
  erase_queued(lock, job);
  push_running(lock, job);
}

bool PoolCore::try_hold(const LaneLock& /*lock*/, JobState* job) noexcept {
  if ((flags_.load(std::memory_order_relaxed) & kClosed) != 0) [[unlikely]] {
    return false;
  }
  job->hold = JobMarks::Hold::by_lane;
  return true;
}

void PoolCore::hold(const LaneLock& /*lock*/, JobState* job) noexcept {
  const bool is_late = is_over();
  if (is_late) {
    (void)add_ref();
  }
  job->hold = is_late ? JobMarks::Hold::by_reference : JobMarks::Hold::by_lane;
}

void PoolCore::let_go(std::uint16_t lane, std::uint64_t jobs) noexcept {
  // Releases what was done with the job to end_if_quiet(), which may count the others' references.
  if ((lanes_[lane].gone.fetch_add(jobs, std::memory_order_release) & kLate) != 0) [[unlikely]] {
    for (; jobs != 0; --jobs) {
      release();  // NOLINT(clang-analyzer-cplusplus.NewDelete): it counts no references
    }
  }
}

// Another thread may have run and deleted the job as soon as it is in the queue.
void PoolCore::accept(JobState* job, Admission& admission) {
  Lane& lane = lane_of(job);
  bool needs_shell = false;
  {
    const LaneLock lock(lane);
    if (!try_hold(lock, job)) {
      admission.is_refused_ = true;
    } else if (admission.runs_here_ && !job->is_bulk) [[unlikely]] {
      push_running(lock, job);
    } else {
      if (admission.is_counted_) [[unlikely]] {
        job->bits_.fetch_or(JobState::kCounted, std::memory_order_relaxed);
        admission.is_counted_ = false;
      }
      push_queued(lock, job);
      // With the lock: pairs with run_jobs(). A shell that goes subtracts itself, and then looks
      // here with the lock: if we still count it, it will find this job.
      needs_shell = shells_.load(std::memory_order_acquire) < concurrency_;
    }
  }
  if (admission.is_refused_) [[unlikely]] {
    refuse_late(job);
  } else if (admission.runs_here_) [[unlikely]] {
    const AtWork at_work(this);
    if (job->is_bulk) {
      job->help(this, Deadline());
    } else {
      perform_apart(job);
    }
  } else if (needs_shell) {
    add_shell();
  }
}

void PoolCore::refuse_late(JobState* job) {
  struct Release {
    ~Release() { job->release(); }
    JobState* job;
  };
  // After the name's last use, whether there is memory for it or not.
  const Release release{job};  // NOLINT(clang-analyzer-deadcode.DeadStores)
  refuse("submit job", job->name());
}

void PoolCore::accept_waiting(JobState* job) {
  Lane& lane = lane_of(job);
  {
    const LaneLock lock(lane);
    if (try_hold(lock, job)) {
      // Nobody else knows the job yet.
      job->bits_.store(job->bits_.load(std::memory_order_relaxed) | JobState::kMayWait,
                       std::memory_order_relaxed);
      job->stage = Stage::waiting;
      lane.waiting.push_back(job);
      return;
    }
  }
  refuse_late(job);
}

void PoolCore::accept_running(JobState* job) {
  Lane& lane = lane_of(job);
  {
    const LaneLock lock(lane);
    if (try_hold(lock, job)) {
      job->bits_.fetch_or(JobState::kCall, std::memory_order_relaxed);
      push_running(lock, job);
      return;
    }
  }
  refuse_late(job);
}

void PoolCore::accept_or_end(JobState* job) noexcept {
  const HeldJob held(job);
  bool is_accepting = false;
  try {
    Admission admission(*this, nullptr);
    is_accepting = true;
    accept(job, admission);
  } catch (...) {
    if (is_accepting) {
      job->add_ref();  // In the place of the one that accept() has dropped.
    }
    Lane& lane = lane_of(job);
    {
      const LaneLock lock(lane);
      hold(lock, job);
      push_running(lock, job);
    }
    job->mark_seen();  // Its handle tells of it, and nobody else.
    job->end_without_result(JobState::kFailed, std::current_exception());
  }
}

void PoolCore::move_aside(JobState* job, Stage stage) noexcept {
  const LaneLock lock(lane_of(job));
  if (job->stage == Stage::made) {
    hold(lock, job);
    lock.lane().aside += job->hold == JobMarks::Hold::by_lane ? 1 : 0;
  }
  job->stage = stage;
}

bool PoolCore::suspend(JobState* job, JobState* awaited) noexcept {
  Lane& lane = lane_of(job);
  std::optional<std::uint32_t> shell;
  LinkRef old;
  {
    const LaneLock lock(lane);
    lane.running.erase(job);
    if (job->is_woken) {
      job->is_woken = false;
    } else if (!job->is_interrupted() || !job->interrupt(lock) || !job->take_interrupt(lock, old)) {
      job->stage = Stage::waiting;
      lane.waiting.push_back(job);
      // The coroutine has a handle of what it awaits, and can't be resumed before we unlock.
      if (awaited == nullptr || !job->may_be_awaited() || !awaited->may_wait()) {
        return false;
      }
      job->add_ref();
      awaited->add_ref();
      return true;
    }
    push_queued(lock, job);
    shell = reserve_shell();
  }
  start_shell(shell);
  unpark_helpers();
  return false;
}

bool PoolCore::break_circle(JobState* job, const JobState* awaited) noexcept {
  PoolCore* const core = job->pool();
  Lane& lane = core->lane_of(job);
  const LaneLock lock(lane);
  if (job->stage != Stage::waiting || !job->break_circle(lock, awaited)) {
    return false;
  }
  lane.waiting.erase(job);
  core->push_queued(lock, job);
  return true;
}

void PoolCore::resume_early() noexcept {
  add_shell();
  unpark_helpers();
}

void PoolCore::make_ready(JobState* job, bool is_due) noexcept {
  Lane& lane = lane_of(job);
  std::optional<std::uint32_t> shell;
  {
    const LaneLock lock(lane);
    if (job->stage != Stage::waiting) {
      job->is_woken = true;  // For suspend().
      return;
    }
    lane.waiting.erase(job);
    job->is_due = is_due;
    push_queued(lock, job);
    shell = reserve_shell();
    if (is_due) {
      reserve_call();
    }
  }
  if (is_due) {
    start_call();
  }
  if (shell) {  // Or we may be gone: a shell has a reference.
    // Last: without memory, this thread may have to run the job.
    start_shell(shell);  // NOLINT(clang-analyzer-cplusplus.NewDelete): it counts no references
  }
  unpark_helpers();
}

bool PoolCore::wake_early(JobState* job, bool (*withdraw)(const LaneLock& lock, void*),
                          void* argument) noexcept {
  Lane& lane = lane_of(job);
  std::optional<std::uint32_t> shell;
  {
    const LaneLock lock(lane);
    if (job->stage == Stage::queued || job->stage == Stage::ended) {
      return true;
    }
    if (job->stage != Stage::waiting || !withdraw(lock, argument)) {
      return false;
    }
    lane.waiting.erase(job);
    push_queued(lock, job);
    shell = reserve_shell();
  }
  start_shell(shell);
  unpark_helpers();
  return true;
}

bool PoolCore::try_begin(JobState* job) noexcept {
  {
    const LaneLock lock(lane_of(job));
    if (job->stage != Stage::queued || job->is_bulk || is_forked()) {
      return false;
    }
    erase_queued(lock, job);
    push_running(lock, job);
  }
  give_room_of(job);
  return true;
}

PoolCore::Found PoolCore::begin_or_look(JobState* job, PoolCore* here, Missing& missing) noexcept {
  PoolCore* const core = job->pool();
  Lane& lane = core->lane_of(job);
  {
    const LaneLock lock(lane);
    const bool can_begin = job->stage == Stage::queued ||
                           (job->stage == Stage::waiting && job->can_begin(lock, missing));
    if (!can_begin || core != here) {
      // A coroutine may yet wait, wherever it is now, for what only we can run.
      return job->stage == Stage::waiting && !can_begin         ? Found::missing
             : job->may_suspend() && job->stage != Stage::ended ? Found::missing
                                                                : Found::nothing;
    }
    if (job->stage == Stage::queued) {
      core->begin_queued(lock, job);
    } else {
      lane.waiting.erase(job);
      core->push_running(lock, job);
    }
  }
  core->give_room_of(job);
  if (job ==
      last_made.job) {  // The lane is still in this thread's cache: the next job may have it.
    last_made.job = nullptr;
    last_made.turn -= kGolden;
  }
  return Found::begun;
}

bool PoolCore::begin_to_cancel(JobState* job, LinkRef* created) noexcept {
  Lane& lane = lane_of(job);
  bool is_taken = true;
  {
    const LaneLock lock(lane);
    const bool is_waiting = job->stage == Stage::waiting;
    if ((!is_waiting && job->stage != Stage::queued) || job->has_begun(lock)) {
      if (created == nullptr || job->stage == Stage::ended) {
        return false;
      }
      if (!is_waiting || !job->interrupt(lock)) {
        // Both seq_cst: pair with JobState::link(), which makes a link, and then looks for the bit.
        job->bits_.fetch_or(JobState::kInterrupted, std::memory_order_seq_cst);
        *created = LinkRef::share(job->link_.load(std::memory_order_seq_cst));
        if (created->get() != nullptr) {  // The job may end before the caller comes to cancel that.
          cancel_link(*created).expect_cancel();
        }
        return false;
      }
      *created = job->take_link(lock);
      is_taken = false;
    }
    if (is_waiting) {
      lane.waiting.erase(job);
    } else {
      erase_queued(lock, job);
    }
    if (is_taken) {
      push_running(lock, job);
    } else {
      push_queued(lock, job);
    }
  }
  if (is_taken) {
    give_room_of(job);
  } else {
    resume_early();
  }
  return is_taken;
}

void PoolCore::requeue_bulk(JobState* job, void (*give)(const LaneLock& lock, void*),
                            void* argument) noexcept {
  Lane& lane = lane_of(job);
  std::optional<std::uint32_t> shell;
  {
    const LaneLock lock(lane);
    give(lock, argument);
    if (job->stage == Stage::queued) {
      return;
    }
    lane.running.erase(job);
    push_queued(lock, job);
    shell = reserve_shell();
  }
  start_shell(shell);
  unpark_helpers();
}

void PoolCore::count_ended(std::uint16_t lane) noexcept {
  // Both seq_cst, as in wait_until_quiet(): either we see the waiter, or it sees the job ended.
  lanes_[lane].over.fetch_add(1, std::memory_order_seq_cst);
  if (quiet_waiters_.load(std::memory_order_seq_cst) != 0) [[unlikely]] {
    tell_quiet_waiters();
  }
}

void PoolCore::count_over(std::uint16_t lane, std::uint64_t jobs) noexcept {
  lanes_[lane].over.fetch_add(jobs, std::memory_order_release);  // Nobody waits for just these.
}

JobState* PoolCore::pop(std::uint32_t& turn) noexcept {
  const bool has_due = due_.load(std::memory_order_relaxed) != 0;
  if (has_due && due_in_a_row_.load(std::memory_order_relaxed) < kMostDueInARow) [[unlikely]] {
    if (JobState* const job = pop_due(); job != nullptr) {
      return job;
    }
  }
  if (due_in_a_row_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    due_in_a_row_.store(0, std::memory_order_relaxed);
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[turn++ & lane_mask_];
    if (!lane.has_queued.load(std::memory_order_relaxed)) {
      continue;
    }
    JobState* job = nullptr;
    bool is_shared = false;
    {
      const LaneLock lock(lane);
      job = lane.queued.front();
      if (job == nullptr) {
        continue;
      }
      begin_queued(lock, job);
      is_shared = job->stage == Stage::queued;
    }
    give_room_of(job);
    if (is_shared && shells_.load(std::memory_order_relaxed) < concurrency_) [[unlikely]] {
      add_shell();
    }
    return job;
  }
  return has_due ? pop_due() : nullptr;
}

bool PoolCore::has_queued() noexcept {
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    const LaneLock lock(lanes_[i]);
    if (lanes_[i].due.size() + lanes_[i].queued.size() != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
