// SPDX-License-Identifier: Apache-2.0
//
// Cancellation of oneTBB's algorithms, groups and arenas: the outermost one of a scope is ended,
// with all that is in it, on every thread, and says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <list>
#include <numeric>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/bind.h"
#include "taskctx/cancel.h"
#include "taskctx/tbb.h"
#include "tests/support.h"
#include "tests/thread_numbers.h"

namespace taskctx_test {
namespace {

namespace ctbb = taskctx::tbb;

using taskctx::cancelled;
using taskctx::CancelScope;
using taskctx::Shield;

using Range = ctbb::blocked_range<int>;

// What an algorithm does for each item; it has kItems of them.
using Item = std::function<void()>;
constexpr int kItems = 1000;

struct Algorithm {
  const char* name;
  void (*run)(const Item& item);
};
void PrintTo(const Algorithm& algorithm, std::ostream* out) { *out << algorithm.name; }

// Calls the item for each element of a range.
struct Sum {
  explicit Sum(const Item& its_item) : item(its_item) {}
  Sum(Sum& other, ctbb::split /*split*/) : item(other.item) {}
  template <typename... Tag>
  void operator()(const Range& range, Tag... /*tag*/) {
    for (int i = range.begin(); i < range.end(); ++i) {
      item();
    }
  }
  void join(Sum& /*right*/) {}
  void reverse_join(Sum& /*left*/) {}
  void assign(Sum& /*other*/) {}
  const Item& item;
};

const std::vector<Algorithm> kAlgorithms = {
    {"ForIndices", [](const Item& item) { ctbb::parallel_for(0, kItems, [&](int) { item(); }); }},
    {"ForRange",
     [](const Item& item) {
       ctbb::parallel_for(Range(0, kItems, 1), [&](const Range& range) {
         for (int i = range.begin(); i < range.end(); ++i) {
           item();
         }
       });
     }},
    {"ForSimplePartitioner",
     [](const Item& item) {
       ctbb::parallel_for(
           0, kItems, [&](int) { item(); }, ctbb::simple_partitioner());
     }},
    {"ForOwnGroup",
     [](const Item& item) {
       // One that is bound would be bound to a loop around, under a shield, too.
       ctbb::task_group_context group(ctbb::task_group_context::isolated);
       ctbb::parallel_for(
           0, kItems, [&](int) { item(); }, group);
     }},
    {"ForEachRandomAccess",
     [](const Item& item) {
       const std::vector<int> items(kItems);
       ctbb::parallel_for_each(items, [&](int) { item(); });
     }},
    {"ForEachForward",
     [](const Item& item) {
       const std::list<int> items(kItems);
       ctbb::parallel_for_each(items, [&](int) { item(); });
     }},
    {"ForEachFeeder",
     [](const Item& item) {
       const std::vector<int> items{kItems};
       ctbb::parallel_for_each(items, [&](int left, ctbb::feeder<int>& feeder) {
         item();
         if (left > 1) {
           feeder.add(left - 1);
         }
       });
     }},
    {"Invoke",
     [](const Item& item) {
       const auto many = [&] {
         for (int i = 0; i < kItems / 2; ++i) {
           item();
         }
       };
       ctbb::parallel_invoke(many, many);
     }},
    {"Reduce",
     [](const Item& item) {
       Sum sum(item);
       ctbb::parallel_reduce(Range(0, kItems, 1), sum);
     }},
    {"DeterministicReduce",
     [](const Item& item) {
       (void)ctbb::parallel_deterministic_reduce(
           Range(0, kItems, 1), 0,
           [&](const Range& range, int sum) {
             for (int i = range.begin(); i < range.end(); ++i) {
               item();
             }
             return sum;
           },
           std::plus<>());
     }},
    {"Scan",
     [](const Item& item) {
       Sum sum(item);
       ctbb::parallel_scan(Range(0, kItems, 1), sum);
     }},
    {"Sort",
     [](const Item& item) {
       std::vector<int> items(kItems);
       std::iota(items.rbegin(), items.rend(), 0);
       ctbb::parallel_sort(items, [&](int a, int b) {
         item();
         return a < b;
       });
     }},
    {"Pipeline",
     [](const Item& item) {
       int i = 0;
       ctbb::parallel_pipeline(
           4, ctbb::make_filter<void, int>(ctbb::filter_mode::serial_in_order,
                                           [&](ctbb::flow_control& control) {
                                             if (++i > kItems) {
                                               control.stop();
                                             }
                                             return i;
                                           }) &
                  ctbb::make_filter<int, void>(ctbb::filter_mode::parallel, [&](int) { item(); }));
     }},
    {"Group",
     [](const Item& item) {
       ctbb::task_group group;
       for (int i = 0; i < kItems; ++i) {
         group.run(item);
       }
       group.wait();
     }},
    {"GroupRunAndWait",
     [](const Item& item) {
       ctbb::task_group group;
       group.run_and_wait([&] {
         for (int i = 0; i < kItems; ++i) {
           group.run(item);
         }
       });
     }},
};

class CancelledAlgorithm : public testing::TestWithParam<Algorithm> {
 protected:
  static void run(const Item& item) { GetParam().run(item); }
  const Watchdog watchdog{"a cancelled algorithm"};
};

// F-H6
TEST_P(CancelledAlgorithm, DoesNotBeginInACancelledScope) {
  on_each_number_of_threads([] {
    CancelScope scope;
    scope.cancel("too late");
    try {
      run([] { ADD_FAILURE(); });
      ADD_FAILURE();
    } catch (const taskctx::Cancelled& error) {
      EXPECT_EQ(error.status(), absl::CancelledError("too late"));
    }
  });
}

// F-H6: also by a scope around, and from another thread.
TEST_P(CancelledAlgorithm, EndsEarlyAndThrows) {
  on_each_number_of_threads([] {
    CancelScope outer;
    const CancelScope inner;
    std::atomic<int> calls{0};
    std::atomic<bool> is_over{false};
    std::thread canceller([&] {
      while (calls == 0) {
        std::this_thread::yield();
      }
      outer.cancel("enough");
      is_over = true;
    });
    EXPECT_THROW(run([&] {
                   ++calls;
                   while (!is_over) {  // The bodies that have begun are ended by nobody.
                     std::this_thread::yield();
                   }
                   EXPECT_TRUE(cancelled());
                 }),
                 taskctx::Cancelled);
    canceller.join();
    EXPECT_GE(calls, 1);
  });
}

// F-H6: loops in leaves bind to the outermost one; each of them throws.
TEST_P(CancelledAlgorithm, EndsWithAllThatIsInIt) {
  on_each_number_of_threads([] {
    CancelScope scope;
    std::atomic<int> calls{0};
    std::atomic<int> unharmed{0};
    EXPECT_THROW(ctbb::parallel_for(0, 100,
                                    [&](int) {
                                      run([&] {
                                        if (++calls == 10) {
                                          scope.cancel();
                                        }
                                      });
                                      ++unharmed;
                                    }),
                 taskctx::Cancelled);
    EXPECT_LT(unharmed, 100);
  });
}

// F-H4, F-H6: a clean-up in a leaf of a cancelled loop.
TEST_P(CancelledAlgorithm, RunsWholeUnderAShield) {
  on_each_number_of_threads([] {
    CancelScope scope;
    std::atomic<int> calls{0};
    std::atomic<int> leaves{0};
    EXPECT_THROW(ctbb::parallel_for(0, 4,
                                    [&](int) {
                                      scope.cancel();
                                      ++leaves;
                                      const Shield shield;
                                      run([&] { ++calls; });
                                    }),
                 taskctx::Cancelled);
    EXPECT_GE(calls, leaves * kItems);
  });
}

// F-H6: in arenas of their own, on other threads' stacks.
TEST_P(CancelledAlgorithm, EndsEarlyInAnotherArena) {
  on_each_number_of_threads([] {
    CancelScope scope;
    std::atomic<int> calls{0};
    ctbb::task_arena other(2);
    EXPECT_THROW(other.execute([&] {
      run([&] {
        if (++calls == 1) {
          scope.cancel();
        }
      });
      ADD_FAILURE();
    }),
                 taskctx::Cancelled);
    EXPECT_THROW(other.execute([] { ADD_FAILURE(); }), taskctx::Cancelled);
  });
}

// F-H6: cancelling what is inside leaves the rest alone; so does an error.
TEST_P(CancelledAlgorithm, IsAloneCancelledWithItsOwnScope) {
  on_each_number_of_threads([] {
    const CancelScope outer;
    std::atomic<int> done{0};
    ctbb::parallel_for(0, 8, [&](int) {
      {
        CancelScope scope;
        std::atomic<int> calls{0};
        EXPECT_THROW(run([&] {
                       if (++calls == 3) {
                         scope.cancel();
                       }
                     }),
                     taskctx::Cancelled);
      }
      EXPECT_THROW(run([] { throw std::runtime_error("broken"); }), std::runtime_error);
      ++done;
    });
    EXPECT_EQ(done, 8);
  });
}

// F-H1, F-H6: it is the work of the code that has made it.
TEST_P(CancelledAlgorithm, BelongsToTheMakerOfABoundCallable) {
  on_each_number_of_threads([] {
    std::atomic<int> calls{0};
    const auto outside = taskctx::bind([&] { run([&] { ++calls; }); });
    CancelScope scope;
    const auto inside = taskctx::bind([&] { run([] { ADD_FAILURE(); }); });
    scope.cancel();
    outside();
    EXPECT_GE(calls, kItems);
    std::thread([&] { EXPECT_THROW(inside(), taskctx::Cancelled); }).join();
  });
}

INSTANTIATE_TEST_SUITE_P(Each, CancelledAlgorithm, testing::ValuesIn(kAlgorithms),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace taskctx_test
