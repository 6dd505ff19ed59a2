// SPDX-License-Identifier: Apache-2.0
//
// What all pools of a process share: oneTBB's limit of threads, fork handlers, the program's end.

#include "lib/pool/pool_registry.h"

#include <dlfcn.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "lib/cancel/cancel_forking.h"
#include "lib/pool/blocked_wait.h"
#include "lib/pool/parking.h"
#include "taskctx/internal/cancel/timer.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/pool/accountant.h"
#include "taskctx/internal/pool/pool_core.h"
#include "taskctx/job_errors.h"
#include "taskctx/job_pool.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

PoolRegistry& PoolRegistry::get() {
  static PoolRegistry& registry = make();
  return registry;
}

// The handlers come with the first pool: so pools with static storage are destroyed before the one
// for the program's end runs. Each copy of the library has a default pool to look after then; the
// first one's handler is the last.
PoolRegistry& PoolRegistry::make() noexcept {
  alignas(PoolRegistry) static std::byte place[sizeof(PoolRegistry)];
  static PoolRegistry& own = *::new (static_cast<void*>(place)) PoolRegistry;
  PoolRegistry& registry = first_of_copies(process_wide().pools, own);
  if (&registry == &own) {
    (void)handle_cancel_forks();  // Those locks, and the core's, come after ours.
    (void)Timer::get();           // If another copy's is used: its handler is there by now.
    pthread_atfork([] { own.lock_all(); }, [] { own.unlock_all(/*is_child=*/false); },
                   [] { own.unlock_all(/*is_child=*/true); });
  }
  on_exit([](int status, void*) { get().end_program(status, &get() == &own); }, nullptr);
  return registry;
}

// Takes all locks of the pools, so that a child finds nothing half done. The order is that in which
// they are nested elsewhere: that of the blocked waits, accounts and the pools' own, lanes (of one
// pool at a time), those of the parking spots, and then the timer's; and no code of the user's runs
// with any of them, except what accounts do with their values. No thread that takes one of these
// holds a lock of the context's.
void PoolRegistry::lock_all() noexcept {
  mutex_.lock();
  lock_blocked_waits();
  for_each_account([](Accountant& account) { account.lock(); });
  for (PoolCore* core : cores_) {
    core->lock();
  }
  for (PoolCore* core : cores_) {
    core->lock_lanes();
  }
  lock_spots();
}

void PoolRegistry::unlock_all(bool is_child) noexcept {
  unlock_spots(is_child);
  for (PoolCore* core : cores_) {
    core->unlock(is_child);
  }
  for_each_account([](Accountant& account) { account.unlock(); });
  unlock_blocked_waits(is_child);
  is_forked_ = is_forked_ || (is_child && has_had_pools_);
  mutex_.unlock();
}

// Several pools may share one.
template <typename F>
void PoolRegistry::for_each_account(F visit) noexcept {
  for (auto core = cores_.begin(); core != cores_.end(); ++core) {
    Accountant* const account = (*core)->accountant();
    if (account != nullptr && std::none_of(cores_.begin(), core, [account](PoolCore* other) {
          return other->accountant() == account;
        })) {
      visit(*account);
    }
  }
}

void PoolRegistry::add(PoolCore* core, int threads) {
  const Lock lock(mutex_);
  if (is_forked_) {
    throw JobError(
        "cannot create pool: this process was forked from one that had pools, and oneTBB has no "
        "threads here; call exec after fork");
  }
  cores_.push_back(core);
  try {
    change_limit(lock, threads, 0);
  } catch (...) {
    cores_.pop_back();
    throw;
  }
  has_had_pools_ = true;
  pthread_sigmask(SIG_SETMASK, nullptr, &signals_);
}

void PoolRegistry::remove(PoolCore* core, int threads) noexcept {
  const Lock lock(mutex_);
  cores_.erase(std::find(cores_.begin(), cores_.end(), core));
  change_limit_if_possible(lock, -threads, 0);
}

// oneTBB has one limit of threads for the whole process, by default the number of cores, and takes
// the smallest value that anybody sets. So all pools share one setting, for the sum of what they
// want and of the threads that block, and never set less than the default.
void PoolRegistry::change_limit(const Lock& /*lock*/, int threads, int blocked) {
  if (threads == 0 && blocked == 0) {
    return;
  }
  const int cores = oneapi::tbb::info::default_concurrency();
  // oneTBB counts one for the thread that waits.
  const int wanted = std::max(cores, threads_ + threads + 1) + blocked_ + blocked;
  std::unique_ptr<oneapi::tbb::global_control> fresh;
  if (wanted > cores) {
    fresh = std::make_unique<oneapi::tbb::global_control>(
        oneapi::tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(wanted));
  }
  limit_ = std::move(fresh);
  threads_ += threads;
  blocked_ += blocked;
}

void PoolRegistry::change_limit_if_possible(const Lock& lock, int threads, int blocked) noexcept {
  try {
    change_limit(lock, threads, blocked);
  } catch (...) {  // No memory: the limit stays as it is.
    threads_ += threads;
    blocked_ += blocked;
  }
}

namespace {

// Tells whether this thread is at work for a pool, or is one of oneTBB's.
bool is_at_work() noexcept {
  return current_activation()->origin.executor() != nullptr ||
         (gettid() != getpid() && oneapi::tbb::this_task_arena::current_thread_index() !=
                                      oneapi::tbb::task_arena::not_initialized);
}

// oneTBB crashes where one of its threads ends the program, and may hang in a forked process, as
// soon as its own static objects are destroyed. If it is a library of its own, that is after ours,
// which is after all of the program's. (It may be part of the program, and ours a library.)
std::atomic<int> status_before_onetbbs_end{-1};

void end_at_once(int status) noexcept {
  (void)std::fflush(nullptr);
  _exit(status);
}

[[gnu::destructor]] void end_before_onetbb() {
  if (const int status = status_before_onetbbs_end.load(); status >= 0) {
    end_at_once(status);
  }
}

bool is_onetbb_a_library_of_its_own() noexcept {
  Dl_info onetbb;
  Dl_info ours;
  Dl_info program;
  const void* const symbol = dlsym(RTLD_DEFAULT, "TBB_runtime_version");
  return symbol != nullptr && dladdr(symbol, &onetbb) != 0 &&
         dladdr(&status_before_onetbbs_end, &ours) != 0 && onetbb.dli_fbase != ours.dli_fbase &&
         dladdr(reinterpret_cast<const void*>(getauxval(AT_ENTRY)), &program) != 0 &&
         onetbb.dli_fbase != program.dli_fbase;
}

void end_without_onetbb(int status) noexcept {
  if (!is_onetbb_a_library_of_its_own()) {
    end_at_once(status);
  }
  status_before_onetbbs_end = status & 0xff;
}

}  // namespace

// Jobs that wait for this thread never end. So only a thread that is at work for no pool waits for
// the default pool.
void PoolRegistry::end_program(int status, bool is_last) noexcept {
  if (is_forked_) {
    end_without_onetbb(status);
    return;
  }
  const bool is_busy = is_at_work();
  if (JobPool* pool = existing_default_pool(); pool != nullptr && !is_busy) {
    JobPoolAccess::core(*pool)->drain_at_exit();
  }
  if (!is_last) {
    return;
  }
  report_what_is_lost();
  if (is_busy && gettid() != getpid()) {
    end_without_onetbb(status);
  }
}

// No code of the user's runs with the mutex.
void PoolRegistry::report_what_is_lost() noexcept {
  for (std::size_t i = 0;; ++i) {
    PoolCore* core = nullptr;
    {
      const Lock lock(mutex_);
      if (i >= cores_.size()) {
        return;
      }
      core = cores_[i];
      (void)core->add_ref();
    }
    core->report_what_is_lost("nobody has destroyed the pool");
    core->release();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
