// SPDX-License-Identifier: Apache-2.0
//
// Stacks that are switched inside a guard: fibers, and oneTBB's own suspend. Guards whose ends
// cross say so; nothing that has ended becomes current again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/task.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/generator.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "tests/support.h"

namespace taskctx_test {
namespace {

using namespace taskctx;

namespace ctbb = taskctx::tbb;

using Code = std::function<void()>;

ContextVar<std::string> who{"who", "nobody"};

// A stack of its own, on which `code` runs while somebody is in go_on(), until it pauses.
class Fiber {
 public:
  explicit Fiber(Code code) : code_(std::move(code)), stack_(256 * 1024) {
    getcontext(&self_);
    self_.uc_stack = {.ss_sp = stack_.data(), .ss_flags = 0, .ss_size = stack_.size()};
    self_.uc_link = &resumer_;
    const auto address = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&self_, reinterpret_cast<void (*)()>(&Fiber::begin), 2,
                static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() { EXPECT_TRUE(is_over_); }

  void go_on() {
    Fiber* const outer = std::exchange(running, this);
    swapcontext(&resumer_, &self_);
    running = outer;
  }
  static void pause() { swapcontext(&running->self_, &running->resumer_); }
  [[nodiscard]] bool is_over() const { return is_over_; }

 private:
  static void begin(unsigned high, unsigned low) {
    auto* const fiber = reinterpret_cast<Fiber*>((static_cast<std::uintptr_t>(high) << 32U) | low);
    fiber->code_();
    fiber->is_over_ = true;
  }

  static inline Fiber* running = nullptr;
  const Code code_;
  std::vector<char> stack_;
  ucontext_t self_{};
  ucontext_t resumer_{};
  bool is_over_ = false;
};

taskctx::Generator<int> generator_of(const Code& code) {
  code();
  co_yield 1;
}
// What may be open while a stack is switched.
struct Guard {
  const char* name;
  void (*run)(const Code& code);
};
void PrintTo(const Guard& guard, std::ostream* out) { *out << guard.name; }

constexpr Guard kGuards[] = {
    {"Bind", [](const Code& code) { taskctx::bind(code)(); }},
    {"Run", [](const Code& code) { taskctx::copy_context().run(code); }},
    {"ContextScope",
     [](const Code& code) {
       Context context = taskctx::copy_context();
       const taskctx::ContextScope scope(context);
       code();
     }},
    {"Leaf", [](const Code& code) { ctbb::parallel_for(0, 1, [&](int) { code(); }); }},
    {"Arena", [](const Code& code) { ctbb::this_task_arena::isolate(code); }},
    {"Group",
     [](const Code& code) {
       ctbb::task_group group;
       group.run_and_wait(code);
     }},
    {"Generator",
     [](const Code& code) {
       for (int one : generator_of(code)) {
         EXPECT_EQ(one, 1);
       }
     }},
};

class Crossing : public testing::TestWithParam<Guard> {
 protected:
  // Has fibers with these numbers go on in turn, each of them with a guard open until it goes on
  // for the second time. On a thread of its own: crossing confuses oneTBB's own state of a thread.
  static void run(const std::vector<std::size_t>& turns) {
    std::thread([&turns] {
      who.set("thread");
      play(turns);
      EXPECT_EQ(who.get(), "thread");
    }).join();
  }

 private:
  static void play(const std::vector<std::size_t>& turns) {
    std::array<std::unique_ptr<Fiber>, 3> fibers;
    for (std::size_t turn : turns) {
      if (fibers.at(turn) == nullptr) {
        fibers.at(turn) = std::make_unique<Fiber>([turn] {
          GetParam().run([turn] {
            who.set("fiber " + std::to_string(turn));
            Fiber::pause();
          });
        });
      }
      fibers.at(turn)->go_on();
    }
  }
};

// M22
TEST_P(Crossing, OfGuardsIsReportedAndTheThreadGoesOnAsItWas) {
  for (const auto& turns : {std::vector<std::size_t>{0, 1, 0, 1},
                            {0, 1, 2, 0, 1, 2},
                            {0, 1, 2, 1, 0, 2},
                            {0, 1, 2, 1, 2, 0},
                            {0, 1, 2, 0, 2, 1}}) {
    const MisuseRecorder recorder;
    run(turns);
    EXPECT_THAT(recorder.messages(), testing::Contains(testing::HasSubstr("a fiber")));
  }
}

// M22: what does not cross is in order.
TEST_P(Crossing, IsNotSeenWhereGuardsNest) {
  const MisuseRecorder recorder;
  run({0, 0, 1, 1});
  run({0, 1, 1, 0});
  run({0, 1, 2, 2, 1, 0});
  EXPECT_THAT(recorder.messages(), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, Crossing, testing::ValuesIn(kGuards),
                         [](const auto& its) { return std::string(its.param.name); });

// M22: whatever crosses, on fibers of their own and inside a job, memory is in order, which
// AddressSanitizer sees.
TEST(Crossings, OfAllKindsLeaveMemoryInOrder) {
  const Watchdog watchdog("random crossings");
  const MisuseRecorder recorder;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  bool has_coroutines = false;
  const std::function<void(int)> nest = [&](int depth) {
    for (std::size_t i = below(3); i-- > 0;) {
      const Code code = [&] {
        const std::string before = who.get();
        Fiber::pause();
        who.set(std::to_string(below(10)));
        if (depth < 3) {
          nest(depth + 1);
        }
        const Scope scope{who, before + "!"};
        Fiber::pause();
      };
      // Not oneTBB's: those confuse its own state of the thread.
      // And contexts are not mixed with coroutines, which keep those that they have entered.
      if (const std::size_t kind = below(has_coroutines ? 2 : 3); !has_coroutines || kind == 0) {
        kGuards[kind].run(code);
      } else {
        for (int one : generator_of(code)) {
          Fiber::pause();
          EXPECT_EQ(one, 1);
        }
      }
    }
  };
  const auto play = [&] {
    has_coroutines = !has_coroutines;
    std::vector<std::unique_ptr<Fiber>> fibers;
    for (int i = 0; i < 5; ++i) {
      fibers.push_back(std::make_unique<Fiber>([&] { nest(0); }));
    }
    while (!fibers.empty()) {
      const std::size_t turn = below(fibers.size());
      fibers[turn]->go_on();
      if (fibers[turn]->is_over()) {
        fibers.erase(fibers.begin() + static_cast<std::ptrdiff_t>(turn));
      }
    }
  };
  who.set("main");
  for (int i = 0; i < 100; ++i) {
    play();
  }
  JobPool pool{{.concurrency = 1}};
  for (int i = 0; i < 100; ++i) {
    pool.submit([&] {
          who.set("job");
          play();
        })
        .get();
  }
}

// M22: what a user of fibers does instead: a Context for each, entered at each switch.
TEST(Crossings, DontHappenToFibersWithAContextEach) {
  const MisuseRecorder recorder;
  who.set("main");
  struct WithContext {
    Context context = taskctx::copy_context();
    Fiber fiber;
  };
  std::vector<std::unique_ptr<WithContext>> fibers;
  for (int i = 0; i < 3; ++i) {
    const std::string me = "fiber " + std::to_string(i);
    fibers.emplace_back(new WithContext{.fiber = Fiber([me] {
                                          const Scope scope{who, me};
                                          Fiber::pause();
                                          EXPECT_EQ(who.get(), me);
                                          Fiber::pause();
                                          EXPECT_EQ(who.get(), me);
                                        })});
  }
  for (int round = 0; round < 3; ++round) {
    for (const auto& each : fibers) {
      each->context.run([&] { each->fiber.go_on(); });
      EXPECT_EQ(who.get(), "main");
    }
  }
  EXPECT_THAT(recorder.messages(), testing::IsEmpty());
}

// Returns how many of 50 jobs have ended that oneTBB's own suspend has brought to another thread,
// or whose leaf it has.
int end_elsewhere() {
  const MisuseRecorder recorder;
  const Watchdog watchdog("oneTBB's own suspend");
  std::atomic<int> ended{0};
  {
    JobPool pool{{.concurrency = 2}};
    const auto suspend = [] {
      oneapi::tbb::task::suspend([](oneapi::tbb::task::suspend_point point) {
        std::thread([point] { oneapi::tbb::task::resume(point); }).detach();
      });
    };
    for (int i = 0; i < 50; ++i) {
      pool.post([&, i] {
        if (i % 2 == 0) {
          suspend();
        } else {
          ctbb::parallel_for(0, 4, [&](int) { suspend(); });
        }
        ++ended;
      });
    }
    pool.drain();
    EXPECT_EQ(pool.submit({.detached = true}, [] { return who.get(); }).get(), "nobody");
  }
  return ended;
}

// M22: what ends elsewhere does no harm; the pool goes on. In a process of its own: from then on
// the library looks less at what is current, and finds fewer crossings.
TEST(CrossingsDeathTest, OneTbbsOwnSuspendDoesNoHarm) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(end_elsewhere() == 50 && !testing::Test::HasFailure() ? 0 : 1),
              testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace taskctx_test
