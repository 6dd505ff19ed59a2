// SPDX-License-Identifier: Apache-2.0
//
// LostContextCanary: finds the most common mistake, a plain oneTBB call instead of taskctx::tbb's.
//
//   const taskctx::tbb::LostContextCanary canary;  // in main() of a debug build
//   oneapi::tbb::parallel_for(0, n, [](int) { user.get(); });  // reported, with this line
//
// Threads:  watches all threads of the process while at least one canary lives. Make the first one
//           before there are tasks.
// Errors:   each mistake goes to the misuse handler (errors.h), on the thread that made it.
//
// The body of a plain oneTBB call has no context of its own: on another thread a variable reads as
// if it had never been set. The canary looks for just that: a read that finds no value, in a oneTBB
// task that is not taskctx's. A body that the calling thread itself runs may find the value by
// luck, and is not reported then. Reads that find a value cost nothing more; others 5 ns.

#ifndef TASKCTX_TBB_LOST_CONTEXT_CANARY_H_
#define TASKCTX_TBB_LOST_CONTEXT_CANARY_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

class [[nodiscard]] LostContextCanary {
 public:
  // Begins to watch. Thread-safe, O(1).
  [[nodiscard("give it a name: without one it ends at once")]] LostContextCanary() noexcept;
  LostContextCanary(const LostContextCanary&) = delete;
  LostContextCanary& operator=(const LostContextCanary&) = delete;
  // Ends it, if this is the last one.
  ~LostContextCanary();
};

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_LOST_CONTEXT_CANARY_H_
