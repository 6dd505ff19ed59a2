// SPDX-License-Identifier: Apache-2.0
//
// The shells: how they get a thread of the arena, and run one job after the other there. And how
// threads that are no shells run jobs, apart from what they do themselves.

#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <optional>
#include <utility>

#include "lib/pool/pool_arena.h"
#include "lib/pool/pool_registry.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// After so many jobs a shell gives the thread back to oneTBB, which may have something more urgent,
// and queues itself again.
constexpr int kShellBudget = 64;

// A clock that ticks every few ms and costs next to nothing.
std::int64_t ticks() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

// Counts one more shell, if there is a thread for it.
bool PoolCore::count_shell() noexcept {
  int shells = shells_.load(std::memory_order_relaxed);
  while (shells < concurrency_) {
    // Pairs with run_jobs(), which subtracts: shells_ counts those that will look at the lanes.
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
  begin_enqueuing();
  return add_ref();
}

// While we are counted in enqueuing_, ours is not the last reference: what goes with that is not
// destroyed on the thread that wakes a job.
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
    // Another shell runs what is queued, if there is one; otherwise we do.
    runs_here = take_ticket() && shells_.fetch_sub(1, std::memory_order_acq_rel) == 1 &&
                !is_forked() && has_queued() && count_shell();
    if (!runs_here) {
      release();
    }
  }
  end_enqueuing();  // NOLINT(clang-analyzer-cplusplus.NewDelete): ours is not the last reference
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
  bool* is_copied;  // Of the call that enqueues: not to be used after that.
};

// The caller is counted in enqueuing_: so the arena is there, if has_arena() says so.
PoolCore::Enqueued PoolCore::enqueue_shell(std::uint32_t turn) noexcept {
  if (!has_arena()) {
    return Enqueued::no;
  }
  bool is_copied = false;
  try {
    arena_->get().enqueue(Shell(this, turn, &is_copied));
    if (has_loops()) {
      PoolRegistry::get().watch();
    }
    return Enqueued::yes;
  } catch (...) {  // No memory, or no thread. oneTBB starts a thread after it has queued the task.
    return is_copied ? Enqueued::but_none_may_come : Enqueued::no;
  }
}

bool PoolCore::take_ticket() noexcept {
  std::uint64_t tickets = tickets_.load(std::memory_order_acquire);  // Pairs with give_ticket().
  while (static_cast<std::uint32_t>(tickets) != 0) {
    // Acquires what give_ticket() has released, here and in the next round.
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

void PoolCore::perform_apart(JobState* job, Ledger* ledger) noexcept {
  job->pool()->apart([job, ledger] { job->perform(ledger); });
}

// Nobody cancels the groups of the shells and answers, nor what is outside all groups.
bool PoolCore::is_apart() const noexcept {
  const void* const group = oneapi::tbb::task::current_context();
  return group == nullptr || group == shells_group_.load(std::memory_order_relaxed) ||
         group == &arena_->answers();
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

bool PoolCore::requeue_shell(std::uint32_t turn) noexcept {
  begin_enqueuing();
  give_ticket();
  bool is_shell = false;
  if (enqueue_shell(turn) == Enqueued::no) {  // If none may come: this thread will look for it.
    is_shell = take_ticket();
    if (!is_shell) {
      release();  // Not the last one, as start_shell() says.
    }
  }
  end_enqueuing();
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
      // Before we look, with the locks: pairs with PoolCore::accept(), which counts shells with
      // one.
      shells_.fetch_sub(1, std::memory_order_acq_rel);
      if (!has_queued() || !count_shell()) {
        return true;
      }
      continue;
    }
    job->perform(/*ledger=*/nullptr);
    at_work.renew(&empty_node);  // What destructors have set is gone.
    if ((--budget <= 0 || ticks() != began) && requeue_shell(turn)) {
      return false;
    }
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
