// SPDX-License-Identifier: Apache-2.0

#include "taskctx/tbb/lost_context_canary.h"

#include <oneapi/tbb/task.h>

#include <mutex>
#include <string_view>

#include "taskctx/errors.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/modules.h"

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
  internal::report_misuse(
      "read variable", "the body of a plain oneTBB call has no context; call taskctx::tbb instead",
      {.message = {}, .variable = variable, .place = place}, "read");
  internal::set_notifying(false);
}

}  // namespace

LostContextCanary::LostContextCanary() noexcept {
  const std::lock_guard lock(mutex);
  if (++canaries == 1) {
    internal::keep_loaded(&check);  // A thread may be in it when the last canary is gone.
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
