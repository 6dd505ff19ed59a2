// SPDX-License-Identifier: Apache-2.0
//
// The check of reads that find nothing set: for tools that look for lost contexts.

#ifndef TASKCTX_INTERNAL_CORE_MISS_CHECK_H_
#define TASKCTX_INTERNAL_CORE_MISS_CHECK_H_

#include <atomic>
#include <string_view>

#include "taskctx/errors.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The line of code that reads a variable. An argument that nobody gives: its default is the caller.
struct CallSite {
  constexpr CallSite(  // NOLINT(google-explicit-constructor)
      SourcePlace source = SourcePlace::current()) noexcept
      : place(source) {}

  SourcePlace place;
};

// A function that is asked about each read that finds nothing set, if somebody looks for such
// mistakes.
using MissCheck = void (*)(std::string_view variable, const SourcePlace& place);
extern std::atomic<MissCheck> miss_check;
inline void note_miss(std::string_view variable, const CallSite& site) noexcept {
  // Relaxed: the function is code, and nothing was written for it to see.
  if (const MissCheck check = miss_check.load(std::memory_order_relaxed)) [[unlikely]] {
    check(variable, site.place);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_MISS_CHECK_H_
