// SPDX-License-Identifier: Apache-2.0
//
// Accountant: is told what each job of a pool has cost.

#ifndef TASKCTX_INTERNAL_POOL_ACCOUNTANT_H_
#define TASKCTX_INTERNAL_POOL_ACCOUNTANT_H_

#include <pthread.h>

#include <cstdint>

#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class Accountant {
 public:
  Accountant() = default;
  Accountant(const Accountant&) = delete;
  Accountant& operator=(const Accountant&) = delete;
  virtual ~Accountant() = default;

  // Adds to what `context`, the one that the job started with, stands for. `waited`: in the queue;
  // `used`: CPU time on this thread; both in ns. A bulk is recorded once per thread that took part,
  // with `is_first` in the first. Called by any thread.
  virtual void record(Node* context, bool is_first, std::int64_t waited,
                      std::int64_t used) noexcept = 0;
  // For a fork: so that the child finds nothing half done.
  virtual void lock() noexcept = 0;
  virtual void unlock() noexcept = 0;
};

// Returns the time now, in ns, for differences.
std::int64_t now_ns() noexcept;

// Measures the enclosing block, in which a job runs, if its pool has an accountant. The CPU time of
// a job that runs inside another's waiting is its own, not the other's. If the block ends on
// another thread than it began on, its CPU time is not known, and not counted.
class Measured {
 public:
  // NOLINTBEGIN(clang-analyzer-optin.cplusplus.UninitializedObject): start() sets the rest
  Measured(Accountant* accountant, Node* context, std::int64_t queued_at, bool is_first) noexcept
      : accountant_(accountant) {
    if (accountant_ != nullptr) [[unlikely]] {
      start(context, queued_at, is_first);
    }
  }
  // NOLINTEND(clang-analyzer-optin.cplusplus.UninitializedObject)
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;
  ~Measured() {
    if (accountant_ != nullptr) [[unlikely]] {
      stop();
    }
  }

 private:
  void start(Node* context, std::int64_t queued_at, bool is_first) noexcept;
  void stop() noexcept;

  Accountant* const accountant_;
  Node* context_;
  bool is_first_;
  pthread_t thread_;
  std::int64_t waited_;
  std::int64_t started_;  // CPU time.
  std::int64_t nested_;   // CPU time of the jobs inside, as it was outside.
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_ACCOUNTANT_H_
