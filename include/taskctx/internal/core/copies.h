// SPDX-License-Identifier: Apache-2.0
//
// Copies: what several copies of this library in one process have in common, so that each knows
// what another one has made.
//
//   process_wide().next_slot         no two variables have one slot, whichever copy gave it
//   variable.home_->assign_key(...)  a variable belongs to the copy it was made with
//
// A plugin that was linked with a library of its own, with hidden symbols, brings a second copy of
// all code and all data, also of the current context of each thread: what is set through one copy
// is not set for the other. That is reported. But objects may reach the other copy's code: so slots
// and ids are drawn from one place, keys of other copies are recognised, and no node is recognised
// by its address. Pools, jobs and their handles may reach it as well: so what all of them share is
// the first copy's, too.

#ifndef TASKCTX_INTERNAL_CORE_COPIES_H_
#define TASKCTX_INTERNAL_CORE_COPIES_H_

#include <atomic>
#include <cstdint>

#include "taskctx/errors.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class Variable;
struct VariableRecord;
struct VariableRules;
struct Copy;

// The numbers that must differ between copies: all draw them here. Lies in the first copy.
struct ProcessWide {
  std::atomic<std::uint32_t> next_slot{0};
  std::atomic<std::uint64_t> next_id_block{1};
  std::atomic<std::uint32_t> next_thread_tag{0};
  std::atomic<const Copy*> copies{nullptr};  // All that have joined, the last one first.
  // What the pools of all copies share, once one needs it: see first_of_copies().
  std::atomic<void*> pools{nullptr};
  std::atomic<void*> ref_counts{nullptr};
  std::atomic<void*> timer{nullptr};
  std::atomic<void*> parking{nullptr};
  std::atomic<void*> blocked_waits{nullptr};
  std::atomic<void*> cancel_locks{nullptr};
  std::atomic<std::uint64_t> cancel_count{0};  // See cancel_link.h.
  std::atomic<std::uint32_t> forks{0};         // See process_number().
  std::atomic<int> parked_helpers{0};
};

// One copy, as the others know it. The functions work on that copy's variables.
struct Copy {
  std::uint64_t (*assign_key)(const Variable& variable, const VariableRules& rules);
  void (*retire)(VariableRecord* record) noexcept;
  VariableRecord* (*find_record)(std::uint64_t key) noexcept;
  void (*report)(const Misuse& misuse) noexcept;
  std::atomic<ProcessWide*> process_wide{nullptr};  // Once it has joined.
  const Copy* next = nullptr;
};

// The copy that this code uses. Defined in variable.cc, which has the functions.
extern Copy own_copy;

// Makes this copy known to the others, and reports it if there is one already. Happens when the
// module is loaded, or at the first need before that.
ProcessWide& join_process() noexcept;

inline ProcessWide& process_wide() noexcept {
  // Pairs with the release in join_with_lock() (copies.cc).
  ProcessWide* joined = own_copy.process_wide.load(std::memory_order_acquire);
  return joined != nullptr ? *joined : join_process();
}

// Returns a number that a forked child does not have in common with the processes that it comes
// from. What a thread has begun and marked with another number nobody will end: that thread is not
// in this process. Below 2^29: no line of ancestors is that long.
inline std::uint32_t process_number() noexcept {
  // Relaxed: it changes only where there is one thread.
  return process_wide().forks.load(std::memory_order_relaxed);
}

// Where ProcessWide::cancel_count is: this copy's own, which stays 0, until it has joined.
extern constinit std::atomic<const std::atomic<std::uint64_t>*> cancel_counter;

// Returns what all copies use in place of an object that each has: the one that came here first.
template <typename T>
T& first_of_copies(std::atomic<void*>& place, T& own) noexcept {
  // The release publishes `own`, if it is the first; otherwise the acquire gets the first one.
  void* first = nullptr;
  return place.compare_exchange_strong(first, &own, std::memory_order_acq_rel)
             ? own
             : *static_cast<T*>(first);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_COPIES_H_
