// SPDX-License-Identifier: Apache-2.0
//
// Every way to suspend a coroutine, on the same thread and on another: what it has set is there
// afterwards, and nothing of it is on the threads.

#include <gtest/gtest.h>

#include <ostream>
#include <stdexcept>
#include <string>

#include "absl/time/time.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/when_all.h"
#include "tests/coro_places.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

Task<int> writes(int value) {
  step.set(value);
  co_await taskctx::yield();
  co_return step.get();
}
taskctx::AsyncGenerator<int> yields_one() {
  step.set(77);
  co_await taskctx::yield();
  co_yield step.get();
}

struct Kind {
  const char* name;
  Task<> (*suspend)(Place& place);
  bool changes_thread;
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

constexpr Kind kKinds[] = {
    {"Yield", [](Place&) -> Task<> { co_await taskctx::yield(); }, false},
    {"Sleep", [](Place&) -> Task<> { co_await taskctx::sleep_for(absl::Microseconds(1)); }, false},
    {"Job", [](Place& place) -> Task<> { co_await place.pool.submit([] { step.set(99); }); },
     false},
    {"JobOfAnotherPool",
     [](Place& place) -> Task<> { co_await place.other.submit([] { step.set(99); }); }, false},
    {"Schedule", [](Place& place) -> Task<> { co_await place.other.schedule(); }, false},
    {"SpawnedTask", [](Place& place) -> Task<> { co_await place.pool.spawn(writes(99)); }, false},
    {"WhenAll", [](Place&) -> Task<> { co_await taskctx::when_all(writes(98), writes(99)); },
     false},
    {"AsyncGenerator",
     [](Place& place) -> Task<> {
       auto generator = yields_one();
       const int* value = co_await generator.next();
       place.wrong += value == nullptr || *value != 77 ? 1 : 0;
     },
     false},
    {"ForeignNewThread", [](Place& place) -> Task<> { co_await NewThread{place}; }, true},
    {"ForeignInline", [](Place& place) -> Task<> { co_await Inline{place}; }, false},
    {"ForeignRefused", [](Place& place) -> Task<> { co_await Refused{place}; }, false},
    {"ForeignImmovable",
     [](Place& place) -> Task<> { place.wrong += co_await Immovable{7} == 7 ? 0 : 1; }, false},
    {"ForeignTransfer", [](Place& place) -> Task<> { co_await Transfer{place}; }, false},
};

class Suspension : public testing::TestWithParam<Kind> {
 protected:
  ~Suspension() override { place.join(); }

  Watchdog watchdog{"Suspension"};
  Place place;
};

Task<> check_kept(Place& place, Task<> (*suspend)(Place&), bool changes_thread) {
  const Scope scope{request, "r-1"};  // Across all of it.
  for (int i = 1; i <= 20; ++i) {
    step.set(i);
    step_of_this_thread() = i;
    co_await suspend(place);
    place.wrong += request.get() != "r-1" || step.get() != i ? 1 : 0;
    if (changes_thread) {  // Here a thread_local is wrong.
      place.wrong += step_of_this_thread() == i ? 1 : 0;
    }
  }
}

// P24, F-G1, F-G2, F-G4
TEST_P(Suspension, KeepsWhatWasSetAndLeavesTheThreadsAlone) {
  const Scope outer{request, "the spawner's"};
  auto job = place.pool.spawn(check_kept(place, GetParam().suspend, GetParam().changes_thread));
  job.wait();
  EXPECT_EQ(request.get(), "the spawner's");
  EXPECT_EQ(step.get(), 0);
  job.get();
  for (JobPool* pool : {&place.pool, &place.other}) {
    pool->submit({.detached = true}, [this] { place.wrong += step.get() != 0 ? 1 : 0; }).get();
  }
  place.join();
  EXPECT_EQ(place.wrong, 0);
}

Task<int> throw_after(Place& place, Task<> (*suspend)(Place&)) {
  const Scope scope{request, "inner"};
  co_await suspend(place);
  step.set(5);
  throw std::runtime_error(request.get());
}
Task<> check_exception(Place& place, Task<> (*suspend)(Place&)) {
  const Scope scope{request, "r-1"};
  std::string what;
  try {
    co_await throw_after(place, suspend);
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  place.wrong += what != "inner" || request.get() != "r-1" || step.get() != 5 ? 1 : 0;
}

// P15, P24
TEST_P(Suspension, LetsAnExceptionPassWithTheContextInOrder) {
  place.pool.spawn(check_exception(place, GetParam().suspend)).get();
  EXPECT_THROW(place.pool.spawn(throw_after(place, GetParam().suspend)).get(), std::runtime_error);
  place.join();
  EXPECT_EQ(place.wrong, 0);
}

// P24
TEST_P(Suspension, InACallFromPlainCodeSharesTheCallersContext) {
  step.set(3);
  taskctx::sync_wait([](Place& there, Task<> (*suspend)(Place&)) -> Task<> {
    there.wrong += step.get() != 3 ? 1 : 0;
    co_await suspend(there);
    there.wrong += step.get() != 3 ? 1 : 0;
    step.set(4);
  }(place, GetParam().suspend));
  place.join();
  EXPECT_EQ(step.get(), 4);
  step.set(0);
  EXPECT_EQ(place.wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(All, Suspension, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
