// SPDX-License-Identifier: Apache-2.0
//
// CallbackListener: a callback of the user's at the link of the code that registers it. It runs in
// the context of that code.

#ifndef TASKCTX_INTERNAL_CANCEL_CALLBACK_LISTENER_H_
#define TASKCTX_INTERNAL_CANCEL_CALLBACK_LISTENER_H_

#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class CallbackListener : private CancelListener {
 protected:
  // Captures context and link. Throws std::bad_alloc.
  CallbackListener();
  ~CallbackListener() override = default;

  // Registers it. Outside of all jobs and scopes it is never called.
  void start() noexcept;
  // Forgets it; the derived class's destructor calls this first.
  void stop() noexcept;

 private:
  virtual void call() = 0;
  void fire() noexcept override;

  const LinkRef link_;
  const NodeRef node_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_CALLBACK_LISTENER_H_
