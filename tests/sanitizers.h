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

inline bool is_forked_child = false;

}  // namespace taskctx_test

// What the sanitizers ask, by names of theirs.
extern "C" {
// At exit. What the other threads had is lost in a child, so all of it would be a leak.
[[gnu::used]] inline int __lsan_is_turned_off() {  // NOLINT
  return taskctx_test::is_forked_child ? 1 : 0;
}
// At the start. libstdc++ is not instrumented, so nobody sees how it counts those who have an
// exception, and that all of them have let go of it before it is destroyed. (Where _M_release() is
// called last in a function, it is not on the stack.)
[[gnu::used]] inline const char* __tsan_default_suppressions() {  // NOLINT
  return "race:^std::__exception_ptr::exception_ptr::_M_release\n"
         "race:^std::runtime_error::~runtime_error\n"
         "race:^std::logic_error::~logic_error";
}
}

#undef TASKCTX_TESTS_WITH_ASAN
#undef TASKCTX_TESTS_WITH_TSAN

#endif  // TASKCTX_TESTS_SANITIZERS_H_
