// SPDX-License-Identifier: Apache-2.0
//
// The pool's lists of jobs, and the shells that run them.

#include "taskctx/internal/pool/pool_core.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "lib/pool/pool_registry.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/parking.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

using Lock = oneapi::tbb::spin_mutex::scoped_lock;

// More don't pay: a lane is locked for a few instructions.
constexpr unsigned kMostLanes = 16;

// After so many jobs a shell gives the thread back to oneTBB, which may have something more urgent,
// and queues itself again.
constexpr int kShellBudget = 64;

// A clock that ticks every few ms and costs next to nothing.
std::int64_t ticks() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void terminate_on(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "taskctx: a job that nobody waits for threw: %s\n", exception.what());
  } catch (...) {
    std::fprintf(
        stderr,
        "taskctx: a job that nobody waits for threw something that is not a std::exception\n");
  }
  std::terminate();
}

oneapi::tbb::task_arena::priority priority_of(JobPriority priority) {
  switch (priority) {
    case JobPriority::low:
      return oneapi::tbb::task_arena::priority::low;
    case JobPriority::high:
      return oneapi::tbb::task_arena::priority::high;
    case JobPriority::normal:
      break;
  }
  return oneapi::tbb::task_arena::priority::normal;
}

int threads_of(const JobPoolOptions& options, oneapi::tbb::task_arena* arena) {
  if (arena != nullptr) {
    return workers_of(*arena);
  }
  return options.concurrency != 0 ? options.concurrency : oneapi::tbb::info::default_concurrency();
}

}  // namespace

int workers_of(const oneapi::tbb::task_arena& arena) noexcept {
  struct Arena : oneapi::tbb::task_arena {
    static int reserved(const oneapi::tbb::task_arena& arena) noexcept {
      return static_cast<int>(arena.*(&Arena::my_num_reserved_slots));
    }
  };
  const int slots = arena.max_concurrency();
  return slots == 1 ? 1 : slots - Arena::reserved(arena);  // Of one slot oneTBB makes two.
}

PoolCore::PoolCore(JobPoolOptions options, oneapi::tbb::task_arena* arena)
    : flags_(options.queue_capacity != 0 ? kBounded : 0),
      lane_mask_(
          std::bit_floor(std::min(static_cast<unsigned>(threads_of(options, arena)), kMostLanes)) -
          1),
      concurrency_(threads_of(options, arena)),
      lanes_(std::make_unique<Lane[]>(lane_mask_ + 1)),
      context_factory_(std::move(options.context_factory)),
      accountant_(std::move(options.attribution)),
      own_arena_(concurrency_, /*reserved_for_masters=*/0, priority_of(options.priority)),
      users_arena_(arena),
      handler_(options.exception_handler ? std::move(options.exception_handler)
                                         : ExceptionHandler(&terminate_on)),
      name_(std::move(options.name)),
      answers_group_(oneapi::tbb::task_group_context::isolated),
      when_full_(options.when_full),
      capacity_(options.queue_capacity) {
  const int threads = users_arena_ == nullptr ? concurrency_ : 0;
  PoolRegistry::get().add(this, threads);
  try {
    PoolCore::arena().initialize();
  } catch (...) {
    PoolRegistry::get().remove(this, threads);
    throw;
  }
}

PoolCore::~PoolCore() = default;

void PoolCore::push_queued(Lane& lane, JobState* job) noexcept {
  job->stage_ = Stage::queued;
  if (job->is_due_) [[unlikely]] {
    lane.due.push_back(job);
    due_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  lane.queued.push_back(job);
  lane.has_queued.store(true, std::memory_order_relaxed);
}

void PoolCore::erase_queued(Lane& lane, JobState* job) noexcept {
  if (std::exchange(job->is_due_, false)) [[unlikely]] {
    lane.due.erase(job);
    due_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  lane.queued.erase(job);
  lane.has_queued.store(lane.queued.size() != 0, std::memory_order_relaxed);
}

void PoolCore::push_running(Lane& lane, JobState* job) noexcept {
  job->stage_ = Stage::running;
  lane.running.push_back(job);
}

void PoolCore::begin_queued(Lane& lane, JobState* job) noexcept {
  if (job->is_bulk_ && job->join()) [[unlikely]] {
    return;  // There is work for more threads.
  }
  erase_queued(lane, job);
  push_running(lane, job);
}

bool PoolCore::count_submitted(Lane& lane) noexcept {
  if ((flags_.load(std::memory_order_relaxed) & kClosed) != 0) [[unlikely]] {
    return false;
  }
  lane.submitted.store(lane.submitted.load(std::memory_order_relaxed) + 1,
                       std::memory_order_release);
  return true;
}

// Another thread may have run and deleted the job as soon as it is in the queue.
void PoolCore::enter(JobState* job, Admission& admission) {
  Lane& lane = lane_of(job);
  bool needs_shell = false;
  {
    const Lock lock(lane.mutex);
    if (!count_submitted(lane)) {
      admission.is_refused_ = true;
    } else if (admission.runs_here_ && !job->is_bulk_) [[unlikely]] {
      push_running(lane, job);
    } else {
      if (admission.is_counted_) [[unlikely]] {
        job->bits_.fetch_or(JobState::kCounted, std::memory_order_relaxed);
        admission.is_counted_ = false;
      }
      push_queued(lane, job);
      needs_shell = shells_.load(std::memory_order_acquire) < concurrency_;
    }
  }
  if (admission.is_refused_) [[unlikely]] {
    refuse_entered(job);
  } else if (admission.runs_here_) [[unlikely]] {
    const AtWork at_work(this);
    if (job->is_bulk_) {
      help(*job, this, Deadline());
    } else {
      perform_apart(job);
    }
  } else if (needs_shell) {
    add_shell();
  }
}

PoolCore::Found PoolCore::begin_or_look(JobState* job, PoolCore* here, Missing& missing) noexcept {
  PoolCore* const core = job->pool();
  Lane& lane = core->lane_of(job);
  {
    const Lock lock(lane.mutex);
    const bool can_begin =
        job->stage_ == Stage::queued || (job->stage_ == Stage::waiting && job->can_begin(missing));
    if (!can_begin || core != here) {
      // A coroutine may yet wait, wherever it is now, for what only we can run.
      return job->stage_ == Stage::waiting && !can_begin         ? Found::missing
             : job->may_suspend() && job->stage_ != Stage::ended ? Found::missing
                                                                 : Found::nothing;
    }
    if (job->stage_ == Stage::queued) {
      core->begin_queued(lane, job);
    } else {
      lane.waiting.erase(job);
      core->push_running(lane, job);
    }
  }
  core->give_room_of(job);
  return Found::begun;
}

bool PoolCore::begin_to_cancel(JobState* job) noexcept {
  Lane& lane = lane_of(job);
  bool is_taken = true;
  {
    const Lock lock(lane.mutex);
    const bool is_waiting = job->stage_ == Stage::waiting;
    if ((!is_waiting && job->stage_ != Stage::queued) || job->has_begun()) {
      if (!is_waiting || !job->interrupt()) {
        job->bits_.fetch_or(JobState::kInterrupted, std::memory_order_relaxed);
        return false;
      }
      is_taken = false;
    }
    if (is_waiting) {
      lane.waiting.erase(job);
    } else {
      erase_queued(lane, job);
    }
    if (is_taken) {
      push_running(lane, job);
    } else {
      push_queued(lane, job);
    }
  }
  if (is_taken) {
    give_room_of(job);
  } else {
    add_shell();
    unpark_helpers();
  }
  return is_taken;
}

NodeRef PoolCore::leave(JobState* job, std::uint64_t Lane::*outcome, std::optional<NodeRef> left,
                        bool keeps_context) noexcept {
  Lane& lane = lane_of(job);
  const Lock lock(lane.mutex);
  lane.running.erase(job);
  job->stage_ = Stage::ended;
  ++(lane.*outcome);
  if (!keeps_context) [[likely]] {
    job->has_context_ = false;
    return std::exchange(job->context_, NodeRef());
  }
  return left ? std::exchange(job->context_, *std::move(left)) : NodeRef();
}

void PoolCore::count_ended(std::uint16_t lane) noexcept {
  lanes_[lane].ended.fetch_add(1, std::memory_order_seq_cst);
  if (quiet_waiters_.load(std::memory_order_seq_cst) != 0) [[unlikely]] {
    tell_quiet_waiters();
  }
}

// Counts one more shell, if there is a thread for it.
bool PoolCore::count_shell() noexcept {
  int shells = shells_.load(std::memory_order_relaxed);
  while (shells < concurrency_) {
    if (shells_.compare_exchange_weak(shells, shells + 1, std::memory_order_acq_rel)) {
      return true;
    }
  }
  return false;
}

std::optional<std::uint32_t> PoolCore::reserve_shell() noexcept {
  if (!count_shell()) {
    return std::nullopt;
  }
  enqueuing_.fetch_add(1, std::memory_order_seq_cst);
  return add_ref();
}

// While we are counted in enqueuing_, ours is not the last reference: what goes with that is not
// destroyed on the thread of whoever wakes a job.
void PoolCore::start_shell(std::optional<std::uint32_t> turn) noexcept {
  if (!turn) {
    return;
  }
  bool runs_here = false;
  give_ticket();
  if (const Enqueued enqueued = enqueue_shell(*turn); enqueued != Enqueued::yes) {
    if (enqueued == Enqueued::but_none_may_come) {
      (void)add_ref();
    }
    // Another shell runs what is queued, if there is one; or else we do.
    runs_here = take_ticket() && shells_.fetch_sub(1, std::memory_order_acq_rel) == 1 &&
                !is_forked() && has_queued() && count_shell();
    if (!runs_here) {
      release();
    }
  }
  enqueuing_.fetch_sub(1, std::memory_order_release);
  if (runs_here) {
    apart([this, turn] { run_shell(*turn); });
  }
}

// What the arena is given. Tells when it has been copied: oneTBB has the memory for a task then.
struct PoolCore::Shell {
  Shell(PoolCore* its_core, std::uint32_t its_turn, bool* copied) noexcept
      : core(its_core), turn(its_turn), is_copied(copied) {}
  Shell(const Shell& other) noexcept : Shell(other.core, other.turn, other.is_copied) {
    *is_copied = true;
  }
  Shell& operator=(const Shell&) = delete;
  ~Shell() = default;
  void operator()() const {
    core->shells_group_.store(oneapi::tbb::task::current_context(), std::memory_order_relaxed);
    core->run_enqueued_shell(turn);
  }

  PoolCore* core;
  std::uint32_t turn;
  bool* is_copied;  // Of the call that enqueues: not to be used behind that.
};

// The arena may be gone as soon as the pool is closed, so finalize() waits for those who are
// counted in enqueuing_: either it sees us there, or we see that the pool is closed.
PoolCore::Enqueued PoolCore::enqueue_shell(std::uint32_t turn) noexcept {
  if ((flags_.load(std::memory_order_seq_cst) & (kFinal | kForked)) != 0) {
    return Enqueued::no;
  }
  bool is_copied = false;
  try {
    arena().enqueue(Shell(this, turn, &is_copied));
    return Enqueued::yes;
  } catch (...) {  // No memory, or no thread. oneTBB starts a thread after it has queued the task.
    return is_copied ? Enqueued::but_none_may_come : Enqueued::no;
  }
}

bool PoolCore::take_ticket() noexcept {
  std::uint64_t tickets = tickets_.load(std::memory_order_acquire);
  while (static_cast<std::uint32_t>(tickets) != 0) {
    if (tickets_.compare_exchange_weak(tickets, tickets - 1 + kTaken, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

// There is no ticket if another has taken it, or enqueue_shell() said that none may come.
void PoolCore::run_enqueued_shell(std::uint32_t turn) noexcept {
  if (take_ticket() || count_shell()) [[likely]] {
    run_shell(turn);
  } else {
    release();
  }
}

void PoolCore::perform_apart(JobState* job) noexcept {
  job->pool()->apart([job] { job->perform(); });
}

// Nobody cancels the groups of the shells and answers, nor what is outside all groups.
bool PoolCore::is_apart() const noexcept {
  const void* const group = oneapi::tbb::task::current_context();
  return group == nullptr || group == shells_group_.load(std::memory_order_relaxed) ||
         group == &answers_group_;
}

// Allocates nothing. Waits for nothing: oneTBB runs the one task at once, and isolated, so that no
// other comes in between.
void PoolCore::run_apart(void (*function)(void*), void* argument) noexcept {
  oneapi::tbb::this_task_arena::isolate([function, argument] {
    using Context = oneapi::tbb::task_group_context;
    Context context(Context::isolated);
    oneapi::tbb::task_group(context).run_and_wait([function, argument] { function(argument); });
  });
}

JobState* PoolCore::pop(std::uint32_t& turn) noexcept {
  if (due_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    if (JobState* const job = pop_due(); job != nullptr) {
      return job;
    }
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[turn++ & lane_mask_];
    if (!lane.has_queued.load(std::memory_order_relaxed)) {
      continue;
    }
    JobState* job = nullptr;
    bool is_shared = false;
    {
      const Lock lock(lane.mutex);
      job = lane.queued.front();
      if (job == nullptr) {
        continue;
      }
      begin_queued(lane, job);
      is_shared = job->stage_ == Stage::queued;
    }
    give_room_of(job);
    if (is_shared && shells_.load(std::memory_order_relaxed) < concurrency_) [[unlikely]] {
      add_shell();
    }
    return job;
  }
  return nullptr;
}

bool PoolCore::has_queued() noexcept {
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    const Lock lock(lanes_[i].mutex);
    if (lanes_[i].due.size() + lanes_[i].queued.size() != 0) {
      return true;
    }
  }
  return false;
}

bool PoolCore::requeue_shell(std::uint32_t turn) noexcept {
  enqueuing_.fetch_add(1, std::memory_order_seq_cst);
  give_ticket();
  bool is_shell = false;
  if (enqueue_shell(turn) == Enqueued::no) {  // If none may come: this thread will look for it.
    is_shell = take_ticket();
    if (!is_shell) {
      release();  // Not the last one, as start_shell() says.
    }
  }
  enqueuing_.fetch_sub(1, std::memory_order_release);
  return !is_shell;
}

void PoolCore::run_shell(std::uint32_t turn) noexcept {
  if (run_jobs(turn)) {
    release();
  }
}

// Returns false if the shell is queued again, with its reference.
bool PoolCore::run_jobs(std::uint32_t turn) noexcept {
  Installed at_work(&empty_node, Origin::pool(this));
  int budget = kShellBudget;
  const std::int64_t began = ticks();
  while (true) {
    JobState* const job = pop(turn);
    if (job == nullptr) {
      if (is_forked()) [[unlikely]] {
        leave_child();
      }
      shells_.fetch_sub(1, std::memory_order_acq_rel);
      if (!has_queued() || !count_shell()) {
        return true;
      }
      continue;
    }
    job->perform();
    at_work.renew(&empty_node);  // What destructors have set is gone.
    if ((--budget <= 0 || ticks() != began) && requeue_shell(turn)) {
      return false;
    }
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
