// SPDX-License-Identifier: Apache-2.0
//
// context_of: of which exceptions a thread knows whose they are, and until when.

#include "taskctx/context_of.h"

#include <gtest/gtest.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/fuse.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/thread_request.h"
#include "tests/thrower.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

// A call that fails in request 1.
void fail_in_a_loop() {
  ctbb::parallel_for(0, 1, [](int) { fail(1); });
}
void call_something() {
  ctbb::parallel_for(0, 1, [](int) {});
}

// T9: on 2, 4 and 8 threads, of which the one that waits does not throw.
TEST(ContextOf, IsThatOfTheBodyWhereAThreadLocalIsThatOfTheThread) {
  for (const int threads : {2, 4, 8}) {
    StealingArena arena(threads);
    AllThreads all(threads);
    std::atomic<int> last{0};
    arena->execute([&] {
      thread_request = 1000;
      const auto waiting = std::this_thread::get_id();
      const Outcome how = outcome([&] {
        ctbb::parallel_for(
            0, 100 * threads,
            [&](int) {
              all.take_part();
              if (std::this_thread::get_id() != waiting) {
                thread_request = ++last;
                fail(thread_request);
              }
            },
            ctbb::simple_partitioner());
      });
      EXPECT_TRUE(how.is_right());
      EXPECT_NE(thread_request, how.thrown) << "the thread_local did not go wrong";
    });
  }
}

// T9
TEST(ContextOf, IsEmptyForExceptionsThatHaveLeftNoBody) {
  EXPECT_TRUE(context_of(nullptr).empty());
  EXPECT_TRUE(context_of(std::make_exception_ptr(1)).empty());
  const Scope scope{request, 5};
  EXPECT_EQ(outcome([] { throw Failed{2}; }), (Outcome{2, 0}));
  EXPECT_EQ(outcome([] { oneapi::tbb::parallel_for(0, 1, [](int) { throw Failed{2}; }); }),
            (Outcome{2, 0}));
  ctbb::parallel_for(0, 1, [](int) { EXPECT_EQ(outcome([] { fail(2); }), (Outcome{2, 0})); });
}

// T9
TEST(ContextOf, IsNeverThatOfAnotherException) {
  EXPECT_EQ(outcome([] {
              try {
                fail_in_a_loop();
              } catch (const Failed&) {
                EXPECT_EQ(thrower(), 1);
                EXPECT_TRUE(context_of(std::make_exception_ptr(Failed{1})).empty());
                throw Failed{3};  // Translated.
              }
            }),
            (Outcome{3, 0}));
  EXPECT_EQ(outcome([] {
              ctbb::parallel_for(0, 1, [](int) {
                request.set(4);
                try {
                  fail_in_a_loop();
                } catch (const Failed&) {
                  throw Failed{3};
                }
              });
            }),
            (Outcome{3, 4}));
}

// T9: one body has got it and is over; the next one on the same thread throws the same object.
TEST(ContextOf, IsToldToTheBodyThatHasGotTheExceptionOnly) {
  const std::exception_ptr shared = std::make_exception_ptr(Failed{7});
  StealingArena arena(1);
  int known = -1;
  arena->execute([&] {
    ctbb::parallel_for(
        0, 2,
        [&](int i) {
          try {
            if (i == 0) {
              ctbb::parallel_for(0, 1, [&](int) {
                request.set(6);
                std::rethrow_exception(shared);
              });
            }
            std::rethrow_exception(shared);
          } catch (const Failed&) {
            known = thrower();
            EXPECT_EQ(known, i == 0 ? 6 : 0);
          }
        },
        ctbb::static_partitioner());
  });
  EXPECT_EQ(known, 0);
}

// T9: also when it is rethrown by hand.
TEST(ContextOf, IsKnownUntilTheNextBlockingCall) {
  std::exception_ptr first;
  std::exception_ptr second;
  const auto keep = [](std::exception_ptr& error) {
    try {
      fail_in_a_loop();
    } catch (const Failed&) {
      error = std::current_exception();
    }
  };
  keep(first);
  EXPECT_EQ(*context_of(first).find(request), 1);
  EXPECT_EQ(outcome([&] { std::rethrow_exception(first); }), (Outcome{1, 1}));
  std::thread([&] { EXPECT_TRUE(context_of(first).empty()); }).join();
  Context().run([&] { EXPECT_FALSE(context_of(first).empty()); });
  keep(second);
  EXPECT_TRUE(context_of(first).empty());
  EXPECT_FALSE(context_of(second).empty());
  ctbb::task_group group;
  group.wait();
  EXPECT_TRUE(context_of(second).empty());
}

// Calls something where it is destroyed, even something that fails.
struct CallsAtItsEnd {
  CallsAtItsEnd() = default;
  CallsAtItsEnd(const CallsAtItsEnd&) = delete;
  CallsAtItsEnd& operator=(const CallsAtItsEnd&) = delete;
  ~CallsAtItsEnd() {
    for (int i = 0; i < 100; ++i) {
      call_something();
      EXPECT_EQ(outcome(&fail_in_a_loop), (Outcome{1, 1}));
      most = std::max(most, Tracked::alive());
    }
  }
  inline static int most = 0;
};

// T9: neither when the stack is unwound nor in a handler.
TEST(ContextOf, IsNotForgottenWhileTheExceptionIsHandled) {
  const ContextVar<Tracked> tracked("tracked");
  try {
    const CallsAtItsEnd at_end;
    ctbb::parallel_for(0, 1, [&](int) {
      tracked.set(Tracked(1));
      fail(2);
    });
  } catch (const Failed&) {
    EXPECT_EQ(thrower(), 2);
    call_something();
    EXPECT_EQ(outcome(&fail_in_a_loop), (Outcome{1, 1}));
    EXPECT_EQ(thrower(), 2);
  }
  EXPECT_EQ(CallsAtItsEnd::most, 1);
  call_something();
  EXPECT_EQ(Tracked::alive(), 0);
}

// T9, P22
TEST(ContextOf, IsForgottenAtTheThreadsEnd) {
  const ContextVar<Tracked> tracked("tracked");
  std::thread([&] {
    EXPECT_THROW(ctbb::this_task_arena::isolate([&] {
                   tracked.set(Tracked(1));
                   throw Failed{1};
                 }),
                 Failed);
    EXPECT_EQ(Tracked::alive(), 1);
  }).join();
  EXPECT_EQ(Tracked::alive(), 0);
}

// T9: without memory it may be unknown, but the exception comes.
TEST(ContextOf, IsRightOrEmptyWithoutMemory) {
  int unknown = 0;
  with_each_allocation_failing([&] {
    const Outcome how = outcome([] { ctbb::this_task_arena::isolate([] { fail(1); }); });
    unknown += static_cast<int>(how == Outcome{1, 0});
    EXPECT_TRUE(how.is_right() || how == (Outcome{1, 0}));
  });
  EXPECT_GT(unknown, 0);
}

}  // namespace
