// SPDX-License-Identifier: Apache-2.0
//
// A program's operator new and delete that use context variables themselves, as allocators do that
// log or count: they read, set for a moment, and set what stays. For one source of a program.
//
//   const Armed arm;  // from here on, on this thread

#ifndef TASKCTX_TESTS_MEDDLING_NEW_H_
#define TASKCTX_TESTS_MEDDLING_NEW_H_

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

namespace taskctx_test {

// What the program's operator new uses.
inline taskctx::ContextVar<int> depth{"depth", 0};
inline taskctx::ContextVar<long> calls{"calls", 0};
inline taskctx::ContextVar<long> unset_again{"unset_again"};

inline std::atomic<bool> armed_everywhere{false};
inline constinit thread_local bool armed = false;
inline constinit thread_local bool is_at_it = false;
inline constinit thread_local bool takes_snapshots = false;
inline constinit thread_local long made_calls = 0;  // While `armed`.
inline constinit thread_local taskctx::Context* snapshot = nullptr;
inline constinit std::atomic<long> wrong_depths{0};

inline void use_context() {
  if (is_at_it || !(armed || armed_everywhere.load(std::memory_order_relaxed))) {
    return;
  }
  is_at_it = true;
  const int before = depth.get();
  {
    const taskctx::Scope scope{depth, before + 1, unset_again, 1L};
    wrong_depths += depth.get() == before + 1 ? 0 : 1;
  }
  wrong_depths += depth.get() == before && unset_again.find() == nullptr ? 0 : 1;
  (void)calls.set(calls.get() + 1);
  made_calls += armed ? 1 : 0;
  if (takes_snapshots && snapshot != nullptr) {
    *snapshot = taskctx::copy_context();
  }
  is_at_it = false;
}

}  // namespace taskctx_test

void* operator new(std::size_t size) {
  taskctx_test::use_context();
  if (void* memory = std::malloc(size != 0 ? size : 1)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  taskctx_test::use_context();
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }

namespace taskctx_test {

// Arms operator new on this thread for a block.
class Armed {
 public:
  Armed() { armed = true; }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
  ~Armed() { armed = false; }
};

inline taskctx::ContextVar<int> number{"number", 1};
inline taskctx::ContextVar<std::string> text{"text"};
inline taskctx::ContextVar<int> third{"third", 3};

inline const std::string kLong(40, 'x');  // Has memory of its own.
inline const std::string kOther(50, 'y');

// How many variables there are beside: so that the context is one leaf, a wide node or a tree.
inline std::vector<std::unique_ptr<taskctx::ContextVar<int>>> variables(int count) {
  std::vector<std::unique_ptr<taskctx::ContextVar<int>>> made;
  for (int i = 0; i < count; ++i) {
    made.push_back(std::make_unique<taskctx::ContextVar<int>>("more", -1));
    (void)made.back()->id();
  }
  return made;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_MEDDLING_NEW_H_
