// SPDX-License-Identifier: Apache-2.0
//
// Jobs whose time has come, and others that have waited for long: how they begin while loops of
// other jobs keep the pool's threads busy.
//
// A shell takes them before others, but no thread comes to a shell before it has nothing else to
// do, and a loop may have a share for each of the threads that lasts. So beside the shell, which
// loses no job whatever happens here, a due job makes a call: a critical task, which oneTBB takes
// before all others, as soon as a thread has ended the task that it is in. There the shell runs. A
// thread that waits in a job takes no call: jobs run isolated. One that waits elsewhere leaves it
// alone, see answer_call(); but nobody can tell that a plain oneTBB call waits below, outside of
// all jobs.
//
// Jobs that are not due wait in the same way, but nobody calls for them at once: mostly a thread is
// on its way. Where loops have run, the timer looks after some milliseconds whether one has come
// (PoolRegistry::look()), and calls if none has.
//
// A task of a loop is a series of leaves, up to the thread's whole share. So while there are calls,
// a leaf of ours on a thread that has nothing else to do leaves the rest of its part to the loop,
// and ends (tbb/parallel_for.h). The job never begins within the leaf: it may wait for the loop.
//
// oneTBB's public door to critical tasks is a flow graph with priorities. Such a graph must be made
// by a thread of the arena, and its end waits for one, when the pool may have none any more. So
// this uses what the graph uses, submit().

#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdint>
#include <new>

#include "lib/pool/pool_arena.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/pool/job_list.h"
#include "taskctx/internal/pool/job_state.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Returns which arena this is; no two that are there have the same.
const void* identity_of(const oneapi::tbb::task_arena& arena) noexcept {
  struct Arena : oneapi::tbb::task_arena {
    static const void* identity(const oneapi::tbb::task_arena& arena) noexcept {
      return (arena.*(&Arena::my_arena)).load(std::memory_order_relaxed);
    }
  };
  return Arena::identity(arena);
}

}  // namespace

// Has a reference to the pool, and is counted in calls_ until somebody answers.
class PoolCore::Call final : public oneapi::tbb::detail::d1::task {
 public:
  using Task = oneapi::tbb::detail::d1::task;
  using Data = oneapi::tbb::detail::d1::execution_data;

  explicit Call(PoolCore* core) noexcept : core_(core) {
    core_->calls_.fetch_add(1, std::memory_order_relaxed);
  }

  void stop_counting() noexcept {
    if (is_counted_.exchange(false, std::memory_order_relaxed)) {
      core_->calls_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  // Says that its maker, or oneTBB, needs it no longer.
  void drop() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }

 private:
  Task* execute(Data& /*data*/) override {
    PoolCore* const core = core_;
    stop_counting();
    drop();
    core->answer_call();
    return nullptr;
  }
  Task* cancel(Data& data) override { return execute(data); }  // Nobody does that.

  PoolCore* const core_;
  std::atomic<bool> is_counted_{true};
  std::atomic<int> owners_{2};
};

void PoolCore::reserve_call() noexcept {
  begin_enqueuing();
  (void)add_ref();
}

void PoolCore::start_call() noexcept {
  bool is_started = false;
  if (has_arena()) {
    if (auto* const call = new (std::nothrow) Call(this); call != nullptr) {
      is_started = true;
      try {
        submit(*call, arena_->get(), arena_->answers(), /*as_critical=*/true);
      } catch (...) {  // No memory, or no thread: oneTBB may have the task, and may not.
        call->stop_counting();
      }
      call->drop();
    }
  }
  if (!is_started) {
    release();
  }
  end_enqueuing();  // NOLINT(clang-analyzer-cplusplus.NewDelete): ours is not the last reference
}

// Answers nothing if code of ours waits below on this thread's stack: a job might wait for that
// code, or for a lock that it holds. The shell that comes later runs the job.
void PoolCore::answer_call() noexcept {
  if (is_outermost(current_activation())) {
    if (take_ticket()) {
      run_shell(/*turn=*/0);  // With the call's reference.
      return;
    }
    const Installed at_work(&empty_node, Origin::pool(this));
    if (JobState* const job = pop_due(); job != nullptr) {
      job->perform(/*ledger=*/nullptr);
      if (is_forked()) [[unlikely]] {
        leave_child();
      }
    }
  }
  release();
}

// Begins with another lane each time.
JobState* PoolCore::pop_due() noexcept {
  if (is_forked()) [[unlikely]] {
    return nullptr;
  }
  std::uint32_t turn = due_in_a_row_.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i <= lane_mask_; ++i) {
    Lane& lane = lanes_[turn++ & lane_mask_];
    const LaneLock lock(lane);
    if (JobState* const job = lane.due.front(); job != nullptr) {
      begin_queued(lock, job);
      due_in_a_row_.fetch_add(1, std::memory_order_relaxed);
      return job;
    }
  }
  return nullptr;
}

bool PoolCore::is_in_arena() noexcept {
  if (!has_arena()) {
    return false;
  }
  try {
    const oneapi::tbb::task_arena here(oneapi::tbb::task_arena::attach{});
    return here.is_active() && identity_of(here) == identity_of(arena_->get());
  } catch (...) {  // No memory.
    return false;
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
