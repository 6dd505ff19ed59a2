// SPDX-License-Identifier: Apache-2.0
//
// Threads that take turns.

#include "benchmarks/counting.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "benchmarks/access_log.h"

namespace counting {
namespace {

void wait_while(const int& word, int value) {
  while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == value) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
  }
}

// The word may be gone: whoever waited for it has seen its value.
void wake(const int& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void set(int& word, int value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
  wake(word);
}

// Tells whether the place is the thread's: the thread may take it if it is free, which is -1.
bool is_or_becomes(int& place, int thread) {
  int expected = -1;
  return __atomic_compare_exchange_n(&place, &expected, thread, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE) ||
         expected == thread;
}

}  // namespace

Turns::Turns(const char* operation, int laps) : operation_(operation), laps_(laps) {}

bool Turns::next() {
  begin_lap(nullptr);
  if (__atomic_load_n(&is_over_, __ATOMIC_ACQUIRE) != 0) {
    return false;
  }
  const int thread = thread_index();
  int me = 0;
  while (!is_or_becomes(threads_[me], thread)) {
    if (++me == 2) {
      return false;
    }
  }
  if (begun_[me]++ == 0) {  // It has just come. The first one waits for the second, and goes first.
    if (me == 0) {
      wait_while(turn_, -1);
    } else {
      set(turn_, 0);
      wait_while(turn_, 0);
    }
  } else if (me == 1 && begun_[me] > kWarmUp + laps_) {
    note_laps(operation_, 2 * laps_);
    set(is_over_, 1);
    set(turn_, 2);
  } else {
    set(turn_, 1 - me);
    wait_while(turn_, 1 - me);
  }
  if (__atomic_load_n(&is_over_, __ATOMIC_ACQUIRE) != 0) {
    return false;
  }
  begin_lap(begun_[me] > kWarmUp ? operation_ : nullptr);
  return true;
}

void Gate::pass() {
  arrive();
  wait_while(is_open_, 0);
}

void Gate::arrive() {
  __atomic_add_fetch(&arrived_, 1, __ATOMIC_RELEASE);
  wake(arrived_);
}

void Gate::wait_for(int threads) {
  for (int arrived = 0; (arrived = __atomic_load_n(&arrived_, __ATOMIC_ACQUIRE)) < threads;) {
    wait_while(arrived_, arrived);
  }
}

void Gate::open() { set(is_open_, 1); }

}  // namespace counting
