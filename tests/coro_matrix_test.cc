// SPDX-License-Identifier: Apache-2.0
//
// Every way to suspend a coroutine, on the same thread and on another: what it has set is there
// afterwards, and nothing of it is on the threads.

#include <gtest/gtest.h>

#include <atomic>
#include <coroutine>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_promise.h"
#include "taskctx/context_var.h"
#include "taskctx/coro.h"
#include "taskctx/generator.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/manual.h"
#include "tests/support.h"

namespace {

using taskctx::ContextVar;
using taskctx::JobPool;
using taskctx::Scope;
using taskctx::Task;
using taskctx_test::Manual;
using taskctx_test::Tracked;
using taskctx_test::Watchdog;

const ContextVar<std::string> request{"request", "none"};
const ContextVar<int> step{"step", 0};
thread_local int thread_local_step = 0;

// In a function of its own: within a coroutine, clang reads the one of the thread that the
// coroutine was on before, so that it would seem to be kept.
[[gnu::noinline]] int& step_of_this_thread() {
  asm volatile("");
  return thread_local_step;
}

// Where the coroutines of one test run, and what they found wrong.
struct Place {
  ~Place() { join(); }
  void join() {
    const std::lock_guard lock(mutex);
    for (std::thread& thread : threads) {
      thread.join();
    }
    threads.clear();
  }
  // Resumes `handle` on a new thread, which has a context of its own.
  void resume_on_new_thread(std::coroutine_handle<> handle) {
    const std::lock_guard lock(mutex);
    threads.emplace_back([this, handle] {
      const Scope own{request, "the thread's"};
      handle.resume();
      wrong += request.get() != "the thread's" || step.get() != 0 ? 1 : 0;
    });
  }

  JobPool pool{{.concurrency = 2}};
  JobPool other{{.concurrency = 2}};
  std::atomic<int> wrong{0};
  std::mutex mutex;
  std::vector<std::thread> threads;
};

// Foreign awaitables: they know nothing of contexts.
struct NewThread {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    Place& there = place;  // The coroutine, and this object, may be gone at once.
    there.resume_on_new_thread(handle);
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Inline {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    place.wrong += request.get() != "none" ? 1 : 0;  // This is the thread's own.
    handle.resume();
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Refused {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> /*handle*/) const {
    place.wrong += request.get() != "none" ? 1 : 0;
    return false;
  }
  void await_resume() const noexcept {}
  Place& place;
};
struct Transfer {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> handle) const {
    place.wrong += request.get() != "none" ? 1 : 0;
    return handle;
  }
  void await_resume() const noexcept {}
  Place& place;
};
// Asked with a co_await operator, for something that can't be moved.
struct Immovable {
  struct Awaiter : std::suspend_never {
    explicit Awaiter(int value) : kept(value) {}
    Awaiter(Awaiter&&) = delete;
    [[nodiscard]] int await_resume() const noexcept { return kept; }
    const int kept;
  };
  Awaiter operator co_await() const { return Awaiter(value); }
  int value;
};
struct Throws {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> /*handle*/) const {
    throw std::runtime_error("not suspended");
  }
  void await_resume() const noexcept {}
};

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

Manual two_steps(std::string& log, Tracked /*parameter*/) {
  log += request.get() + ",";
  const Scope scope{request, "mine"};
  step.set(1);
  co_await std::suspend_always{};
  log += request.get() + std::to_string(step.get()) + ",";
  const Scope inner{step, 2};
  co_await std::suspend_always{};
  log += request.get() + std::to_string(step.get());
}

// P23, F-G1, F-G2
TEST(OwnCoroutineType, KeepsASnapshotOfItsCreatorOnEveryThread) {
  std::string log;
  Scope scope{request, "creator's"};
  Manual coroutine = two_steps(log, Tracked(1));
  request.set("later");
  coroutine.resume();
  EXPECT_EQ(request.get(), "later");
  EXPECT_EQ(step.get(), 0);
  std::thread([&] {
    coroutine.resume();
    EXPECT_EQ(request.get(), "none");
  }).join();
  coroutine.resume();
  EXPECT_EQ(request.get(), "later");
  EXPECT_TRUE(coroutine.done());
  EXPECT_EQ(log, "creator's,mine1,mine2");
}

// P22, F-G2
TEST(OwnCoroutineType, DestroyedWhileSuspendedEndsItsScopesInItsContext) {
  const taskctx_test::MisuseRecorder recorder;
  for (int resumed = 0; resumed < 3; ++resumed) {
    for (const bool on_another_thread : {false, true}) {
      std::string log;
      const Scope scope{request, "creator's"};
      {
        Manual coroutine = two_steps(log, Tracked(1));
        for (int i = 0; i < resumed; ++i) {
          coroutine.resume();
        }
        if (on_another_thread) {
          std::thread([&coroutine] {
            { const Manual gone = std::move(coroutine); }
            EXPECT_EQ(request.get(), "none");
          }).join();
        }
      }
      EXPECT_EQ(request.get(), "creator's");
      EXPECT_EQ(step.get(), 0);
    }
  }
  EXPECT_EQ(Tracked::alive(), 0);
  EXPECT_TRUE(recorder.messages().empty());
}

Task<> holds_a_scope() {
  const Scope scope{request, "child's"};
  co_await std::suspend_always{};
}
Manual awaits_a_task() { co_await holds_a_scope(); }

// P24, F-G2
TEST(OwnCoroutineType, DestroyedWhileSuspendedInATaskEndsThatsScopesToo) {
  const taskctx_test::MisuseRecorder recorder;
  {
    Manual coroutine = awaits_a_task();
    coroutine.resume();
    EXPECT_FALSE(coroutine.done());
    EXPECT_EQ(request.get(), "none");
  }
  EXPECT_EQ(request.get(), "none");
  EXPECT_TRUE(recorder.messages().empty());
}

Manual awaits_what_throws(std::string& log) {
  const Scope scope{request, "mine"};
  try {
    co_await Throws{};
  } catch (const std::runtime_error& error) {
    log = error.what() + (" in " + request.get());
  }
}

// P15
TEST(OwnCoroutineType, IsBackInItsContextIfItCouldNotBeSuspended) {
  std::string log;
  Manual coroutine = awaits_what_throws(log);
  coroutine.resume();
  EXPECT_EQ(log, "not suspended in mine");
  EXPECT_EQ(request.get(), "none");
}

Manual visits(JobPool& pool, std::string& log, std::atomic<bool>& is_over) {
  const Scope scope{request, "mine"};
  co_await pool.schedule();
  log += request.get();
  log += std::to_string(co_await pool.submit([] { return step.get(); }));
  co_await taskctx::sleep_for(absl::Microseconds(1));
  co_await taskctx::yield();
  log += request.get();
  is_over = true;
  is_over.notify_all();
}

// F-G1
TEST(OwnCoroutineType, AwaitsEverythingThatTheLibraryHas) {
  const Watchdog watchdog("AwaitsEverythingThatTheLibraryHas");
  std::string log;
  std::atomic<bool> is_over = false;
  JobPool pool{{.concurrency = 2}};
  Manual coroutine = visits(pool, log, is_over);
  coroutine.resume();
  is_over.wait(false);
  pool.drain();
  EXPECT_EQ(log, "mine0mine");
}

}  // namespace
