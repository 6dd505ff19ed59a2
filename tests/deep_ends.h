// SPDX-License-Identifier: Apache-2.0
//
// Chains of values that hold one another, a million levels deep, which end on a small stack.

#ifndef TASKCTX_TESTS_DEEP_ENDS_H_
#define TASKCTX_TESTS_DEEP_ENDS_H_

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <functional>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/token.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace taskctx_test {

constexpr bool kSlow = kAddressSanitizer || kThreadSanitizer;
constexpr int kLevels = kSlow ? 100'000 : 1'000'000;

// Runs `function` where the stack does for a hundred levels or so, but not for all of them.
inline void with_small_stack(std::function<void()> function) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, (kSlow ? 512 : 128) * 1024), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &function), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

// Is counted as long as it lives, and tells whether any is left.
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted& /*other*/) { ++alive; }
  Counted(Counted&& /*other*/) noexcept { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }

  static inline std::atomic<int> alive{0};
};

// Makes so many levels of something by `next(level before)`, and destroys the last one in a thread
// with a small stack. `left` are left then.
template <typename T, typename F>
void make_and_end(T first, F next, int left = 0, int levels = kLevels) {
  T last = std::move(first);
  for (int i = 0; i < levels; ++i) {
    last = next(std::move(last));
  }
  ASSERT_GE(Counted::alive, levels);
  with_small_stack([&] {
    { const T here = std::move(last); }
    EXPECT_EQ(Counted::alive, left);
  });
}

// Returns a context in which `variable` is set to `value`.
template <typename T>
taskctx::Context context_with(const taskctx::ContextVar<T>& variable, T value) {
  taskctx::Context context;
  context.run([&] { variable.set(std::move(value)); });
  return context;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_DEEP_ENDS_H_
