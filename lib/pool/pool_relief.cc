// SPDX-License-Identifier: Apache-2.0
//
// Looks after pools whose shells get no thread: because oneTBB leaves the threads asleep, or loops
// keep them.
//
// A thread that blocks in one of oneTBB's tasks counts as at work, and as asked for by its arena.
// But as soon as another thread looks into that arena and finds nothing to do, oneTBB takes back
// all that the arena had asked for. The blocked threads then count as those that others ask for: a
// pool that has something to do asks for one, has none, and gets none, until they continue, and
// they may wait for that pool. So no plain oneTBB program may block in a task for what another
// arena does; a user of pools who calls get() in a leaf, or in another pool's job, does.
//
// So while threads block in tasks, the timer looks from time to time whether all pools make
// progress. Where a shell waits in the arena, and none has begun since the last look, a thread of
// ours enters the arena and takes the shell's ticket. It is bound by the arena's limit, like all
// that enter it, and leaves when nothing is queued any more.
//
// The other case are loops, which last. So once a loop has run in a pool, the timer looks whenever
// a shell was enqueued, and calls for a thread if that one has not begun (due_jobs.cc).

#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "lib/cancel/start_thread.h"
#include "lib/pool/pool_arena.h"
#include "lib/pool/pool_registry.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/pool/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Between two looks. A pool that was stuck once will be again, while the same threads block.
constexpr absl::Duration kFirst = absl::Milliseconds(2);
constexpr absl::Duration kLeast = absl::Microseconds(250);
constexpr absl::Duration kMost = absl::Milliseconds(6);

}  // namespace

BlockedThread::BlockedThread() noexcept
    : is_in_task_(oneapi::tbb::task::current_context() != nullptr) {
  if (is_in_task_) {
    PoolRegistry::get().count_blocked(1);
  }
}

BlockedThread::~BlockedThread() {
  if (is_in_task_) {
    PoolRegistry::get().count_blocked(-1);
  }
}

void PoolRegistry::count_blocked(int threads) noexcept {
  const Lock lock(mutex_);
  change_limit_if_possible(lock, 0, threads);
  if (threads > 0) {
    start_watching(lock);
  }
}

void PoolRegistry::watch() noexcept {
  if (!is_watching_.load(std::memory_order_seq_cst)) {  // Pairs with look().
    start_watching(Lock(mutex_));
  }
}

void PoolRegistry::start_watching(const Lock& lock) noexcept {
  if (is_watching_.load(std::memory_order_relaxed) || is_forked_) {
    return;
  }
  try {
    Timer::get().start();
  } catch (...) {
    return;  // There can be no thread: neither the timer's nor what it would start.
  }
  for (PoolCore* core : cores_) {
    (void)core->is_stuck();  // Notes where it is now.
  }
  is_watching_.store(true, std::memory_order_relaxed);
  until_look_ = kFirst;
  look_later(lock);
}

void PoolRegistry::look_later(const Lock& /*lock*/) noexcept {
  set_due_in(absl::ToInt64Nanoseconds(until_look_));
  Timer::get().add(*this);
}

PoolCore* PoolRegistry::look() noexcept {
  const Lock lock(mutex_);
  // Before we look at tickets, seq_cst: pairs with give_ticket() and watch().
  is_watching_.store(false, std::memory_order_seq_cst);
  if (is_forked_) {
    return nullptr;
  }
  until_look_ = std::min(2 * until_look_, kMost);
  bool is_needed = blocked_ != 0;
  PoolCore* called = nullptr;
  for (PoolCore* core : cores_) {
    const bool waits_for_loops = core->waits_for_loops();
    if (core->is_stuck()) {
      if (waits_for_loops && !core->is_calling()) {
        core->reserve_call();
        core->next_called_ = std::exchange(called, core);
      }
      if (blocked_ != 0) {
        core->start_relief(signals_);
        until_look_ = kLeast;
      }
    }
    if (waits_for_loops) {
      is_needed = true;
      until_look_ = std::min(until_look_, kFirst);
    }
  }
  if (is_needed) {
    is_watching_.store(true, std::memory_order_relaxed);
    look_later(lock);
  }
  return called;
}

void PoolRegistry::look(TimerEntry& self) noexcept {
  PoolCore* called = static_cast<PoolRegistry&>(self).look();
  while (called != nullptr) {  // Without the lock: a call needs memory.
    std::exchange(called, called->next_called_)->start_call();
  }
}

void PoolCore::note_first_loop() noexcept {
  has_loops_.store(true, std::memory_order_seq_cst);  // Pairs with has_loops().
  PoolRegistry::get().watch();
}

bool PoolCore::is_stuck() noexcept {
  const std::uint64_t tickets = tickets_.load(std::memory_order_relaxed);
  const std::uint64_t before = std::exchange(tickets_before_, tickets);
  const bool had_some = static_cast<std::uint32_t>(before) != 0;
  const bool has_some = static_cast<std::uint32_t>(tickets) != 0;
  return had_some && has_some && tickets / kTaken == before / kTaken &&
         !is_relief_coming_.load(std::memory_order_relaxed);
}

// Counted in enqueuing_ until the thread is in the arena, like a thread that enqueues a shell.
void PoolCore::start_relief(const sigset_t& blocked_signals) noexcept {
  begin_enqueuing();
  if (has_arena()) {
    is_relief_coming_.store(true, std::memory_order_relaxed);
    (void)add_ref();
    if (start_thread(
            [](void* core) -> void* {
              static_cast<PoolCore*>(core)->relieve();
              return nullptr;
            },
            this, blocked_signals) == 0) {
      return;
    }
    release();  // Not the last one: remove() waits for the registry's mutex.
    is_relief_coming_.store(false, std::memory_order_relaxed);
  }
  end_enqueuing();  // NOLINT(clang-analyzer-cplusplus.NewDelete): ours is not the last reference
}

void PoolCore::relieve() noexcept {
  std::optional<oneapi::tbb::task_arena> held;  // We leave the arena after the pool may have gone.
  const auto come = [this] {
    is_relief_coming_.store(false, std::memory_order_relaxed);
    end_enqueuing();
  };
  try {
    arena_->get().execute([&] {
      held.emplace(oneapi::tbb::task_arena::attach{});
      come();
      if (take_ticket()) {
        apart([this] { run_shell(/*turn=*/0); });
      } else {
        release();
      }
    });
  } catch (...) {  // No memory; it was not called, or attach failed.
    come();
    release();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
