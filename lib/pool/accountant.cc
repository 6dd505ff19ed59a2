// SPDX-License-Identifier: Apache-2.0
//
// How the CPU time of a job is measured, without that of the jobs that run inside it.

#include "taskctx/internal/pool/accountant.h"

#include <pthread.h>

#include <cstdint>
#include <ctime>

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

std::int64_t read_ns(clockid_t clock) noexcept {
  timespec time{};
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// How much CPU time the jobs took that ran on this thread, inside the job that runs there now. A
// number, not a pointer to the outer measurement: a job may continue on another thread.
class NestedTime {
 public:
  static std::int64_t exchange(std::int64_t fresh) noexcept {
    static const pthread_key_t key = make_key();
    const auto old = reinterpret_cast<std::intptr_t>(pthread_getspecific(key));
    pthread_setspecific(key, reinterpret_cast<void*>(static_cast<std::intptr_t>(fresh)));
    return old;
  }

 private:
  static pthread_key_t make_key() noexcept {
    pthread_key_t key{};
    pthread_key_create(&key, nullptr);
    return key;
  }
};

}  // namespace

std::int64_t now_ns() noexcept { return read_ns(CLOCK_MONOTONIC); }

void Measured::start(Node* context, std::int64_t queued_at, bool is_first) noexcept {
  context_ = context;
  is_first_ = is_first;
  thread_ = pthread_self();
  waited_ = now_ns() - queued_at;
  nested_ = NestedTime::exchange(0);
  started_ = read_ns(CLOCK_THREAD_CPUTIME_ID);
}

void Measured::stop() noexcept {
  std::int64_t used = 0;
  if (pthread_equal(thread_, pthread_self()) != 0) {
    const std::int64_t all = read_ns(CLOCK_THREAD_CPUTIME_ID) - started_;
    used = all - NestedTime::exchange(nested_ + all);
  }
  accountant_->record(context_, is_first_, is_first_ ? waited_ : 0, used);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
