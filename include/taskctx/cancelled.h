// SPDX-License-Identifier: Apache-2.0
//
// Cancelled: the exception by which code ends that is to stop (cancel.h).
//
//   try { work(); } catch (const taskctx::Cancelled& cancelled) { return cancelled.status(); }

#ifndef TASKCTX_CANCELLED_H_
#define TASKCTX_CANCELLED_H_

#include <stdexcept>
#include <string>

#include "absl/status/status.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// Thrown where work ends because it was cancelled, or its time is over. A job that ends by it
// counts as cancelled, and nobody is told.
class Cancelled : public std::runtime_error {
 public:
  // Takes the reason: CANCELLED, or DEADLINE_EXCEEDED. `message` is what what() returns.
  Cancelled(const std::string& message, absl::Status reason)
      : std::runtime_error(message), status_(std::move(reason)) {}
  explicit Cancelled(const std::string& message)
      : Cancelled(message, absl::CancelledError(message)) {}

  // Returns the reason: whose deadline or cancel() it was can be told by that.
  [[nodiscard]] const absl::Status& status() const noexcept { return status_; }

 private:
  absl::Status status_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CANCELLED_H_
