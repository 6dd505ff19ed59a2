// SPDX-License-Identifier: Apache-2.0
//
// The version of taskctx, for the preprocessor and at run time.
//
//   static_assert(TASKCTX_VERSION >= 100);  // 0.1.0 or later

#ifndef TASKCTX_VERSION_H_
#define TASKCTX_VERSION_H_

#if __cplusplus < 202002L
#error "taskctx needs C++20: compile with -std=c++20 (Bazel: --cxxopt=-std=c++20)"
#elif !defined(__cpp_exceptions)
// Compilers would complain of each throw, too.
#ifdef __clang__
#pragma clang diagnostic fatal "-W#warnings"
#warning "taskctx needs exceptions: compile without -fno-exceptions"
#else
#pragma GCC optimize("exceptions")
#endif
#error "taskctx needs exceptions: compile without -fno-exceptions"
#endif

#include <string_view>

// Tells the version of the headers as major * 10000 + minor * 100 + patch. This is the only macro
// that taskctx defines for its users.
#define TASKCTX_VERSION 100

namespace taskctx {
inline namespace v1 {

// Returns the version of the library that the program is linked with, such as "0.1.0". The view is
// valid for ever.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_VERSION_H_
