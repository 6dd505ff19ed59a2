// SPDX-License-Identifier: Apache-2.0
//
// Every door through which oneTBB runs code of the user's, as a list: a test that goes through all
// of them is a loop.

#ifndef TESTS_TBB_DOORS_H_
#define TESTS_TBB_DOORS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <forward_list>
#include <functional>
#include <iterator>
#include <numeric>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/tbb.h"

namespace taskctx_test {

// Counts tasks that nobody waits for.
class Pending {
 public:
  void begin() { ++count_; }
  void end() {
    if (--count_ == 0) {
      count_.notify_all();
    }
  }
  void wait() const {
    for (int count = count_; count != 0; count = count_) {
      count_.wait(count);
    }
  }

 private:
  std::atomic<int> count_{0};
};

// What goes through a door: called at least once for each of `calls`, on any thread.
struct Visit {
  std::function<void()> body;
  int calls;
  Pending& pending;
};

struct Door {
  const char* name;
  void (*open)(const Visit& visit);
  bool waits = true;    // Returns when all calls have; what they throw comes out.
  bool is_many = true;  // Calls the body many times, and not only once.

  // Tells whether it calls the body exactly as often as it is asked to.
  [[nodiscard]] bool is_exact() const {
    const std::string_view its_name(name);
    return is_many && its_name.find("range") == its_name.npos &&
           its_name.find("reduce") == its_name.npos && its_name.find("scan") == its_name.npos &&
           its_name.find("sort") == its_name.npos;
  }

  friend void PrintTo(const Door& door, std::ostream* out) { *out << door.name; }
};

namespace doors {

namespace ctbb = taskctx::tbb;
using Range = ctbb::blocked_range<int>;

inline int visit_range(const Visit& visit, const Range& range) {
  visit.body();
  return static_cast<int>(range.size());
}

template <typename Partitioner>
void for_index(const Visit& visit) {
  Partitioner partitioner;
  ctbb::parallel_for(
      0, visit.calls, [&](int) { visit.body(); }, partitioner);
}
template <typename Partitioner>
void for_range(const Visit& visit) {
  Partitioner partitioner;
  ctbb::parallel_for(
      Range(0, visit.calls), [&](const Range& range) { visit_range(visit, range); }, partitioner);
}
inline void for_step(const Visit& visit) {
  ctbb::task_group_context context;
  ctbb::parallel_for(
      0, visit.calls * 3, 3, [&](int) { visit.body(); }, context);
}

template <typename Container>
void for_each(const Visit& visit) {
  const Container items(static_cast<std::size_t>(visit.calls), 1);
  ctbb::parallel_for_each(items, [&](int) { visit.body(); });
}
inline void for_each_input(const Visit& visit) {
  std::ostringstream text;
  for (int i = 0; i < visit.calls; ++i) {
    text << i << ' ';
  }
  std::istringstream input(text.str());
  ctbb::parallel_for_each(std::istream_iterator<int>(input), std::istream_iterator<int>(),
                          [&](int) { visit.body(); });
}
inline void for_each_feeder(const Visit& visit) {
  const std::vector<int> first{visit.calls - 1};
  ctbb::parallel_for_each(first, [&](int more, ctbb::feeder<int>& feeder) {
    if (more > 0) {
      feeder.add((more + 1) / 2 - 1);
      if (more > 1) {
        feeder.add(more / 2 - 1);
      }
    }
    visit.body();
  });
}

// A Body of reductions and scans, of which every member visits.
class Sum {
 public:
  explicit Sum(const Visit& visit) : visit_(visit) {}
  Sum(Sum& other, ctbb::split /*split*/) : visit_(other.visit_) { visit_.body(); }
  void operator()(const Range& range) { sum_ += visit_range(visit_, range); }
  template <typename Tag>
  void operator()(const Range& range, Tag /*tag*/) {
    sum_ += visit_range(visit_, range);
  }
  void join(Sum& right) {
    visit_.body();
    sum_ += right.sum_;
  }
  void reverse_join(Sum& left) {
    visit_.body();
    sum_ += left.sum_;
  }
  void assign(Sum& other) {
    visit_.body();
    sum_ = other.sum_;
  }
  void expect(int sum) const { EXPECT_EQ(sum_, sum); }

 private:
  const Visit& visit_;
  int sum_ = 0;
};

inline void reduce(const Visit& visit) {
  EXPECT_EQ(ctbb::parallel_reduce(
                Range(0, visit.calls), 0,
                [&](const Range& range, int sum) { return sum + visit_range(visit, range); },
                [&](int left, int right) {
                  visit.body();
                  return left + right;
                },
                ctbb::simple_partitioner()),
            visit.calls);
}
inline void reduce_body(const Visit& visit) {
  Sum sum(visit);
  ctbb::parallel_reduce(Range(0, visit.calls), sum, ctbb::simple_partitioner());
  sum.expect(visit.calls);
}
inline void deterministic_reduce(const Visit& visit) {
  EXPECT_EQ(ctbb::parallel_deterministic_reduce(
                Range(0, visit.calls), 0,
                [&](const Range& range, int sum) { return sum + visit_range(visit, range); },
                [&](int left, int right) {
                  visit.body();
                  return left + right;
                }),
            visit.calls);
}
inline void deterministic_reduce_body(const Visit& visit) {
  Sum sum(visit);
  ctbb::parallel_deterministic_reduce(Range(0, visit.calls), sum);
  sum.expect(visit.calls);
}
inline void scan(const Visit& visit) {
  EXPECT_EQ(ctbb::parallel_scan(
                Range(0, visit.calls), 0,
                [&](const Range& range, int sum, bool /*is_final*/) {
                  return sum + visit_range(visit, range);
                },
                [&](int left, int right) {
                  visit.body();
                  return left + right;
                },
                ctbb::simple_partitioner()),
            visit.calls);
}
inline void scan_body(const Visit& visit) {
  Sum sum(visit);
  ctbb::parallel_scan(Range(0, visit.calls), sum, ctbb::simple_partitioner());
  sum.expect(visit.calls);
}

inline void sort(const Visit& visit) {
  std::vector<int> numbers(600);  // oneTBB sorts fewer on one thread.
  std::iota(numbers.rbegin(), numbers.rend(), 0);
  std::atomic<int> left{visit.calls};
  ctbb::parallel_sort(numbers, [&](int a, int b) {
    if (left-- > 0) {
      visit.body();
    }
    return a < b;
  });
  EXPECT_EQ(numbers.front(), 0);
}
// Has an operator<, which visits.
struct Visiting {
  int number;
  const Visit* visit;
  std::atomic<int>* left;
  friend bool operator<(const Visiting& a, const Visiting& b) {
    if ((*a.left)-- > 0) {
      a.visit->body();
    }
    return a.number < b.number;
  }
};
inline void sort_by_operator(const Visit& visit) {
  std::atomic<int> left{visit.calls};
  std::vector<Visiting> items;
  for (int i = 600; i-- > 0;) {
    items.push_back({i, &visit, &left});
  }
  ctbb::parallel_sort(items);
  EXPECT_EQ(items.front().number, 0);
}

inline void invoke(const Visit& visit) {
  const auto quarter = [&] {
    for (int i = 0; i < visit.calls; i += 8) {
      ctbb::parallel_invoke(visit.body, visit.body);
    }
  };
  ctbb::task_group_context context;
  ctbb::parallel_invoke(quarter, quarter, quarter, quarter, context);
}

inline void pipeline(const Visit& visit) {
  int next = 0;
  ctbb::parallel_pipeline(4,
                          ctbb::make_filter<void, int>(ctbb::filter_mode::serial_in_order,
                                                       [&](ctbb::flow_control& control) {
                                                         if (++next > visit.calls) {
                                                           control.stop();
                                                         } else {
                                                           visit.body();
                                                         }
                                                         return next;
                                                       }),
                          ctbb::make_filter<int, void>(ctbb::filter_mode::parallel, [](int) {}));
}

inline void call_once(const Visit& visit) {
  ctbb::collaborative_once_flag flag;
  ctbb::collaborative_call_once(flag, visit.body);
}

inline void group_run(const Visit& visit) {
  ctbb::task_group group;
  for (int i = 0; i < visit.calls; ++i) {
    group.run(visit.body);
  }
  group.wait();
}
inline void group_defer(const Visit& visit) {
  ctbb::task_group_context context;
  ctbb::task_group group(context);
  std::vector<ctbb::task_handle> handles;
  for (int i = 0; i < visit.calls; ++i) {
    handles.push_back(group.defer(visit.body));
  }
  ctbb::task_handle last = std::move(handles.back());
  handles.pop_back();
  for (ctbb::task_handle& handle : handles) {
    group.run(std::move(handle));
  }
  group.run_and_wait(std::move(last));
}
inline void group_run_and_wait(const Visit& visit) {
  ctbb::task_group group;
  for (int i = 1; i < visit.calls; ++i) {
    group.run(visit.body);
  }
  group.run_and_wait(visit.body);
}

inline void execute(const Visit& visit) {
  ctbb::task_arena arena{ctbb::task_arena::attach()};
  EXPECT_EQ(arena.execute([&] {
    visit.body();
    return 5;
  }),
            5);
}
inline void isolate(const Visit& visit) {
  EXPECT_EQ(ctbb::this_task_arena::isolate([&] {
              visit.body();
              return 5;
            }),
            5);
}

inline auto pending_task(const Visit& visit) {
  visit.pending.begin();
  return [body = visit.body, &pending = visit.pending] {
    body();
    pending.end();
  };
}
inline void enqueue(const Visit& visit) {
  ctbb::task_arena arena{ctbb::task_arena::attach()};
  for (int i = 0; i < visit.calls; ++i) {
    arena.enqueue(pending_task(visit));
  }
}
inline void enqueue_here(const Visit& visit) {
  for (int i = 0; i < visit.calls; ++i) {
    ctbb::this_task_arena::enqueue(pending_task(visit));
  }
}
inline void enqueue_handles(const Visit& visit) {
  // A group that lives until its tasks have run; so its context must not be bound to the caller's.
  static auto* const context = new ctbb::task_group_context(ctbb::task_group_context::isolated);
  static auto* const group = new ctbb::task_group(*context);
  ctbb::task_arena arena{ctbb::task_arena::attach()};
  for (int i = 0; i < visit.calls; i += 2) {
    arena.enqueue(group->defer(pending_task(visit)));
    ctbb::this_task_arena::enqueue(group->defer(pending_task(visit)));
  }
}

#if TBB_INTERFACE_VERSION >= 12170
inline void enqueue_in_group(const Visit& visit) {
  ctbb::task_arena arena(2);
  ctbb::task_group group;
  for (int i = 0; i < visit.calls; ++i) {
    arena.enqueue(visit.body, group);
  }
  arena.wait_for(group);
}
#endif

}  // namespace doors

inline const Door kDoors[] = {
    {"for_index_auto", doors::for_index<taskctx::tbb::auto_partitioner>},
    {"for_index_simple", doors::for_index<taskctx::tbb::simple_partitioner>},
    {"for_index_static", doors::for_index<taskctx::tbb::static_partitioner>},
    {"for_index_affinity", doors::for_index<taskctx::tbb::affinity_partitioner>},
    {"for_range_auto", doors::for_range<taskctx::tbb::auto_partitioner>},
    {"for_range_simple", doors::for_range<taskctx::tbb::simple_partitioner>},
    {"for_range_static", doors::for_range<taskctx::tbb::static_partitioner>, true, false},
    {"for_range_affinity", doors::for_range<taskctx::tbb::affinity_partitioner>},
    {"for_step", doors::for_step},
    {"for_each_random_access", doors::for_each<std::vector<int>>},
    {"for_each_forward", doors::for_each<std::forward_list<int>>},
    {"for_each_input", doors::for_each_input},
    {"for_each_feeder", doors::for_each_feeder},
    {"reduce", doors::reduce},
    {"reduce_body", doors::reduce_body},
    {"deterministic_reduce", doors::deterministic_reduce},
    {"deterministic_reduce_body", doors::deterministic_reduce_body},
    {"scan", doors::scan},
    {"scan_body", doors::scan_body},
    {"sort", doors::sort},
    {"sort_by_operator", doors::sort_by_operator},
    {"invoke", doors::invoke},
    {"pipeline", doors::pipeline},
    {"call_once", doors::call_once, true, false},
    {"group_run", doors::group_run},
    {"group_defer", doors::group_defer},
    {"group_run_and_wait", doors::group_run_and_wait},
    {"execute", doors::execute, true, false},
    {"isolate", doors::isolate, true, false},
    {"enqueue", doors::enqueue, false},
    {"enqueue_here", doors::enqueue_here, false},
    {"enqueue_handles", doors::enqueue_handles, false},
#if TBB_INTERFACE_VERSION >= 12170
    {"enqueue_in_group", doors::enqueue_in_group},
#endif
};

}  // namespace taskctx_test

#endif  // TESTS_TBB_DOORS_H_
