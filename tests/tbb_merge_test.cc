// SPDX-License-Identifier: Apache-2.0
//
// What the bodies of a reduction set of variables with a merge function comes back to the caller,
// merged from left to right.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

using Range = ctbb::blocked_range<int>;

// Bodies begin with a neutral value.
const ContextVar<long> errors("errors",
                              {.policy = taskctx::policy::copy([](const long&) { return 0L; }),
                               .merge = [](const long& left, const long& right) {
                                 return left + right;
                               }});
const ContextVar<std::string> trail(
    "trail",
    {.policy = taskctx::policy::copy([](const std::string&) { return std::string(); }),
     .merge = [](const std::string& left, const std::string& right) { return left + right; }});
// Bodies begin with the caller's.
const ContextVar<int> worst("worst", {.merge = [](const int& left, const int& right) {
                              return left < right ? right : left;
                            }});
const ContextVar<int> plain("plain");

class Merging : public testing::TestWithParam<int> {
 protected:
  // Visits 0, 1, ... 999 in a reduction of each kind, and expects their sum.
  template <typename Visit>
  void reduce(const Visit& visit) {
    const auto sum = [&](const Range& range, long value) {
      all_.take_part();
      for (int i = range.begin(); i < range.end(); ++i) {
        visit(i);
        value += i;
      }
      return value;
    };
    StealingArena arena(GetParam());
    arena->execute([&] {
      const ctbb::simple_partitioner simple;
      EXPECT_EQ(ctbb::parallel_reduce(Range(0, 1000), 0L, sum, std::plus<>(), simple), 499'500);
      EXPECT_EQ(ctbb::parallel_deterministic_reduce(Range(0, 1000), 0L, sum, std::plus<>()),
                499'500);
    });
  }

  AllThreads all_{GetParam()};
};

// F-D8, F-F4
TEST_P(Merging, AReductionAddsUpWhatItsBodiesHaveCounted) {
  const Scope scope{errors, 5L};
  reduce([](int i) {
    if (i % 10 == 0) {
      errors.set(errors.get(0L) + 1);
    }
  });
  EXPECT_EQ(errors.get(), 205);
}

// F-D8, F-F4: merging need not be commutative: it keeps the order of the range.
TEST_P(Merging, AReductionMergesInTheOrderOfItsRange) {
  std::string expected = "begin";
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) {
      expected += std::to_string(i) + " ";
    }
  }
  const Scope scope{trail, std::string("begin")};
  reduce([](int i) { trail.set(trail.get("") + std::to_string(i) + " "); });
  EXPECT_EQ(trail.get(), expected);
}

// F-D8: also where the caller has set nothing, and where bodies begin with the caller's value.
TEST_P(Merging, TheCallersValueIsTheFirstOfAll) {
  reduce([](int i) {
    if (i == 700) {
      worst.set(7);
    }
  });
  EXPECT_EQ(worst.get(0), 7);
  worst.set(9);
  reduce([](int i) {
    EXPECT_EQ(worst.get(), 9);
    worst.set(i % 10);
  });
  EXPECT_EQ(worst.get(), 9);
  const auto forget = worst.unset();
}

// F-D8: a variable without a merge function ends with the body, and so does one that nobody sets.
TEST_P(Merging, OnlyVariablesWithAMergeFunctionComeBack) {
  const Scope scope{errors, 5L, plain, 1};
  reduce([](int i) { plain.set(i); });
  EXPECT_EQ(errors.get(), 5);
  EXPECT_EQ(plain.get(), 1);
  EXPECT_EQ(trail.find(), nullptr);
}

// F-D8: nothing comes back by exception.
TEST_P(Merging, AnExceptionLeavesTheCallersValues) {
  const Scope scope{errors, 5L};
  EXPECT_THROW(reduce([](int i) {
                 errors.set(errors.get(0L) + 1);
                 if (i == 500) {
                   throw std::runtime_error("from a body");
                 }
               }),
               std::runtime_error);
  EXPECT_EQ(errors.get(), 5);
}

// F-D8: a job's results come back to whoever takes them, in the order of taking.
TEST_P(Merging, WhatAJobHasSetComesBackWithItsResult) {
  JobPool pool({.concurrency = GetParam()});
  const Scope scope{errors, 5L, trail, "caller", plain, 1};
  std::vector<taskctx::Job<int>> jobs;
  for (int i = 0; i < 10; ++i) {
    jobs.push_back(pool.submit([i] {
      errors.set(errors.get() + i);
      trail.set(", job " + std::to_string(i));
      plain.set(2);
      return i;
    }));
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(jobs[static_cast<std::size_t>(i)].get(), i);
  }
  EXPECT_EQ(errors.get(), 5 + 0 + 1 + 2);
  EXPECT_EQ(trail.get(), "caller, job 0, job 1, job 2");
  EXPECT_EQ(plain.get(), 1);
  jobs[9].wait();
  jobs.clear();  // What nobody takes does not come back.
  EXPECT_EQ(errors.get(), 8);
}

// F-D8: a job that throws brings nothing back.
TEST_P(Merging, AJobThatThrowsLeavesTheCallersValues) {
  JobPool pool({.concurrency = GetParam()});
  const Scope scope{errors, 5L};
  taskctx::Job<void> job = pool.submit([] {
    errors.set(1);
    throw std::runtime_error("failed");
  });
  EXPECT_THROW(job.get(), std::runtime_error);
  EXPECT_EQ(errors.get(), 5);
}

INSTANTIATE_TEST_SUITE_P(Threads, Merging, testing::Values(1, 2, 4, 8));

}  // namespace
