// SPDX-License-Identifier: Apache-2.0

#include "taskctx/tbb/lost_context_canary.h"

#include <oneapi/tbb/task.h>

#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "taskctx/errors.h"
#include "taskctx/internal/current.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {
namespace {

constinit std::mutex mutex;
constinit int canaries = 0;  // Guarded by the mutex.

// Reports a read in a task that oneTBB runs, and none of ours does.
void check(std::string_view variable, const SourcePlace& place) {
  const internal::Activation* activation = internal::current_activation();
  if ((activation != &internal::no_activation && activation != &internal::hidden_activation) ||
      oneapi::tbb::task::current_context() == nullptr || internal::set_notifying(true)) {
    return;  // The last one: what the misuse handler itself reads.
  }
  constexpr std::string_view kReason =
      "the body of a plain oneTBB call has no context; call taskctx::tbb instead";
  try {
    std::string text("cannot read variable '");
    text.append(variable).append("': ").append(kReason).append(" (read at ");
    text.append(place.file).append(":").append(std::to_string(place.line)).append(")");
    internal::report_misuse({.message = text, .variable = variable, .place = place});
  } catch (const std::bad_alloc&) {  // Then the reason alone must do.
    internal::report_misuse({.message = kReason, .variable = variable, .place = place});
  }
  internal::set_notifying(false);
}

}  // namespace

LostContextCanary::LostContextCanary() noexcept {
  const std::lock_guard lock(mutex);
  if (++canaries == 1) {
    internal::miss_check.store(&check, std::memory_order_relaxed);
  }
}

LostContextCanary::~LostContextCanary() {
  const std::lock_guard lock(mutex);
  if (--canaries == 0) {
    internal::miss_check.store(nullptr, std::memory_order_relaxed);
  }
}

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx
