// SPDX-License-Identifier: Apache-2.0
//
// A fixture for the tests of algorithms, and a body that looks at its context in each of its
// members.

#ifndef TASKCTX_TESTS_TBB_ALGORITHMS_H_
#define TASKCTX_TESTS_TBB_ALGORITHMS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"

namespace taskctx_test {

namespace ctbb = taskctx::tbb;

using Range = ctbb::blocked_range<int>;

inline const taskctx::ContextVar<std::string> request_id("request_id");

// Counts what runs in another context than its own.
inline std::atomic<int> wrong{0};
inline void look() { wrong += static_cast<int>(request_id.get("none") != "r-1"); }

class Algorithms : public testing::TestWithParam<int> {
 protected:
  // Runs `function` in an arena, in a context.
  template <typename F>
  void run(const F& function) {
    wrong = 0;
    StealingArena arena(GetParam());
    arena->execute([&] {
      const taskctx::Scope scope{request_id, "r-1"};
      function();
      EXPECT_EQ(request_id.get("none"), "r-1");
    });
    EXPECT_EQ(wrong, 0);
  }
};

// Every part of it looks at the context.
class WatchfulSum {
 public:
  WatchfulSum() = default;
  WatchfulSum(WatchfulSum& /*other*/, ctbb::split /*split*/) { look(); }
  WatchfulSum(const WatchfulSum&) = delete;
  WatchfulSum& operator=(const WatchfulSum&) = delete;
  ~WatchfulSum() { look(); }
  void operator()(const Range& range) {
    look();
    sum_ += static_cast<int>(range.size());
  }
  template <typename Tag>
  void operator()(const Range& range, Tag /*tag*/) {
    (*this)(range);
  }
  void join(WatchfulSum& right) {
    look();
    sum_ += right.sum_;
  }
  void reverse_join(WatchfulSum& left) {
    look();
    sum_ += left.sum_;
  }
  void assign(WatchfulSum& other) {
    look();
    sum_ = other.sum_;
  }
  [[nodiscard]] int sum() const { return sum_; }

 private:
  int sum_ = 0;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_TBB_ALGORITHMS_H_
