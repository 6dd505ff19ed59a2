// SPDX-License-Identifier: Apache-2.0
//
// What is known of the body that has thrown an exception.
//
//   const Outcome how = outcome([] { taskctx::tbb::parallel_for(0, 1, [](int) { fail(7); }); });
//   EXPECT_EQ(how, (Outcome{7, 7}));

#ifndef TASKCTX_TESTS_THROWER_H_
#define TASKCTX_TESTS_THROWER_H_

#include <exception>
#include <ostream>

#include "taskctx/context.h"
#include "taskctx/context_of.h"
#include "tests/thread_request.h"

namespace taskctx_test {

// What a body throws: it says for which request.
struct Failed {
  int id;
};

[[noreturn]] inline void fail(int id) {
  request.set(id);
  throw Failed{id};
}

// Returns the request of the body that has thrown what is being handled; 0: unknown.
inline int thrower() {
  const taskctx::Context context = taskctx::context_of(std::current_exception());
  const int* id = context.find(request);
  return id != nullptr ? *id : 0;
}

// The request that an exception names, and that of the context that is known of it.
struct Outcome {
  int thrown = -1;  // Nothing.
  int known = -1;
  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << "thrown in " << outcome.thrown << ", known as " << outcome.known;
  }
  [[nodiscard]] bool is_right() const { return thrown > 0 && thrown == known; }
};

template <typename F>
Outcome outcome(const F& call) {
  try {
    call();
  } catch (const Failed& failed) {
    return {failed.id, thrower()};
  }
  return {};
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_THROWER_H_
