// SPDX-License-Identifier: Apache-2.0
//
// Whether a sanitizer watches: those take memory and time of their own, and know nothing of some
// things. (g++ and clang tell it in different ways.)

#ifndef TASKCTX_TESTS_SANITIZERS_H_
#define TASKCTX_TESTS_SANITIZERS_H_

#if defined(__SANITIZE_ADDRESS__)
#define TASKCTX_TESTS_WITH_ASAN true
#elif defined(__SANITIZE_THREAD__)
#define TASKCTX_TESTS_WITH_TSAN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TASKCTX_TESTS_WITH_ASAN true
#elif __has_feature(thread_sanitizer)
#define TASKCTX_TESTS_WITH_TSAN true
#endif
#endif

namespace taskctx_test {

#ifdef TASKCTX_TESTS_WITH_ASAN
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#ifdef TASKCTX_TESTS_WITH_TSAN
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace taskctx_test

#undef TASKCTX_TESTS_WITH_ASAN
#undef TASKCTX_TESTS_WITH_TSAN

#endif  // TASKCTX_TESTS_SANITIZERS_H_
