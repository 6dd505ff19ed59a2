// SPDX-License-Identifier: Apache-2.0
//
// G13, G15 and G21: memory. Counters, not times:
//
//   bytes        what operator new was asked for, per item
//   allocations  how often, per operation
//   rss_bytes    how much the process grew, per item
//   left_bytes   how much it still had when all had run, likewise
//
// A program of its own, because it replaces operator new.

#include <oneapi/tbb/task_arena.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <latch>
#include <string>
#include <vector>

#include "benchmarks/allocations.h"
#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "taskctx/context.h"
#include "taskctx/coro.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/task.h"

namespace bench {
namespace {

constexpr std::size_t kSet = 8;

std::size_t resident_bytes() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*d %ld", &pages) != 1) {
      pages = 0;
    }
    std::fclose(file);
  }
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// A snapshot, made by the first `set` in a context where nothing was set, and held.
// `step` is the distance between the variables that are set: they have all been set somewhere.
void snapshot(benchmark::State& state, std::size_t declared, std::size_t step) {
  constexpr std::size_t kSnapshots = 1000;
  const Variables<int> variables(declared);
  taskctx::Context().run([&] {
    for (std::size_t i = 0; i < declared; ++i) {
      variables[i].set(1);
    }
  });
  std::vector<taskctx::Context> snapshots(kSnapshots);
  std::size_t bytes = 0;
  while (state.KeepRunning()) {
    snapshots.assign(kSnapshots, {});
    taskctx::Context before;
    before.run([&] {
      for (std::size_t i = 0; i < kSet; ++i) {
        variables[i * step].set(1);
      }
    });
    const std::size_t start = allocated_bytes();
    for (auto& context : snapshots) {
      taskctx::Context(before).run([&] {
        variables[0].set(2);  // Copies once.
        context = taskctx::copy_context();
      });
    }
    bytes = (allocated_bytes() - start) / kSnapshots;
  }
  check(state, static_cast<long>(snapshots.back().size()), kSet);
  state.counters["bytes"] = static_cast<double>(bytes);
}

// A Scope of an int, in a context where the variable has been set before.
void scope(benchmark::State& state, std::size_t size) {
  constexpr std::size_t kScopes = 1000;
  const Taskctx contender(size);
  std::size_t count = 0;
  while (state.KeepRunning()) {
    const std::size_t start = allocations();
    for (std::size_t i = 0; i < kScopes; ++i) {
      contender.set_scoped(i % size, 5, [] { clobber(); });
    }
    count = allocations() - start;
  }
  check(state, contender.read(), 0);
  state.counters["allocations"] = static_cast<double>(count) / kScopes;
}

struct Footprint {
  double bytes;
  double rss_bytes;
  double left_bytes = 0;
};

// Enqueues `count` jobs behind one that waits, and returns what each of them takes.
template <typename Enqueue, typename Finish>
Footprint pending(std::size_t count, Enqueue enqueue, Finish finish) {
  std::latch may_go(1);
  std::latch is_here(1);
  enqueue([&] {
    is_here.count_down();
    may_go.wait();
  });
  is_here.wait();
  const std::size_t resident = resident_bytes();
  const std::size_t allocated = allocated_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    enqueue([] {});
  }
  const auto items = static_cast<double>(count);
  Footprint result{static_cast<double>(allocated_bytes() - allocated) / items,
                   static_cast<double>(resident_bytes() - resident) / items};
  may_go.count_down();
  finish();
  result.left_bytes =
      (static_cast<double>(resident_bytes()) - static_cast<double>(resident)) / items;
  return result;
}

Footprint pending_posts(std::size_t count) {
  taskctx::JobPool pool{{.concurrency = 1}};
  return pending(
      count, [&](auto function) { pool.post(function); }, [&] { pool.drain(); });
}

Footprint pending_jobs(std::size_t count) {
  taskctx::JobPool pool{{.concurrency = 1}};
  std::vector<taskctx::Job<void>> jobs(count + 1);
  auto next = jobs.begin();
  return pending(
      count, [&](auto function) { *next++ = pool.submit(function); },
      [&] {
        for (auto& job : jobs) {
          job.get();
        }
        jobs.clear();
        jobs.shrink_to_fit();
      });
}

Footprint pending_raw(std::size_t count) {
  const taskctx::JobPool pool{{.concurrency = 1}};  // Allows oneTBB the thread.
  oneapi::tbb::task_arena arena(1, 0);
  return pending(
      count, [&](auto function) { arena.enqueue(function); },
      [&] {
        std::latch last(1);
        arena.enqueue([&] { last.count_down(); });
        last.wait();
      });
}

// Coroutines that have begun and wait, all for the same.
taskctx::Task<> waits_for(const taskctx::SharedJob<void>& gate, std::latch& begun) {
  begun.count_down();
  co_await gate;
}

// `make(gate, begun, i)` makes one.
template <typename Make>
Footprint suspended(std::size_t count, Make make) {
  taskctx::JobPool pool{{.concurrency = 2}};
  std::latch may_go(1);
  std::latch begun(static_cast<std::ptrdiff_t>(count));
  const taskctx::SharedJob<void> gate = pool.submit([&may_go] { may_go.wait(); }).shared();
  const std::size_t resident = resident_bytes();
  const std::size_t allocated = allocated_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    (void)pool.spawn(make(gate, begun, i));
  }
  begun.wait();
  const auto items = static_cast<double>(count);
  const Footprint result{static_cast<double>(allocated_bytes() - allocated) / items,
                         static_cast<double>(resident_bytes() - resident) / items};
  may_go.count_down();
  pool.drain();
  return result;
}

Footprint suspended_tasks(std::size_t count) {
  return suspended(count, [](const auto& gate, std::latch& begun, std::size_t /*i*/) {
    return waits_for(gate, begun);
  });
}

// Likewise, each with a write of its own: of one of 8 variables that are set, of 200 that have been
// in use.
taskctx::Task<> writes_and_waits_for(const taskctx::SharedJob<void>& gate, std::latch& begun,
                                     const taskctx::ContextVar<int>& variable) {
  variable.set(2);
  begun.count_down();
  co_await gate;
}

Footprint suspended_writers(std::size_t count) {
  constexpr std::size_t kDeclared = 200;
  const Variables<int> variables(kDeclared);
  taskctx::Context().run([&] {
    for (std::size_t i = 0; i < kDeclared; ++i) {
      variables[i].set(1);
    }
  });
  const auto variable = [&](std::size_t i) -> const taskctx::ContextVar<int>& {
    return variables[i % kSet * (kDeclared / kSet)];
  };
  taskctx::Context base;
  base.run([&] {
    for (std::size_t i = 0; i < kSet; ++i) {
      variable(i).set(1);
    }
  });
  return base.run([&] {
    return suspended(count, [&](const auto& gate, std::latch& begun, std::size_t i) {
      return writes_and_waits_for(gate, begun, variable(i));
    });
  });
}

// The least that a coroutine on oneTBB can be: it destroys itself, and waits in a list.
struct Plain {
  struct promise_type {
    Plain get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};
struct Gate {
  struct Place {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      handle = waiting;
      next = gate.first.load();
      while (!gate.first.compare_exchange_weak(next, this)) {
      }
    }
    void await_resume() const noexcept {}
    Gate& gate;
    Place* next = nullptr;
    std::coroutine_handle<> handle = nullptr;
  };
  Place operator co_await() noexcept { return {*this}; }
  std::atomic<Place*> first = nullptr;
};
Plain waits_plainly(Gate& gate, std::latch& begun) {
  begun.count_down();
  co_await gate;
}

Footprint suspended_raw(std::size_t count) {
  const taskctx::JobPool pool{{.concurrency = 2}};  // Allows oneTBB the threads.
  oneapi::tbb::task_arena arena(2, 0);
  Gate gate;
  std::latch begun(static_cast<std::ptrdiff_t>(count));
  const std::size_t resident = resident_bytes();
  const std::size_t allocated = allocated_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    arena.enqueue([handle = waits_plainly(gate, begun).handle] { handle.resume(); });
  }
  begun.wait();
  const auto items = static_cast<double>(count);
  const Footprint result{static_cast<double>(allocated_bytes() - allocated) / items,
                         static_cast<double>(resident_bytes() - resident) / items};
  std::latch last(1);
  arena.enqueue([&] {
    for (Gate::Place* place = gate.first; place != nullptr;) {
      Gate::Place* const next = place->next;
      place->handle.resume();
      place = next;
    }
    last.count_down();
  });
  last.wait();
  return result;
}

// Measures in a process of its own: there, no memory is left over from what ran before.
template <Footprint (*kMeasure)(std::size_t)>
void in_child(benchmark::State& state, std::size_t count) {
  while (state.KeepRunning()) {
    int ends[2];
    if (pipe(ends) != 0) {
      state.SkipWithError("cannot create pipe");
      return;
    }
    const pid_t child = fork();
    if (child == 0) {
      const Footprint footprint = kMeasure(count);
      const bool ok = write(ends[1], &footprint, sizeof footprint) == sizeof footprint;
      _exit(ok ? 0 : 1);
    }
    close(ends[1]);
    Footprint footprint{};
    const bool ok = read(ends[0], &footprint, sizeof footprint) == sizeof footprint;
    close(ends[0]);
    waitpid(child, nullptr, 0);
    if (!ok) {
      state.SkipWithError("the child process died");
      return;
    }
    state.counters["bytes"] = footprint.bytes;
    state.counters["rss_bytes"] = footprint.rss_bytes;
    state.counters["left_bytes"] = footprint.left_bytes;
  }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using bench::add;
  using State = benchmark::State;
  add("G13/snapshot_dense/taskctx", 200, [](State& state, std::size_t declared) {
    bench::snapshot(state, declared, 1);
  })->Iterations(1);
  add("G13/snapshot_spread/taskctx", 200, [](State& state, std::size_t declared) {
    bench::snapshot(state, declared, declared / bench::kSet);
  })->Iterations(1);
  add("G13/allocations_of_scope/taskctx", 8, &bench::scope)->Iterations(1);
  add("G13/pending_job/taskctx", 1'000'000, &bench::in_child<bench::pending_jobs>)->Iterations(1);
  add("G13/pending_post/taskctx", 1'000'000, &bench::in_child<bench::pending_posts>)->Iterations(1);
  add("G13/pending_job/taskctx", 10'000'000, &bench::in_child<bench::pending_jobs>)->Iterations(1);
  add("G13/pending_post/taskctx", 10'000'000, &bench::in_child<bench::pending_posts>)
      ->Iterations(1);
  add("G13/pending_task/onetbb", 1'000'000, &bench::in_child<bench::pending_raw>)->Iterations(1);
  add("G15/suspended/taskctx", 1'000'000, &bench::in_child<bench::suspended_tasks>)->Iterations(1);
  add("G21/suspended_writing/taskctx", 1'000'000, &bench::in_child<bench::suspended_writers>)
      ->Iterations(1);
  add("G15/suspended/onetbb", 1'000'000, &bench::in_child<bench::suspended_raw>)->Iterations(1);
  return bench::run(argc, argv);
}
