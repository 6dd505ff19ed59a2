// SPDX-License-Identifier: Apache-2.0
//
// G15: coroutines: what keeping the context adds to a suspension, what awaiting a task costs, and a
// spawned task against a submitted job, and against a coroutine on oneTBB itself.

#include <oneapi/tbb/task_arena.h>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <latch>
#include <utility>

#include "benchmarks/bench.h"
#include "benchmarks/paired.h"
#include "benchmarks/resumable.h"
#include "benchmarks/workers.h"
#include "taskctx/coro.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"

namespace bench {
namespace {

template <typename Base>
Resumable<Base> counts(long& count) {
  while (true) {
    ++count;
    co_await std::suspend_always{};
  }
}

void suspend_resume(benchmark::State& state, std::size_t size, int /*threads*/) {
  constexpr int kCount = 1'000'000;
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    long ours = 0;
    long baseline = 0;
    Resumable<WithContext> with = counts<WithContext>(ours);
    Resumable<WithoutContext> without = counts<WithoutContext>(baseline);
    const auto resume = [](auto& coroutine) {
      return seconds_of([&] {
        for (int i = 0; i < kCount; ++i) {
          coroutine.resume();
        }
      });
    };
    measure_pairs(
        state, kCount, [&] { return resume(with); }, [&] { return resume(without); });
    check(state, ours - baseline, 0);
  });
}

// The least that a lazy coroutine can be.
class Plain {
 public:
  struct promise_type {
    struct Final {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      [[nodiscard]] std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> handle) const noexcept {
        return handle.promise().awaiter;
      }
      void await_resume() const noexcept {}
    };

    Plain get_return_object() {
      return Plain(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    void return_value(int value) { result = value; }
    void unhandled_exception() { std::terminate(); }

    std::coroutine_handle<> awaiter = std::noop_coroutine();
    int result = 0;
  };
  struct Awaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) const {
      handle.promise().awaiter = awaiter;
      return handle;
    }
    [[nodiscard]] int await_resume() const { return handle.promise().result; }
    std::coroutine_handle<promise_type> handle;
  };

  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  ~Plain() { handle_.destroy(); }

  Awaiter operator co_await() const noexcept { return {handle_}; }
  int run() {
    handle_.resume();
    return handle_.promise().result;
  }

 private:
  explicit Plain(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

constexpr int kAwaits = 100'000;

template <typename Coroutine>
Coroutine leaf() {
  co_return 1;
}
template <typename Coroutine>
Coroutine awaits() {
  int sum = 0;
  for (int i = 0; i < kAwaits; ++i) {
    sum += co_await leaf<Coroutine>();
  }
  co_return sum;
}

void await_task(benchmark::State& state, std::size_t size, int /*threads*/) {
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    long sum = 0;
    measure_pairs(
        state, kAwaits,
        [&] {
          return seconds_of([&] { sum += taskctx::sync_wait(awaits<taskctx::Task<int>>()); });
        },
        [&] { return seconds_of([&] { sum -= awaits<Plain>().run(); }); });
    check(state, sum, 0);
  });
}

constexpr int kSpawns = 20'000;

template <typename Start>
double seconds_of_spawns(Start start) {
  return seconds_of([&] { start_and_wait(kSpawns, start); });
}

taskctx::Task<> counts_down(std::latch& all) {
  all.count_down();
  co_return;
}

// Many from outside, against jobs.
void spawn(benchmark::State& state, std::size_t size, int threads) {
  taskctx::JobPool pool{{.concurrency = threads}};
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, kSpawns,
        [&] {
          return seconds_of_spawns([&](std::latch& all) { (void)pool.spawn(counts_down(all)); });
        },
        [&] {
          return seconds_of_spawns(
              [&](std::latch& all) { (void)pool.submit([&all] { all.count_down(); }); });
        });
  });
}

taskctx::Task<> yields(int count) {
  for (int i = 0; i < count; ++i) {
    co_await taskctx::yield();
  }
}

// A turn of a coroutine on the pool, against an empty job.
void yield_turn(benchmark::State& state, std::size_t size, int threads) {
  constexpr int kCount = 20'000;
  taskctx::JobPool pool{{.concurrency = threads}};
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, kCount, [&] { return seconds_of([&] { pool.spawn(yields(kCount)).get(); }); },
        [&] {
          return seconds_of([&] {
            for (int i = 0; i < kCount; ++i) {
              pool.post([] {});
            }
            pool.drain();
          });
        });
  });
}

// A coroutine on oneTBB itself: it begins at the call, and destroys itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { std::terminate(); }
  };
};
struct Enqueue {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    arena.enqueue([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}
  oneapi::tbb::task_arena& arena;
};

Detached takes_turns(oneapi::tbb::task_arena& arena, int turns, std::latch& all) {
  for (int i = 0; i < turns; ++i) {
    co_await Enqueue{arena};
  }
  all.count_down();
}

// Many from outside, against a coroutine that enqueues itself.
void spawn_raw(benchmark::State& state, std::size_t size, int threads) {
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, kSpawns,
        [&] {
          return seconds_of_spawns(
              [&](std::latch& all) { (void)workers.pool.spawn(counts_down(all)); });
        },
        [&] {
          return seconds_of_spawns([&](std::latch& all) { takes_turns(workers.arena, 1, all); });
        });
  });
}

// A turn of a coroutine on the pool, against one that enqueues itself again.
void yield_raw(benchmark::State& state, std::size_t size, int threads) {
  constexpr int kCount = 20'000;
  Workers workers(threads);
  with_variables(size, [&](const Variables<int>& /*variables*/) {
    measure_pairs(
        state, kCount,
        [&] { return seconds_of([&] { workers.pool.spawn(yields(kCount)).get(); }); },
        [&] {
          return seconds_of([&] {
            start_and_wait(1, [&](std::latch& all) { takes_turns(workers.arena, kCount, all); });
          });
        });
  });
}

}  // namespace

void add_coroutines() {
  add_pairs("G15", "suspend_resume", 1, &suspend_resume);
  add_pairs("G15", "await_task", 1, &await_task);
  for (const int threads : kThreads) {
    add_pairs("G15", "spawn", threads, &spawn);
    add_pairs("G15", "yield", threads, &yield_turn);
    add_pairs("G15", "spawn_raw", threads, &spawn_raw);
    add_pairs("G15", "yield_raw", threads, &yield_raw);
  }
}

}  // namespace bench
