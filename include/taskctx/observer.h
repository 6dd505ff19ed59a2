// SPDX-License-Identifier: Apache-2.0
//
// SwitchObserver: a function that is called at each switch from one context to another, on any
// thread.
//
//   const taskctx::SwitchObserver observer([](const Context& from, const Context& to) {
//     set_log_prefix(to.contains(request_id) ? *to.find(request_id) : "");
//   });
//
// Threads:  an observer is called on the thread that switches: by several threads at once.
// Lifetime: from its construction to its destruction. A switch that is under way on another thread
//           may still call the function a moment later: what the function owns is kept alive that
//           long, and the shared library that makes an observer stays loaded.
// Errors:   what the function throws is reported to the misuse handler, and stops nothing.
//
// Programs without observers pay one predictable branch for each switch. For the changes of a
// single variable see ContextVarOptions::on_change.

#ifndef TASKCTX_OBSERVER_H_
#define TASKCTX_OBSERVER_H_

#include <functional>
#include <memory>

#include "taskctx/context.h"

namespace taskctx {
inline namespace v1 {

namespace internal {
struct Observer;
}

class [[nodiscard]] SwitchObserver {
 public:
  // A function that is called after each switch, in the new context: when a task, leaf, bound call
  // or Context is entered, and when it is left. Both contexts are valid during the call; copy one
  // to keep it (O(1)). The function may use the library; switches that it makes itself are not
  // observed. Nothing is switched while it runs, so it should be quick, and must not wait for
  // tasks.
  using Function = std::function<void(const Context& from, const Context& to)>;

  // Registers `function`. Observers are called in the order of their registration. Throws
  // std::bad_alloc.
  [[nodiscard("give it a name: without one it ends at once")]] explicit SwitchObserver(
      Function function);
  SwitchObserver(const SwitchObserver&) = delete;
  SwitchObserver& operator=(const SwitchObserver&) = delete;
  ~SwitchObserver();

 private:
  std::shared_ptr<internal::Observer> observer_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_OBSERVER_H_
