// SPDX-License-Identifier: Apache-2.0
//
// Fuse: lets the n-th allocation of a test fail, or the n-th of anything that asks it. And counts
// allocations.
//
//   allocations.arm(2);              // the third one from here on throws std::bad_alloc
//   attempt();
//   bool failed = allocations.disarm();
//
// A program that links this has its own operator new. Threads: each has a fuse of its own; what is
// alive is counted for all of them.

#ifndef TASKCTX_TESTS_FUSE_H_
#define TASKCTX_TESTS_FUSE_H_

#include <new>
#include <utility>

namespace taskctx_test {

class Fuse {
 public:
  // Lets the one after the next `count` fail, and none behind it.
  void arm(int count) { left_ = count; }
  // Lets nothing fail any more. Returns whether something has, since arm().
  bool disarm() { return std::exchange(left_, kOff) == kBlown; }
  // Counts one that is about to happen; tells whether it fails.
  bool fails() { return left_ >= 0 && --left_ == kBlown; }

 private:
  static constexpr int kBlown = -1;
  static constexpr int kOff = -2;

  int left_ = kOff;
};

// Asked by operator new on this thread.
extern constinit thread_local Fuse allocations;

// Whether also oneTBB may find no memory for a thread that it is about to start. It never recovers
// from that: its threads may serve nobody any more. So only in a process that ends soon.
extern constinit thread_local bool threads_may_fail;

// Returns how many allocations have not been freed.
long live_allocations();

// Calls `attempt` with the first, the second ... allocation failing, until none does; `after_each`
// after each time, with nothing failing. Returns how often `attempt` has thrown std::bad_alloc.
template <typename F, typename After>
int with_each_allocation_failing(F attempt, After after_each) {
  int thrown = 0;
  for (int n = 0;; ++n) {
    bool has_thrown = false;
    allocations.arm(n);
    try {
      attempt();
    } catch (const std::bad_alloc&) {
      has_thrown = true;
    }
    const bool has_failed = allocations.disarm();
    after_each();
    thrown += has_thrown ? 1 : 0;
    if (!has_failed && !has_thrown) {
      return thrown;
    }
  }
}
template <typename F>
int with_each_allocation_failing(F attempt) {
  return with_each_allocation_failing(attempt, [] {});
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_FUSE_H_
