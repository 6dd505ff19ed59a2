// SPDX-License-Identifier: Apache-2.0
//
// Whatever oneTBB calls of a user's code may throw, at any call, on any number of threads.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "lib/core/node_memory.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/sanitizers.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/throwing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;
namespace ctbb = taskctx::tbb;

// With parallel_deterministic_reduce, too.
constexpr std::string_view kInAGroup = "reduce, in a group";

struct Door {
  const char* name;
  void (*open)();
  std::vector<At> may_throw;
  bool is_leaky = false;  // oneTBB itself loses something after an exception.

  [[nodiscard]] bool loses(At at) const {
    return is_leaky || (at == At::split_of_range &&
                        (std::string_view(name).starts_with("deterministic") || name == kInAGroup));
  }
};

const std::vector<At> kReduction{At::body,         At::split_of_body, At::join,
                                 At::merge,        At::copy_of_range, At::split_of_range,
                                 At::is_divisible, At::copy_of_value, At::move_of_value};
const std::vector<At> kScan{At::body,         At::split_of_body, At::join,
                            At::assign,       At::copy_of_range, At::split_of_range,
                            At::is_divisible, At::copy_of_value, At::move_of_value};

const std::vector<At> kIteration{At::body, At::increment, At::dereference, At::compare_iterators,
                                 At::copy_of_iterator};

const std::vector<Door> kDoors{
    {"for",
     [] { ctbb::parallel_for(whole(), Body(), ctbb::simple_partitioner()); },
     {At::body, At::copy_of_body, At::copy_of_range, At::split_of_range, At::is_divisible}},
    {"for, auto_partitioner",
     [] { ctbb::parallel_for(whole(), Body()); },
     {At::body, At::copy_of_body, At::copy_of_range, At::split_of_range, At::is_divisible}},
    {"for, of indices",
     [] { ctbb::parallel_for(0, kSize, [](int) { bomb.visit(At::body); }); },
     {At::body}},
    {"reduce",
     [] {
       Body body;
       ctbb::parallel_reduce(whole(), body, ctbb::simple_partitioner());
       expect_all(body.sum);
     },
     kReduction},
    {"reduce, auto_partitioner",
     [] {
       Body body;
       ctbb::parallel_reduce(whole(), body);
       expect_all(body.sum);
     },
     kReduction},
    {"reduce, of functions",
     [] {
       const Value sum =
           ctbb::parallel_reduce(whole(), Value(0), &reduced, &joined, ctbb::simple_partitioner());
       expect_all(sum.number);
     },
     kReduction},
    {"deterministic_reduce",
     [] {
       Body body;
       ctbb::parallel_deterministic_reduce(whole(), body);
       expect_all(body.sum);
     },
     kReduction},
    {"deterministic_reduce, of functions",
     [] {
       const Value sum = ctbb::parallel_deterministic_reduce(whole(), Value(0), &reduced, &joined);
       expect_all(sum.number);
     },
     kReduction},
    {"reduce, in a group",
     [] {
       ctbb::task_group_context group;
       const Value sum = ctbb::parallel_deterministic_reduce(whole(), Value(0), &reduced, &joined,
                                                             ctbb::simple_partitioner(), group);
       expect_all(sum.number);
     },
     kReduction},
    {"scan",
     [] {
       Body body;
       ctbb::parallel_scan(whole(), body, ctbb::simple_partitioner());
       expect_all(body.sum);
     },
     kScan,
     /*is_leaky=*/true},
    {"scan, of functions",
     [] {
       const Value sum = ctbb::parallel_scan(
           whole(), Value(0), &scanned,
           [](const Value& left, const Value& right) {
             bomb.visit(At::join);
             return Value(left.number + right.number);
           },
           ctbb::simple_partitioner());
       expect_all(sum.number);
     },
     kScan,
     /*is_leaky=*/true},
    {"for_each",
     [] {
       const std::vector<Value> values(8, Value(1));
       ctbb::parallel_for_each(values, [](Value) { bomb.visit(At::body); });
     },
     {At::body, At::copy_of_value}},
    {"for_each, of forward iterators", &visit_numbers<std::forward_iterator_tag>, kIteration},
    {"for_each, of input iterators", &visit_numbers<std::input_iterator_tag>, kIteration},
    {"for_each, with a feeder",
     [] {
       const std::vector<Value> values(4, Value(1));
       ctbb::parallel_for_each(values, [](const Value& value, ctbb::feeder<Value>& feeder) {
         bomb.visit(At::body);
         if (value.number < 3) {
           const Value next(value.number + 1);
           feeder.add(next);
           feeder.add(Value(3));
         }
       });
     },
     {At::body, At::copy_of_value, At::move_of_value}},
    {"sort",
     [] {
       std::vector<Value> values;
       values.reserve(2000);
       for (int i = 0; i < 2000; ++i) {
         values.emplace_back(i * 7919 % 2003);
       }
       ctbb::parallel_sort(values, [](const Value& a, const Value& b) {
         bomb.visit(At::compare);
         return a.number < b.number;
       });
     },
     {At::compare, At::move_of_value, At::swap_of_values}},
    {"invoke",
     [] {
       const Body body;
       ctbb::parallel_invoke(body, body, body, body, body);
     },
     {At::body}},
    {"pipeline",
     [] {
       using ctbb::filter_mode;
       int left = kSize;
       ctbb::parallel_pipeline(
           4, ctbb::make_filter<void, Value>(filter_mode::serial_in_order,
                                             [&](ctbb::flow_control& control) {
                                               bomb.visit(At::body);
                                               if (left-- == 0) {
                                                 control.stop();
                                               }
                                               return Value(left);
                                             }) &
                  ctbb::make_filter<Value, Value>(filter_mode::parallel,
                                                  [](Value value) {
                                                    bomb.visit(At::body);
                                                    return value;
                                                  }) &
                  ctbb::make_filter<Value, void>(filter_mode::serial_in_order,
                                                 [](const Value&) { bomb.visit(At::body); }));
     },
     {At::body, At::move_of_value},
     /*is_leaky=*/true},
    {"pipeline, copies of a filter",
     [] {
       class Last : public Body {
        public:
         void operator()(ctbb::flow_control& control) const { control.stop(); }
       };
       ctbb::parallel_pipeline(1,
                               ctbb::make_filter<void, void>(ctbb::filter_mode::parallel, Last()));
     },
     {At::copy_of_body}},
    {"group",
     [] {
       ctbb::task_group group;
       try {
         for (int i = 0; i < 8; ++i) {
           const Body body;
           group.run(body);
           group.run(Body());
           ctbb::task_handle task = group.defer(body);
           group.run(std::move(task));
         }
       } catch (...) {
         group.cancel();
         group.wait();
         throw;
       }
       group.wait();
     },
     {At::body, At::copy_of_body, At::move_of_body}},
    {"enqueue",
     [] {
       ctbb::task_arena arena(2);
       std::atomic<int> missing{0};
       class Counted : public Body {
        public:
         explicit Counted(std::atomic<int>& missing) : missing_(missing) {}
         void operator()() const { --missing_; }

        private:
         std::atomic<int>& missing_;
       };
       const Counted counted(missing);
       const auto wait = [&] {
         while (missing != 0) {
           std::this_thread::yield();
         }
       };
       try {
         for (int i = 0; i < 4; ++i) {
           ++missing;
           arena.enqueue(counted);
           ++missing;
           ctbb::this_task_arena::enqueue(counted);
         }
       } catch (...) {
         --missing;
         wait();
         throw;
       }
       wait();
     },
     {At::copy_of_body, At::move_of_body},
     /*is_leaky=*/true},  // The last functions may not be destroyed yet.
    {"execute and isolate",
     [] {
       ctbb::task_arena(2).execute([] { bomb.visit(At::body); });
       ctbb::this_task_arena::isolate([] { bomb.visit(At::body); });
     },
     {At::body}},
    {"call_once",
     [] {
       ctbb::collaborative_once_flag flag;
       ctbb::collaborative_call_once(flag, [] {
         bomb.visit(At::body);
         ctbb::parallel_for(0, 10, [](int) { bomb.visit(At::body); });
       });
     },
     {At::body}},
    {"suspend",
     [] {
       ctbb::task::suspend([](ctbb::task::suspend_point point) { ctbb::task::resume(point); });
     },
     {}},
};

class CallbackErrors : public testing::TestWithParam<int> {
 protected:
  // Opens the door, and tells whether it threw.
  static bool throws(const Door& door) {
    const Scope scope{user, "ann", total, 5L};
    bool is_thrown = false;
    try {
      door.open();
    } catch (const Thrown&) {
      is_thrown = true;
    }
    EXPECT_EQ(user.get(), "ann");
    EXPECT_TRUE(!is_thrown || total.get() == 5);
    return is_thrown;
  }
};

// T23: whatever throws, and at whichever call.
TEST_P(CallbackErrors, ComeOutOfTheCallAndNothingHangsOrIsLeftBehind) {
  StealingArena arena(GetParam());
  arena->execute([&] {
    for (const Door& door : kDoors) {
      if (door.is_leaky && taskctx_test::kAddressSanitizer) {
        continue;
      }
      for (const At at : door.may_throw) {
        const std::string name =
            std::string(door.name) + " " + std::to_string(static_cast<int>(at));
        const Watchdog watchdog(name);
        EXPECT_FALSE(throws(door));  // From now on memory that is kept for reuse is there.
        for (const int count : {0, 1, 2, 5, 20, 60}) {
          SCOPED_TRACE(name + ", call " + std::to_string(count));
          const std::int64_t nodes = taskctx::internal::live_nodes();
          const int alive = Value::alive + Body::alive;
          bomb.set(at, count);
          const bool is_thrown = throws(door);
          EXPECT_EQ(is_thrown, bomb.is_blown());
          bomb.set(At::nothing, 0);
          ctbb::this_task_arena::isolate([] {});  // From here on nobody knows whose the error was.
          if (!door.loses(at)) {
            EXPECT_EQ(Value::alive + Body::alive, alive);
            EXPECT_EQ(taskctx::internal::live_nodes(), nodes);
          }
          EXPECT_FALSE(throws(door));
        }
      }
    }
  });
}

// T23: of several errors one comes out; the group that was given stays cancelled, as by a body's
// error.
TEST_P(CallbackErrors, OfAJoinCancelTheGroupThatWasGiven) {
  const Watchdog watchdog("a join that always throws");
  StealingArena arena(GetParam());
  arena->execute([&] {
    for (int round = 0; round < 100; ++round) {
      ctbb::task_group_context group;
      const auto sum = [](const auto& range, int value) {
        return value + static_cast<int>(range.size());
      };
      const auto fail = [](int, int) -> int { throw Thrown{At::join}; };
      EXPECT_THROW(ctbb::parallel_deterministic_reduce(ctbb::blocked_range<int>(0, 1000), 0, sum,
                                                       fail, ctbb::simple_partitioner(), group),
                   Thrown);
      EXPECT_TRUE(group.is_group_execution_cancelled());
      EXPECT_FALSE(ctbb::is_current_task_group_canceling());
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, CallbackErrors, testing::Values(1, 2, 4, 8));

}  // namespace
