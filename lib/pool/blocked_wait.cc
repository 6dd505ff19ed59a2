// SPDX-License-Identifier: Apache-2.0
//
// The waits that block threads of jobs, and the search for a circle of jobs that wait for one
// another. It needs no memory: what it has found is linked through the jobs.
//
// Nobody closes a circle unseen. Whoever waits does three things, in this order: it marks the job
// that it waits for as awaited (a bit); it puts its wait where others find it (here, or with its
// job's lane locked); it looks whether its own job is awaited, and if so, searches. Bits are set
// and read seq_cst, so whoever marks last in a circle finds that it is awaited itself. If its
// search stops at a job that has not put its wait in place yet, that one will see all that came
// before, and search later. So the last one to search finds the circle. (A continuation is in its
// place before anybody can wait for it.)

#include "lib/pool/blocked_wait.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

struct Waits {
  std::mutex mutex;
  // These, and the links of the lists, are guarded by mutex.
  std::array<BlockedWait*, 256> by_waiter{};
  BlockedWait* nested = nullptr;
};

// Never destroyed: threads may wait until the very end of the program.
Waits& all_waits() noexcept {
  alignas(Waits) static std::byte place[sizeof(Waits)];
  static Waits& waits =
      first_of_copies(process_wide().blocked_waits, *::new (static_cast<void*>(place)) Waits);
  return waits;
}

BlockedWait*& waits_of(const Workplace* waiter) noexcept {
  return all_waits().by_waiter[(reinterpret_cast<std::uintptr_t>(waiter) >> 6U) % 256];
}

const Workplace* innermost_job(const Activation* inner) noexcept {
  const Workplace* job = nullptr;
  while (inner != nullptr && (job = inner->origin.job()) == nullptr) {
    inner = activation_around(inner);
  }
  return job;
}

// Returns the job that has begun right inside `job` on this stack: `job` waits for that. Returns
// nullptr if it is not on this stack, or the innermost one.
const Workplace* job_inside(const Workplace* job, const Activation* inner) noexcept {
  const Workplace* inside = nullptr;
  for (; inner != nullptr; inner = activation_around(inner)) {
    const Workplace* const here = inner->origin.job();
    if (here == job) {
      return inside;
    }
    inside = here != nullptr ? here : inside;
  }
  return nullptr;
}

JobState* state_of(const Workplace* job) noexcept {
  return static_cast<JobState*>(const_cast<Workplace*>(job));
}

std::string described(JobState& job) {
  const SourcePlace place = job.place();
  std::string text = "job " + std::to_string(job.id());
  text += job.name().empty() ? std::string(" without a name") : job.quoted_name();
  if (place.line != 0) {
    text += std::string(" (submitted at ") + place.file + ":" + std::to_string(place.line) + ")";
  }
  return text;
}

}  // namespace

// One search, from a job to all that it waits for, directly and indirectly.
class CircleSearch final : private Missing {
 public:
  CircleSearch() = default;
  CircleSearch(const CircleSearch&) = delete;
  CircleSearch& operator=(const CircleSearch&) = delete;
  ~CircleSearch() {  // Without the lock: it may be the jobs' end.
    while (first_ != nullptr) {
      std::exchange(first_, first_->found_from_)->release();
    }
  }

  // Tells whether `target` waits for `job`, or is it. `own`: a wait that is in no list yet.
  bool find(const std::lock_guard<std::mutex>& /*lock*/, JobState& target, JobState& job,
            const BlockedWait* own) noexcept {
    goal_ = &job;
    look_at(&target);
    for (from_ = first_; from_ != nullptr && !is_found_;
         from_ = from_ != last_ ? from_->next_found_ : nullptr) {
      for (const BlockedWait* wait = waits_of(from_); wait != nullptr; wait = wait->next_) {
        if (wait->waiter_ == from_) {
          look_at(&wait->target_);
        }
      }
      for (const BlockedWait* wait = all_waits().nested; wait != nullptr;
           wait = wait->next_nested_) {
        look_inside(*wait);
      }
      if (own != nullptr && own->is_nested_) {
        look_inside(*own);
      }
      (void)PoolCore::begin_or_look(from_, /*here=*/nullptr, *this);  // Begins nothing.
    }
    return is_found_;
  }

  // After find() has returned true: adds the jobs from `job` back to `target`, if there is room.
  // Returns how many there are.
  std::size_t add_path_to(std::vector<HeldJob>& path) const noexcept {
    std::size_t length = 0;
    for (JobState* job = goal_; job != nullptr; job = job->found_from_) {
      if (length++ < path.capacity()) {
        path.emplace_back(job);
      }
    }
    return length;
  }

  // Takes the search's links out of the jobs. Those that only it has kept are released at its end:
  // nobody else finds them, so their links are its own.
  void unlink(const std::lock_guard<std::mutex>& /*lock*/) noexcept {
    JobState* kept = nullptr;
    for (JobState* job = first_; job != nullptr;) {
      JobState* const next = job == last_ ? nullptr : job->next_found_;
      job->next_found_ = nullptr;
      job->found_from_ = nullptr;
      if (!release_unless_last(job)) {
        job->found_from_ = std::exchange(kept, job);
      }
      job = next;
    }
    first_ = kept;
  }

  // Tells whether a job may wait for one that waits itself, or for `job`. Without the lock.
  static bool may_lead_on(JobState& target, JobState& job) noexcept {
    struct Glance final : Missing {
      void add(const LaneLock& /*lock*/, JobState* found, bool is_choice) noexcept override {
        leads_on = leads_on || (!is_choice && (found == goal || found->may_wait()));
      }
      const JobState* goal = nullptr;
      bool leads_on = false;
    } glance;
    glance.goal = &job;
    return PoolCore::begin_or_look(&target, /*here=*/nullptr, glance) != PoolCore::Found::missing ||
           glance.leads_on;
  }

 private:
  void add(const LaneLock& /*lock*/, JobState* job, bool is_choice) noexcept override {
    if (!is_choice) {
      look_at(job);
    }
  }

  void look_inside(const BlockedWait& wait) noexcept {
    if (const Workplace* const job = job_inside(from_, wait.inside_); job != nullptr) {
      look_at(state_of(job));
    }
  }

  void look_at(JobState* job) noexcept {
    if (job->next_found_ != nullptr || (job != goal_ && !job->may_wait())) {
      return;
    }
    job->add_ref();
    job->found_from_ = from_;
    job->next_found_ = job;  // The last one has itself there.
    (last_ != nullptr ? last_->next_found_ : first_) = job;
    last_ = job;
    is_found_ = is_found_ || job == goal_;
  }

  static bool release_unless_last(JobState* job) noexcept {
    std::uint64_t bits = job->bits_.load(std::memory_order_relaxed);
    while (bits >= 2 * JobState::kReference) {
      // As in release(): the last one sees what we did with the job.
      if (job->bits_.compare_exchange_weak(bits, bits - JobState::kReference,
                                           std::memory_order_acq_rel)) {
        return true;
      }
    }
    return false;
  }

  JobState* goal_ = nullptr;
  JobState* from_ = nullptr;
  JobState* first_ = nullptr;
  JobState* last_ = nullptr;
  bool is_found_ = false;
};

namespace {

[[noreturn]] void throw_circle(JobState& job, JobState& target, const BlockedWait* own) {
  std::vector<HeldJob> path;  // From `job` back to `target`.
  for (std::size_t length = 1; path.size() < length;) {
    path.clear();
    path.reserve(length);  // Not with the lock.
    CircleSearch search;
    const std::lock_guard lock(all_waits().mutex);
    // The circle is still there, unless somebody has cancelled a job of it.
    length = search.find(lock, target, job, own) ? search.add_path_to(path) : 0;
    search.unlink(lock);
  }
  std::string message = "cannot wait for job" + target.quoted_name() + ": it would wait for itself";
  for (std::size_t i = path.size(); i-- > 0;) {
    message += i + 1 == path.size()   ? ": "
               : i + 2 == path.size() ? " waits for "
                                      : ", which waits for ";
    message += described(*path[i].get());
  }
  message += path.empty() ? "" : path.size() == 1 ? " waits for it" : ", which waits for it";
  throw JobError(message);
}

}  // namespace

void throw_circle(JobState& job, JobState& target) { throw_circle(job, target, nullptr); }

void BlockedWait::begin() {
  if (is_linked_ || (waiter_ = innermost_job(inside_)) == nullptr) {
    return;
  }
  for (const Activation* inner = inside_; inner != nullptr; inner = activation_around(inner)) {
    if (const Workplace* const job = inner->origin.job(); job != nullptr) {
      state_of(job)->note_wait();
      is_nested_ = is_nested_ || job != waiter_;
    }
  }
  bool is_circle = false;
  {
    CircleSearch search;
    const std::lock_guard lock(all_waits().mutex);
    is_circle = search.find(lock, target_, *state_of(waiter_), this);
    if (!is_circle) {
      link();
    }
    search.unlink(lock);
  }
  if (is_circle) {
    throw_circle(*state_of(waiter_), target_, this);
  }
}

void BlockedWait::link() noexcept {
  is_linked_ = true;
  BlockedWait*& first = waits_of(waiter_);
  next_ = std::exchange(first, this);
  if (next_ != nullptr) {
    next_->previous_ = this;
  }
  if (is_nested_) {
    next_nested_ = std::exchange(all_waits().nested, this);
    if (next_nested_ != nullptr) {
      next_nested_->previous_nested_ = this;
    }
  }
}

void BlockedWait::unlink() noexcept {
  Waits& waits = all_waits();
  const std::lock_guard lock(waits.mutex);
  (previous_ != nullptr ? previous_->next_ : waits_of(waiter_)) = next_;
  if (next_ != nullptr) {
    next_->previous_ = previous_;
  }
  if (is_nested_) {
    (previous_nested_ != nullptr ? previous_nested_->next_nested_ : waits.nested) = next_nested_;
    if (next_nested_ != nullptr) {
      next_nested_->previous_nested_ = previous_nested_;
    }
  }
}

void break_circle(JobState* job, JobState* awaited) noexcept {
  bool is_broken = false;
  if (CircleSearch::may_lead_on(*awaited, *job)) {
    CircleSearch search;
    const std::lock_guard lock(all_waits().mutex);
    // With the lock: nobody else finds the circle before it is broken.
    is_broken = search.find(lock, *awaited, *job, nullptr) && PoolCore::break_circle(job, awaited);
    search.unlink(lock);
  }
  if (is_broken) {
    job->pool()->resume_early();
  }
  awaited->release();  // NOLINT(clang-analyzer-cplusplus.NewDelete): each has its references
  job->release();
}

void lock_blocked_waits() noexcept { all_waits().mutex.lock(); }

void unlock_blocked_waits(bool is_child) noexcept {
  Waits& waits = all_waits();
  if (is_child) {
    waits.by_waiter.fill(nullptr);  // The thread that forks does not wait.
    waits.nested = nullptr;
  }
  waits.mutex.unlock();
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
