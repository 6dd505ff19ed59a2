// SPDX-License-Identifier: Apache-2.0
//
// The rest of oneTBB, beside algorithms and tasks: the same types in namespace taskctx::tbb.
//
//   taskctx::tbb::concurrent_vector<int> found;  // is oneapi::tbb::concurrent_vector<int>
//
// Comparisons, hashes and factories of containers run on the thread that uses the container, mostly
// in that thread's context. concurrent_priority_queue lets one thread work for all, so its
// comparisons may run in another thread's context. enumerable_thread_specific and combinable keep
// for each thread what their factory made first, so a factory should not depend on the context.
// Observers are told when threads join and leave an arena, not when tasks begin and end.

#ifndef TASKCTX_TBB_UNCHANGED_H_
#define TASKCTX_TBB_UNCHANGED_H_

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/blocked_range2d.h>
#include <oneapi/tbb/blocked_range3d.h>
#include <oneapi/tbb/cache_aligned_allocator.h>
#include <oneapi/tbb/combinable.h>
#include <oneapi/tbb/concurrent_hash_map.h>
#include <oneapi/tbb/concurrent_map.h>
#include <oneapi/tbb/concurrent_priority_queue.h>
#include <oneapi/tbb/concurrent_queue.h>
#include <oneapi/tbb/concurrent_set.h>
#include <oneapi/tbb/concurrent_unordered_map.h>
#include <oneapi/tbb/concurrent_unordered_set.h>
#include <oneapi/tbb/concurrent_vector.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/null_mutex.h>
#include <oneapi/tbb/null_rw_mutex.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/profiling.h>
#include <oneapi/tbb/queuing_mutex.h>
#include <oneapi/tbb/queuing_rw_mutex.h>
#include <oneapi/tbb/rw_mutex.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/spin_rw_mutex.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <oneapi/tbb/tbb_allocator.h>
#include <oneapi/tbb/tick_count.h>
#include <oneapi/tbb/version.h>
#if TBB_INTERFACE_VERSION >= 12140
#include <oneapi/tbb/blocked_nd_range.h>
#endif
#if defined(TBB_PREVIEW_CONCURRENT_LRU_CACHE) && TBB_PREVIEW_CONCURRENT_LRU_CACHE
#include <oneapi/tbb/concurrent_lru_cache.h>
#endif

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

// Ranges and partitioners.
using oneapi::tbb::affinity_partitioner;
using oneapi::tbb::auto_partitioner;
using oneapi::tbb::blocked_range;
using oneapi::tbb::blocked_range2d;
using oneapi::tbb::blocked_range3d;
using oneapi::tbb::proportional_split;
using oneapi::tbb::simple_partitioner;
using oneapi::tbb::split;
using oneapi::tbb::static_partitioner;
#if TBB_INTERFACE_VERSION >= 12140
using oneapi::tbb::blocked_nd_range;
#endif

// Containers.
using oneapi::tbb::bad_last_alloc;
using oneapi::tbb::concurrent_bounded_queue;
using oneapi::tbb::concurrent_hash_map;
using oneapi::tbb::concurrent_map;
using oneapi::tbb::concurrent_multimap;
using oneapi::tbb::concurrent_multiset;
using oneapi::tbb::concurrent_priority_queue;
using oneapi::tbb::concurrent_queue;
using oneapi::tbb::concurrent_set;
using oneapi::tbb::concurrent_unordered_map;
using oneapi::tbb::concurrent_unordered_multimap;
using oneapi::tbb::concurrent_unordered_multiset;
using oneapi::tbb::concurrent_unordered_set;
using oneapi::tbb::concurrent_vector;
using oneapi::tbb::tbb_hash_compare;
using oneapi::tbb::user_abort;
#if defined(TBB_PREVIEW_CONCURRENT_LRU_CACHE) && TBB_PREVIEW_CONCURRENT_LRU_CACHE
using oneapi::tbb::concurrent_lru_cache;
#endif

// State of threads.
using oneapi::tbb::combinable;
using oneapi::tbb::enumerable_thread_specific;
using oneapi::tbb::ets_key_per_instance;
using oneapi::tbb::ets_key_usage_type;
using oneapi::tbb::ets_no_key;
using oneapi::tbb::ets_suspend_aware;
using oneapi::tbb::flatten2d;
using oneapi::tbb::flattened2d;

// Mutexes.
using oneapi::tbb::mutex;
using oneapi::tbb::null_mutex;
using oneapi::tbb::null_rw_mutex;
using oneapi::tbb::queuing_mutex;
using oneapi::tbb::queuing_rw_mutex;
using oneapi::tbb::rw_mutex;
using oneapi::tbb::spin_mutex;
using oneapi::tbb::spin_rw_mutex;

// Memory.
using oneapi::tbb::cache_aligned_allocator;
using oneapi::tbb::cache_aligned_resource;
using oneapi::tbb::tbb_allocator;

// The scheduler.
using oneapi::tbb::attach;
using oneapi::tbb::finalize;
using oneapi::tbb::global_control;
using oneapi::tbb::numa_node_id;
using oneapi::tbb::task_scheduler_handle;
using oneapi::tbb::task_scheduler_observer;
using oneapi::tbb::tick_count;
using oneapi::tbb::unsafe_wait;
namespace info = ::oneapi::tbb::info;
namespace profiling = ::oneapi::tbb::profiling;

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_UNCHANGED_H_
