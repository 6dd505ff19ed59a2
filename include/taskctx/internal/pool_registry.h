// SPDX-License-Identifier: Apache-2.0
//
// PoolRegistry: what pools share, and what must know all of them: oneTBB's limit of threads, a
// forked process, the end of the program.

#ifndef TASKCTX_INTERNAL_POOL_REGISTRY_H_
#define TASKCTX_INTERNAL_POOL_REGISTRY_H_

#include <oneapi/tbb/global_control.h>

#include <memory>
#include <mutex>
#include <vector>

#include "taskctx/internal/pool_core.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class PoolRegistry {
 public:
  static PoolRegistry& get();

  // Adds a pool, and `threads` to oneTBB's limit. Throws JobError in a process that was forked from
  // one with pools: oneTBB's threads are not there.
  void add(PoolCore* core, int threads);
  void remove(PoolCore* core, int threads) noexcept;

 private:
  PoolRegistry();
  void change_limit(int threads);
  void report_what_is_lost() noexcept;
  void mark_forked() noexcept;

  std::mutex mutex_;
  std::vector<PoolCore*> cores_;
  bool is_forked_ = false;
  int threads_ = 0;
  std::unique_ptr<oneapi::tbb::global_control> limit_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_REGISTRY_H_
