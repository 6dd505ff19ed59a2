// SPDX-License-Identifier: Apache-2.0
//
// How the canary checks a read that finds no value.

#include "taskctx/tbb/lost_context_canary.h"

#include <oneapi/tbb/task.h>

#include <atomic>
#include <string_view>

#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/miss_check.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/watch.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {
namespace {

constinit std::atomic<int> canaries{0};

// Reports a read in a oneTBB task that is not taskctx's.
void check(std::string_view variable, const SourcePlace& place) {
  const internal::Activation* activation = internal::current_activation();
  if (canaries.load(std::memory_order_relaxed) == 0 ||
      (activation != &internal::no_activation && activation != &internal::hidden_activation) ||
      oneapi::tbb::task::current_context() == nullptr || internal::set_notifying(true)) {
    return;  // (The last condition: the misuse handler itself reads.)
  }
  internal::report_misuse(
      "read variable", "the body of a plain oneTBB call has no context; call taskctx::tbb instead",
      {.message = {}, .variable = variable, .place = place}, "read");
  internal::set_notifying(false);
}

}  // namespace

// The check stays installed after the last canary, and then finds that there is none. The counters
// are relaxed: they order nothing.
LostContextCanary::LostContextCanary() noexcept {
  internal::keep_loaded(&check);
  canaries.fetch_add(1, std::memory_order_relaxed);
  internal::miss_check.store(&check, std::memory_order_relaxed);
}

LostContextCanary::~LostContextCanary() { canaries.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx
