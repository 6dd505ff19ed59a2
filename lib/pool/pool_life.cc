// SPDX-License-Identifier: Apache-2.0
//
// The life of a pool beside running jobs: its birth, the admission of jobs and their contexts,
// numbers, and its end, by drain(), shutdown() and the destructor.

#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "lib/cancel/timed_wait.h"
#include "lib/pool/pool_arena.h"
#include "lib/pool/pool_registry.h"
#include "taskctx/context.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/internal/pool/queue_limit.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace {

// A lane is locked for a few instructions: more lanes don't pay.
constexpr unsigned kMostLanes = 16;

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

// Wakes a thread that waits for room, if that is to stop.
class RoomListener final : private CancelListener {
 public:
  RoomListener(std::mutex& mutex, std::condition_variable& changed)
      : CancelListener(Kind::job), mutex_(mutex), changed_(changed), link_(capture_link()) {
    if (link_.get() != nullptr) {
      cancel_link(link_).listen(*this);
    }
  }
  ~RoomListener() override {
    if (link_.get() != nullptr) {
      cancel_link(link_).ignore(*this);
    }
  }

  // With the mutex.
  [[nodiscard]] bool has_fired() const noexcept { return has_fired_; }

 private:
  void fire() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      has_fired_ = true;
    }
    changed_.notify_all();
  }

  std::mutex& mutex_;
  std::condition_variable& changed_;
  const LinkRef link_;
  bool has_fired_ = false;
};

}  // namespace

PoolCore::PoolCore(JobPoolOptions options, std::unique_ptr<PoolArena> arena)
    : flags_(options.queue_capacity != 0 ? kBounded : 0),
      lane_mask_(std::bit_floor(std::min(static_cast<unsigned>(arena->threads()), kMostLanes)) - 1),
      concurrency_(arena->threads()),
      lanes_(std::make_unique<Lane[]>(lane_mask_ + 1)),
      context_factory_(std::move(options.context_factory)),
      accountant_(std::move(options.attribution)),
      arena_(std::move(arena)),
      handler_(options.exception_handler ? std::move(options.exception_handler)
                                         : ExceptionHandler(&terminate_on)),
      name_(std::move(options.name)),
      limit_(options.queue_capacity, options.when_full, mutex_, changed_) {
  const int threads = arena_->is_own() ? concurrency_ : 0;
  PoolRegistry::get().add(this, threads);
  try {
    arena_->get().initialize();
  } catch (...) {
    PoolRegistry::get().remove(this, threads);
    throw;
  }
}

PoolCore::~PoolCore() = default;

NodeRef PoolCore::made_by(const ContextFactory& factory) {
  NodeRef inherited = capture();
  if (inherited.get() == &empty_node) {
    return ContextAccess::node(factory(nullptr));
  }
  const Context parent = ContextAccess::make(std::move(inherited));
  return ContextAccess::node(factory(&parent));
}

NodeRef PoolCore::chosen_context(const JobOptions& options) {
  const bool is_made = static_cast<bool>(options.context_factory);
  if (static_cast<int>(options.context.has_value()) + static_cast<int>(options.detached) +
          static_cast<int>(is_made) >
      1) {
    throw std::invalid_argument(
        "cannot submit job '" + options.name +
        "': more than one of context, detached and context_factory is given");
  }
  if (options.context) {
    return ContextAccess::node(*options.context);
  }
  if (options.detached) {
    return {};
  }
  return is_made            ? made_by(options.context_factory)
         : context_factory_ ? made_by(context_factory_)
                            : capture();
}

std::unique_ptr<JobExtras> PoolCore::make_extras(const JobOptions* options) {
  if (accountant_ == nullptr && options->name.empty() && !options->keep_context) {
    return nullptr;
  }
  auto extras = std::make_unique<JobExtras>();
  if (options != nullptr) {
    if (!options->name.empty()) {
      extras->name = std::make_shared<const std::string>(options->name);
    }
    extras->keeps_context = options->keep_context;
  }
  if (accountant_ != nullptr) {
    extras->queued_at = now_ns();
  }
  return extras;
}

void PoolCore::refuse(const char* verb, std::string_view name) const {
  const bool is_forked = (flags_.load(std::memory_order_relaxed) & kForked) != 0;
  throw JobError(std::string("cannot ") + verb +
                 (name.empty() ? "" : " '" + std::string(name) + "'") +
                 (is_forked ? ": this process was forked from the pool's; call exec after fork"
                            : ": the pool was shut down"));
}

void PoolCore::admit(Admission& admission, const JobOptions* options) {
  const std::uint32_t flags = flags_.load(std::memory_order_relaxed);
  const std::string_view name = name_in(options);
  if ((flags & (kClosed | kForked)) != 0) {
    refuse("submit job", name);
  }
  if (limit_.take()) {
    admission.is_counted_ = true;
    return;
  }
  if (limit_.when_full() == WhenFull::reject) {
    limit_.refuse(name, name_);
  }
  if (limit_.when_full() == WhenFull::run_in_caller) {
    admission.runs_here_ = true;
    return;
  }
  if (is_at_work_here()) {
    return;  // Over the limit: a thread that waited here could be the one that makes room.
  }
  const std::string verb = "submit job" + (name.empty() ? "" : " '" + std::string(name) + "'");
  check_stopping(verb);
  bool is_stopping = false;
  {
    RoomListener listener(mutex_, changed_);
    const BlockedThread blocked;
    admission.is_counted_ = limit_.wait([&] {
      is_stopping = listener.has_fired();
      return is_stopping || (flags_.load(std::memory_order_relaxed) & kClosed) != 0;
    });
  }
  if (!admission.is_counted_) {
    if (is_stopping) {
      throw_cancelled(verb);
    }
    refuse("submit job", name);
  }
}

JobPoolStats PoolCore::stats() const {
  JobPoolStats stats;
  // In a forked process oneTBB's lock may be held by a thread that is not there.
  if (!is_forked()) {
    using Control = oneapi::tbb::global_control;
    const std::size_t allowed = Control::active_value(Control::max_allowed_parallelism);
    stats.threads = static_cast<int>(
        std::min(static_cast<std::size_t>(concurrency_), std::max<std::size_t>(allowed, 2) - 1));
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[i];
    const LaneLock lock(lane);
    stats.queued += lane.due.size() + lane.queued.size();
    stats.waiting += lane.waiting.size();
    stats.running += lane.running.size();
    stats.succeeded += lane.succeeded;
    stats.failed += lane.failed;
    stats.cancelled += lane.cancelled;
    stats.expired += lane.expired;
  }
  stats.rejected = limit_.rejected();
  return stats;
}

bool PoolCore::is_quiet() const noexcept {
  // First what has ended: then equal sums mean that there was a moment with nothing left, for what
  // a job submits is counted before the job has ended.
  std::uint64_t over = 0;
  std::uint64_t submitted = 0;
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    over += lanes_[i].over.load(std::memory_order_seq_cst);  // Pairs with count_ended().
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    const LaneLock lock(
        lanes_[i]);  // What a job has submitted came before its own end, seen above.
    submitted += lanes_[i].submitted();
  }
  return over == submitted;
}

void PoolCore::tell_quiet_waiters() noexcept {
  std::unique_lock lock(mutex_);
  changed_.notify_all();
  if (is_orphaned_ && end_if_quiet()) {
    is_orphaned_ = false;
    lock.unlock();
    finalize();
  }
}

// No job will ever come from here on if nothing is left: tasks that jobs have left behind may be
// submitting at this very moment, and get to know that by the lane's lock.
bool PoolCore::end_if_quiet() noexcept {
  lock_lanes();
  std::uint64_t left = 0;
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    // Acquires what was done in the jobs; pairs with count_ended().
    left += lanes_[i].submitted() - lanes_[i].over.load(std::memory_order_acquire);
  }
  const bool is_over = left == 0;
  if (is_over) {
    flags_.fetch_or(kClosed | kFinal, std::memory_order_seq_cst);  // Handles may outlive the pool.
    constexpr std::uint64_t kMany = kLate >> 1U;
    add_refs(kMany);  // Before the first of them can be dropped.
    std::uint64_t alive = 0;
    for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
      Lane& lane = lanes_[i];
      // Acquires what let_go() has released.
      alive += lane.taken_out() + lane.aside - lane.gone.fetch_or(kLate, std::memory_order_acq_rel);
    }
    drop_refs(kMany - alive);  // Not all of them: finalize() drops one more.
  }
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    lanes_[i].mutex.unlock();
  }
  return is_over;
}

bool PoolCore::wait_until_quiet(Deadline deadline) {
  // Before we look: count_ended() sees that we wait, or we see what it has counted.
  quiet_waiters_.fetch_add(1, std::memory_order_seq_cst);
  bool is_over = true;
  if (!is_quiet()) {
    const BlockedThread blocked;
    std::unique_lock lock(mutex_);
    while (!is_quiet()) {
      if (!wait_on(changed_, lock, deadline)) {
        is_over = is_quiet();
        break;
      }
    }
  }
  quiet_waiters_.fetch_sub(1, std::memory_order_relaxed);
  return is_over;
}

bool PoolCore::drain(Deadline deadline) {
  check_not_forked("drain pool", name_);
  if (is_at_work_here()) {
    throw JobError("cannot drain pool '" + name_ + "': one of its own jobs would wait for itself");
  }
  return wait_until_quiet(deadline);
}

std::vector<UnfinishedJob> PoolCore::shutdown(Deadline deadline) {
  check_not_forked("shut down pool", name_);
  if (is_at_work_here()) {
    throw JobError("cannot shut down pool '" + name_ +
                   "': one of its own jobs would wait for itself");
  }
  // A thread that waits for room reads it with mutex_, and sees it once we have had that. Other
  // threads may see it a little later: it is as if they had submitted before.
  flags_.fetch_or(kClosed, std::memory_order_seq_cst);
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();  // Threads that wait for room get an error.
  if (wait_until_quiet(deadline)) {
    return {};
  }
  const std::vector<HeldJob> jobs = unended_jobs();
  std::vector<UnfinishedJob> unfinished;
  unfinished.reserve(jobs.size());
  for (const HeldJob& job : jobs) {  // What needs memory comes before the first is cancelled.
    unfinished.push_back({job->id(), std::string(job->name()), /*has_begun=*/true, job->place()});
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    unfinished[i].has_begun = !jobs[i]->cancel();
    if (!unfinished[i].has_begun || !jobs[i]->is_done()) {
      std::swap(unfinished[kept++], unfinished[i]);
    }
  }
  unfinished.resize(kept);
  return unfinished;
}

std::vector<HeldJob> PoolCore::unended_jobs() {
  std::vector<HeldJob> jobs;
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[i];
    bool is_complete = false;
    while (!is_complete) {
      const std::size_t begin = jobs.size();
      std::size_t size = 0;
      {
        const LaneLock lock(lane);
        for (const JobList* list : lock.lists()) {
          size += list->size();
        }
        is_complete = jobs.capacity() >= begin + size;
        if (is_complete) {  // No allocation with the lock.
          for (const JobList* list : lock.lists()) {
            for (JobState* job = list->front(); job != nullptr; job = JobList::after(job)) {
              jobs.emplace_back(job);
            }
          }
        }
      }
      if (!is_complete) {
        jobs.reserve(std::max(begin + size, 2 * begin));
      }
    }
  }
  return jobs;
}

void PoolCore::close() noexcept {
  if ((flags_.load(std::memory_order_relaxed) & kForked) != 0) {
    return;  // Nothing of it can end here, nor be freed.
  }
  if (is_at_work_here()) {
    // Not as a mistake that aborts: it may be that the job ends the program.
    report_loss("cannot destroy pool: one of its own jobs would wait for itself");
    leave_to_last_job();
    return;
  }
  do {
    if (!wait_for_all()) {
      report_what_is_lost("they may wait for that");
      leave_to_last_job();
      return;
    }
  } while (!end_if_quiet());
  finalize();
}

void PoolCore::leave_to_last_job() noexcept {
  // As wait_until_quiet() does: pairs with count_ended().
  quiet_waiters_.fetch_add(1, std::memory_order_seq_cst);
  {
    const std::lock_guard lock(mutex_);
    is_orphaned_ = true;
  }
  tell_quiet_waiters();  // The last job may have ended: this is its result's end, or its own.
}

void PoolCore::finalize() noexcept {
  if (is_forked()) {
    return;  // As close() says.
  }
  // After kFinal was set: pairs with begin_enqueuing() and end_enqueuing().
  while (enqueuing_.load(std::memory_order_seq_cst) != 0) {
    std::this_thread::yield();
  }
  arena_->terminate();  // Not with the last handle: that may be dropped in a forked process.
  PoolRegistry::get().remove(this, arena_->is_own() ? concurrency_ : 0);
  release();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
