// SPDX-License-Identifier: Apache-2.0

#include "taskctx/job_pool.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/errors.h"
#include "taskctx/internal/current.h"
#include "taskctx/internal/job_state.h"
#include "taskctx/internal/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// oneTBB has one limit of threads for the whole process, by default the number of cores, and takes
// the smallest value that anybody sets. So all pools share one setting, for the sum of what they
// want, and never set less than the default.
class SharedLimit {
 public:
  static SharedLimit& get() {
    static auto* const limit = new SharedLimit;
    return *limit;
  }

  void change(int threads) {
    const std::lock_guard lock(mutex_);
    threads_ += threads;
    const auto cores = static_cast<std::size_t>(oneapi::tbb::info::default_concurrency());
    const std::size_t wanted =
        static_cast<std::size_t>(threads_) + 1;  // oneTBB counts one for the thread that waits.
    std::unique_ptr<oneapi::tbb::global_control> fresh;
    if (wanted > cores) {
      fresh = std::make_unique<oneapi::tbb::global_control>(
          oneapi::tbb::global_control::max_allowed_parallelism, wanted);
    }
    control_ = std::move(fresh);
  }

 private:
  std::mutex mutex_;
  int threads_ = 0;
  std::unique_ptr<oneapi::tbb::global_control> control_;
};

void terminate_on(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "taskctx: a job that nobody waits for threw: %s\n", exception.what());
  } catch (...) {
    std::fprintf(
        stderr,
        "taskctx: a job that nobody waits for threw something that is not a std::exception\n");
  }
  std::terminate();
}

void handle(const ExceptionHandler& handler, Node* context, Origin origin,
            std::exception_ptr error) noexcept {
  const Installed installed(context, origin);
  handler(std::move(error));
}

}  // namespace

void JobState::run_if_unclaimed() noexcept {
  if ((bits_.fetch_or(kClaimed, std::memory_order_acq_rel) & kClaimed) == 0) {
    run();
  }
}

void JobState::run() noexcept {
  {
    const Installed context(context_.get(), Origin::pool(pool_));
    oneapi::tbb::this_task_arena::isolate([this] {
      try {
        call();
      } catch (...) {
        error_ = std::current_exception();
      }
    });
  }
  if (error_ == nullptr) {
    context_ =
        NodeRef();  // Before anybody learns that the job is done: its values are gone by then.
  } else {
    handler_ = pool_->handler();
  }
  // Releases the result to those who acquire it in is_done() and wait().
  if ((bits_.fetch_or(kDone, std::memory_order_acq_rel) & kAbandoned) != 0 && error_ != nullptr) {
    handle(*handler_, context_.get(), Origin::pool(pool_), std::exchange(error_, nullptr));
  }
  bits_.notify_all();
}

void JobState::wait() noexcept {
  std::uint32_t bits = bits_.load(std::memory_order_acquire);
  if ((bits & kClaimed) == 0 && current_activation()->origin.executor() == pool_) {
    run_if_unclaimed();
    bits = bits_.load(std::memory_order_acquire);
  }
  while ((bits & kDone) == 0) {
    bits_.wait(bits, std::memory_order_acquire);
    bits = bits_.load(std::memory_order_acquire);
  }
}

void JobState::abandon() noexcept {
  if ((bits_.fetch_or(kAbandoned, std::memory_order_acq_rel) & kDone) != 0 && error_ != nullptr) {
    handle(*handler_, context_.get(), Origin(current_activation()), std::exchange(error_, nullptr));
  }
}

PoolCore::PoolCore(int concurrency, JobPoolOptions options)
    : arena_(concurrency, /*reserved_for_masters=*/0),
      handler_(std::make_shared<const ExceptionHandler>(options.exception_handler
                                                            ? std::move(options.exception_handler)
                                                            : ExceptionHandler(&terminate_on))),
      context_factory_(std::move(options.context_factory)) {
  SharedLimit::get().change(concurrency);
  arena_.initialize();
}

PoolCore::~PoolCore() {
  arena_.terminate();
  SharedLimit::get().change(-concurrency());
}

NodeRef PoolCore::made_by(const ContextFactory& factory) {
  if (current_node() == &empty_node) {
    return ContextAccess::node(factory(nullptr));
  }
  const Context parent = copy_context();
  return ContextAccess::node(factory(&parent));
}

NodeRef PoolCore::context(const JobOptions& options) {
  const bool is_made = static_cast<bool>(options.context_factory);
  if (static_cast<int>(options.context.has_value()) + static_cast<int>(options.detached) +
          static_cast<int>(is_made) >
      1) {
    throw std::invalid_argument(
        "cannot submit job '" + options.name +
        "': more than one of context, detached and context_factory is given");
  }
  if (options.context) {
    return ContextAccess::node(*options.context);
  }
  if (options.detached) {
    return {};
  }
  return is_made ? made_by(options.context_factory) : context();
}

void PoolCore::enqueue(JobState* job) {
  begin();
  try {
    arena_.enqueue([job] {
      job->run_if_unclaimed();
      PoolCore* core = job->pool();
      job->release();
      core->end();
    });
  } catch (...) {
    job->release();
    end();
    throw;
  }
}

void PoolCore::run_posted(Node* context, void (*call)(const void*), const void* self) noexcept {
  const Installed installed(context, Origin::pool(this));
  oneapi::tbb::this_task_arena::isolate([this, call, self] {
    try {
      call(self);
    } catch (...) {
      (*handler_)(std::current_exception());
    }
  });
}

void PoolCore::end_last() noexcept {
  std::unique_lock lock(mutex_);
  if (is_orphaned_) {
    lock.unlock();
    delete this;
    return;
  }
  is_ended_ = true;
  ended_.notify_all();  // Under the lock: close() may destroy the core as soon as it gets that.
}

void PoolCore::close() noexcept {
  if (current_activation()->origin.executor() == this) {
    report_misuse("cannot destroy pool: one of its own jobs would wait for itself", {});
    const std::lock_guard lock(mutex_);
    is_orphaned_ = true;
    pending_.fetch_sub(1,
                       std::memory_order_acq_rel);  // Not the last: the job that runs here counts.
    return;
  }
  end();
  {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return is_ended_; });
  }
  delete this;
}

}  // namespace internal

JobPool::JobPool(JobPoolOptions options) {
  if (options.concurrency < 0) {
    throw std::invalid_argument("cannot create pool: concurrency is " +
                                std::to_string(options.concurrency));
  }
  const int concurrency =
      options.concurrency != 0 ? options.concurrency : oneapi::tbb::info::default_concurrency();
  core_ = new internal::PoolCore(concurrency, std::move(options));
}

JobPool::~JobPool() { core_->close(); }

int JobPool::concurrency() const noexcept { return core_->concurrency(); }

}  // namespace v1
}  // namespace taskctx
