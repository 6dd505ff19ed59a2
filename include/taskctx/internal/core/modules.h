// SPDX-License-Identifier: Apache-2.0
//
// Modules: the program and its shared libraries, as the loader sees them.
//
//   if (is_static(this)) { ... }    // lies in a module's data: neither on the heap nor on a stack
//   keep_loaded(&a_function_of_it);  // from here on, dlclose() does not unload it
//
// On ELF platforms. Elsewhere nothing counts as static, and nothing is kept.

#ifndef TASKCTX_INTERNAL_CORE_MODULES_H_
#define TASKCTX_INTERNAL_CORE_MODULES_H_

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Tells whether the object has static storage duration, or lies within one that has. Takes a
// few nanoseconds, and no lock, with glibc 2.35; otherwise O(modules).
bool is_static(const void* object) noexcept;

// Keeps the module in which this lies, code or data, until the program's end. Takes the loader's
// lock at a module's first time, so the caller holds none that a library's constructors may want.
void keep_loaded(const void* code_or_data) noexcept;
template <typename R, typename... Args>
void keep_loaded(R (*function)(Args...)) noexcept {
  if (function != nullptr) {
    keep_loaded(reinterpret_cast<const void*>(function));
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_MODULES_H_
