// SPDX-License-Identifier: Apache-2.0
//
// Executors of all kinds with a context for each call. Asio's are in context_executor_asio_test.cc.

#include "taskctx/context_executor.h"

#include <gtest/gtest.h>
#include <oneapi/tbb/task_arena.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/cancel.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/stealing.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// A pool as people write it: threads, a queue, and a lock. `Work` is what it takes.
template <typename Work>
class ThreadPool {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { run(); });
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    more_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  void add(Work work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    more_.notify_one();
  }

 private:
  void run() {
    for (std::unique_lock lock(mutex_);;) {
      more_.wait(lock, [this] { return is_over_ || !queue_.empty(); });
      if (queue_.empty()) {
        return;
      }
      Work work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Work> queue_;
  bool is_over_ = false;
  std::vector<std::thread> threads_;
};

// Callables that are moved only, as pools of today take them.
class UniqueFunction {
 public:
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction>)
  UniqueFunction(F&& f)  // NOLINT(google-explicit-constructor,*-forwarding-reference-*)
      : function_(std::make_unique<Of<std::decay_t<F>>>(std::forward<F>(f))) {}
  void operator()() { function_->call(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void call() = 0;
  };
  template <typename F>
  struct Of final : Base {
    explicit Of(F f) : function(std::move(f)) {}
    void call() override { function(); }
    F function;
  };
  std::unique_ptr<Base> function_;
};

// With results, and with arguments for the function.
class PoolWithResults : public ThreadPool<UniqueFunction> {
 public:
  using ThreadPool::ThreadPool;
  template <typename F, typename... Args>
  auto submit(F f, Args... args) {
    std::packaged_task<std::invoke_result_t<F&, Args...>()> task(
        [f = std::move(f), args...]() mutable { return f(args...); });
    auto result = task.get_future();
    add(std::move(task));
    return result;
  }
};

// A handle of a pool, as copies of Asio's and folly's executors are; only its own kind of function.
template <typename Pool>
struct Handle {
  template <typename F>
  void execute(F f) const {
    pool->add(std::move(f));
  }
  template <typename F>
  void post(F f, std::string_view name) const {
    names->emplace_back(name);
    pool->add(std::move(f));
  }
  friend bool operator==(const Handle&, const Handle&) = default;
  Pool* pool;
  std::vector<std::string>* names = nullptr;
};

// Runs `give(work)` for 8 requests; `work` has to see the one in which it was given.
template <typename Give>
void expect_each_has_its_request(Give give) {
  constexpr int kRequests = 8;
  std::atomic<int> seen{0};
  std::atomic<int> wrong_thread_locals{0};
  std::vector<std::future<void>> ends;
  for (int of = 1; of <= kRequests; ++of) {
    const Scope scope{request, of};
    thread_request = of;
    auto end = std::make_shared<std::promise<void>>();
    ends.push_back(end->get_future());
    give([&, of, end] {
      seen += request.get(-1) == of ? 1 : 0;
      wrong_thread_locals += thread_request != of ? 1 : 0;
      request.set(-2);  // Gone when this returns.
      end->set_value();
    });
    EXPECT_EQ(request.get(), of);
  }
  for (auto& end : ends) {
    end.get();
  }
  EXPECT_EQ(seen, kRequests);
  EXPECT_EQ(wrong_thread_locals, kRequests) << "a thread_local stays where it was set";
}

// F-E2
TEST(ContextExecutor, GivesAPoolOfFunctionsTheContextOfEachCall) {
  for (const int threads : {1, 2, 4, 8}) {
    ThreadPool<std::function<void()>> pool(threads);
    const ContextExecutor executor{std::ref(pool)};
    expect_each_has_its_request([&](auto work) { executor.add(std::move(work)); });
    std::promise<int> plain;
    const Scope scope{request, 1};
    pool.add([&] { plain.set_value(request.get(-1)); });
    EXPECT_EQ(plain.get_future().get(), -1) << "without it, and what is set does not stay there";
  }
}

// F-E2
TEST(ContextExecutor, GivesAPoolWhatCanBeMovedOnly) {
  PoolWithResults pool(2);
  const ContextExecutor executor{&pool};
  const Scope scope{request, 5};
  auto sum = executor.submit([p = std::make_unique<int>(1)] { return *p + request.get(); });
  static_assert(std::is_same_v<decltype(sum), std::future<int>>);
  EXPECT_EQ(sum.get(), 6);
  EXPECT_EQ(executor.submit([](int a, int b) { return a + b + request.get(); }, 1, 2).get(), 8);
  std::string text = "three";
  EXPECT_EQ(executor.submit(&std::string::size, &text).get(), 5U);
  EXPECT_THROW(executor.submit([] { throw std::runtime_error("kept"); }).get(), std::runtime_error);
}

// F-E2: the members are those of the executor, and take what it takes.
TEST(ContextExecutor, HasTheMembersOfTheExecutor) {
  using Functions = ThreadPool<std::function<void()>>;
  using Moved = ThreadPool<UniqueFunction>;
  const auto can_add = [](const auto& executor, auto f) {
    return requires { executor.add(std::move(f)); };
  };
  const auto can_execute = [](const auto& executor) {
    return requires { executor.execute([] {}); };
  };
  const auto can_submit = [](const auto& executor) { return requires { executor.submit([] {}); }; };
  const auto can_be_called = [](const auto& executor) { return requires { executor([] {}); }; };
  Functions functions(1);
  Moved moved(1);
  const auto owner = [p = std::make_unique<int>(1)] { (void)p; };
  using Owner = std::remove_const_t<decltype(owner)>;
  static_assert(std::is_invocable_r_v<bool, decltype(can_add), ContextExecutor<Moved*>, Owner>);
  EXPECT_TRUE(can_add(ContextExecutor{&functions}, [] {}));
  EXPECT_FALSE(can_execute(ContextExecutor{&functions}));
  EXPECT_FALSE(can_submit(ContextExecutor{&functions}));
  EXPECT_FALSE(can_be_called(ContextExecutor{&functions}));
  EXPECT_FALSE(can_add(ContextExecutor{&moved}, 5));

  std::vector<std::string> names;
  const ContextExecutor handle{Handle<Functions>{&functions, &names}};
  EXPECT_TRUE(can_execute(handle));
  expect_each_has_its_request([&](auto work) { handle.execute(std::move(work)); });
  expect_each_has_its_request([&](auto work) { handle.post(std::move(work), "named"); });
  EXPECT_EQ(names, std::vector<std::string>(8, "named"));
}

// F-E2
TEST(ContextExecutor, IsCopiedAndComparedAsTheExecutorIs) {
  using Pool = ThreadPool<UniqueFunction>;
  const auto pool = std::make_shared<Pool>(1);
  Pool other(1);
  const ContextExecutor one{Handle<Pool>{pool.get()}};
  static_assert(std::is_nothrow_copy_constructible_v<decltype(one)>);
  static_assert(sizeof(one) == sizeof(Handle<Pool>));
  EXPECT_EQ(one, ContextExecutor{Handle<Pool>{pool.get()}});
  EXPECT_NE(one, ContextExecutor{Handle<Pool>{&other}});
  const ContextExecutor owner{pool};  // Keeps it.
  EXPECT_EQ(pool.use_count(), 2);
  expect_each_has_its_request([&](auto work) { owner.add(std::move(work)); });
  const ContextExecutor unique{std::make_unique<Pool>(1)};
  static_assert(!std::is_copy_constructible_v<decltype(unique)>);
  expect_each_has_its_request([&](auto work) { unique.add(std::move(work)); });
}

void start(std::function<void()> work) { std::thread(std::move(work)).join(); }

// F-E2: a lambda, a function, a std::function; with a result, and another argument.
TEST(ContextExecutor, TakesWhateverTakesACallable) {
  const ContextExecutor async{[](auto f) { return std::async(std::launch::async, std::move(f)); }};
  const Scope scope{request, 7};
  EXPECT_EQ(async([] { return request.get(); }).get(), 7);
  expect_each_has_its_request(ContextExecutor{&start});
  const std::function<void(std::function<void()>)> erased = ContextExecutor{&start};
  expect_each_has_its_request(ContextExecutor{erased});
  struct Repeat {
    int operator()(const std::function<int(int)>& f, int n = 1) const { return f(n) + f(n); }
  };
  const ContextExecutor repeat{Repeat()};
  EXPECT_EQ(repeat([](int n) { return n * request.get(); }, 2), 28);
  static_assert(std::is_invocable_v<decltype(repeat), int (*)(int)>);
  static_assert(!std::is_invocable_v<decltype(repeat), int (*)(int), std::string>);
  static_assert(!std::is_invocable_v<decltype(repeat), void (*)(std::string)>);
  static_assert(!std::is_invocable_v<decltype(repeat), int>);
}

// F-E2, F-C7: where it runs at once, what is set ends with it, and exceptions pass.
TEST(ContextExecutor, MayRunAtOnce) {
  const ContextExecutor at_once{[](auto&& f) { return f(); }};
  const Scope scope{request, 1};
  EXPECT_THROW(at_once([] {
                 request.set(2);
                 throw std::runtime_error("passes");
               }),
               std::runtime_error);
  EXPECT_EQ(request.get(), 1);
}

// F-E2: oneTBB's own arena, which knows nothing of contexts.
TEST(ContextExecutor, TakesAnArenaOfOneTbb) {
  for (const int threads : {1, 2, 4, 8}) {
    const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                            static_cast<std::size_t>(threads) + 1);
    oneapi::tbb::task_arena arena(threads, 0);
    const ContextExecutor executor{std::ref(arena)};
    expect_each_has_its_request([&](auto work) { executor.enqueue(std::move(work)); });
    const Scope scope{request, 9};
    EXPECT_EQ(executor.execute([] { return request.get() + 1; }), 10);
    EXPECT_THROW(executor.execute([] { throw std::runtime_error("passes"); }), std::runtime_error);
    std::promise<int> plain;
    arena.enqueue([&] { plain.set_value(request.get(-1)); });
    EXPECT_EQ(plain.get_future().get(), -1) << "without it";
  }
}

// F-E2: what carries contexts itself can be given, too.
TEST(ContextExecutor, TakesAJobPool) {
  JobPool pool{{.concurrency = 2}};
  const ContextExecutor executor{std::ref(pool)};
  expect_each_has_its_request([&](auto work) { executor.post(std::move(work)); });
  const Scope scope{request, 3};
  EXPECT_EQ(executor.submit([] { return request.get(); }).get(), 3);
  EXPECT_EQ(ContextExecutor{ContextExecutor{&pool}}.submit([] { return request.get(); }).get(), 3);
  expect_each_has_its_request(ContextExecutor{pool.executor()});
}

// F-E2, F-H1
TEST(ContextExecutor, TakesCancellationAlong) {
  PoolWithResults pool(1);
  const ContextExecutor executor{&pool};
  CancelScope scope;
  Latch go;
  auto asks = executor.submit([go] {
    go.wait();
    return cancelled();
  });
  scope.cancel();
  go.open();
  EXPECT_TRUE(asks.get());
  EXPECT_FALSE(pool.submit([] { return cancelled(); }).get());
}

}  // namespace
