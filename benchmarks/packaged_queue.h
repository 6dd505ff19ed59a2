// SPDX-License-Identifier: Apache-2.0
//
// What is written in an afternoon: packaged_tasks in a queue under a mutex.

#ifndef TASKCTX_BENCHMARKS_PACKAGED_QUEUE_H_
#define TASKCTX_BENCHMARKS_PACKAGED_QUEUE_H_

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench {

class QueueOfPackagedTasks {
 public:
  explicit QueueOfPackagedTasks(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }
  ~QueueOfPackagedTasks() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
    }
    changed_.notify_all();
  }

  template <typename F>
  std::future<std::invoke_result_t<F>> submit(F function) {
    std::packaged_task<std::invoke_result_t<F>()> task(std::move(function));
    auto future = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.emplace_back([task = std::move(task)]() mutable { task(); });
    }
    changed_.notify_one();
    return future;
  }

 private:
  void work() {
    while (true) {
      std::packaged_task<void()> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return is_closed_ || !tasks_.empty(); });
        if (tasks_.empty()) {
          return;
        }
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> tasks_;
  bool is_closed_ = false;
  std::vector<std::jthread> threads_;  // Last: joined while the rest is still there.
};

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_PACKAGED_QUEUE_H_
