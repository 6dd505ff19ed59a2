// SPDX-License-Identifier: Apache-2.0
//
// The rest of oneTBB, beside algorithms and tasks: the same types in namespace taskctx::tbb. None
// of them runs user's code in a task: each comment says what they run, and where. Previews are here
// where oneTBB's macros turn them on.
//
//   taskctx::tbb::concurrent_vector<int> found;  // is oneapi::tbb::concurrent_vector<int>

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
#include <oneapi/tbb/scalable_allocator.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/spin_rw_mutex.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <oneapi/tbb/tbb_allocator.h>
#include <oneapi/tbb/tick_count.h>
#include <oneapi/tbb/version.h>
#if __has_include(<oneapi/tbb/blocked_nd_range.h>)
#include <oneapi/tbb/blocked_nd_range.h>
#endif
#if defined(TBB_PREVIEW_BLOCKED_RANGE_ND) && TBB_PREVIEW_BLOCKED_RANGE_ND && \
    __has_include(<oneapi/tbb/blocked_rangeNd.h>)
#include <oneapi/tbb/blocked_rangeNd.h>
#endif
#if defined(TBB_PREVIEW_CONCURRENT_LRU_CACHE) && TBB_PREVIEW_CONCURRENT_LRU_CACHE
#include <oneapi/tbb/concurrent_lru_cache.h>
#endif
#if defined(TBB_PREVIEW_MEMORY_POOL) && TBB_PREVIEW_MEMORY_POOL
#include <oneapi/tbb/memory_pool.h>
#endif
#if defined(TBB_PREVIEW_NUMA_ALLOCATION) && TBB_PREVIEW_NUMA_ALLOCATION && \
    __has_include(<oneapi/tbb/numa_allocation.h>)
#include <oneapi/tbb/numa_allocation.h>
#endif

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

// Ranges and partitioners: arithmetic. Copies and splits of a range are its algorithm's matter; a
// value type's own operators run there, too, outside of bodies.
using oneapi::tbb::affinity_partitioner;
using oneapi::tbb::auto_partitioner;
using oneapi::tbb::blocked_range;
using oneapi::tbb::blocked_range2d;
using oneapi::tbb::blocked_range3d;
using oneapi::tbb::proportional_split;
using oneapi::tbb::simple_partitioner;
using oneapi::tbb::split;
using oneapi::tbb::static_partitioner;
#if __has_include(<oneapi/tbb/blocked_nd_range.h>)
using oneapi::tbb::blocked_nd_range;
#endif
#if defined(TBB_PREVIEW_BLOCKED_RANGE_ND) && TBB_PREVIEW_BLOCKED_RANGE_ND && \
    __has_include(<oneapi/tbb/blocked_rangeNd.h>)
using oneapi::tbb::blocked_rangeNd;
#endif

// Containers. Comparisons, hashes, factories and elements' members run on the thread that uses the
// container, in its context. Except: concurrent_priority_queue lets one thread work for all, so its
// comparisons and moves of elements may run in another thread's context.
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

// State of threads. It stays with the thread, and does not follow a task: each thread keeps what
// the factory has made there first, so a factory should not depend on the context.
using oneapi::tbb::combinable;
using oneapi::tbb::enumerable_thread_specific;
using oneapi::tbb::ets_key_per_instance;
using oneapi::tbb::ets_key_usage_type;
using oneapi::tbb::ets_no_key;
using oneapi::tbb::ets_suspend_aware;
using oneapi::tbb::flatten2d;
using oneapi::tbb::flattened2d;

// Mutexes. A thread that waits for one runs no tasks.
using oneapi::tbb::mutex;
using oneapi::tbb::null_mutex;
using oneapi::tbb::null_rw_mutex;
using oneapi::tbb::queuing_mutex;
using oneapi::tbb::queuing_rw_mutex;
using oneapi::tbb::rw_mutex;
using oneapi::tbb::speculative_spin_mutex;
using oneapi::tbb::speculative_spin_rw_mutex;
using oneapi::tbb::spin_mutex;
using oneapi::tbb::spin_rw_mutex;

// Memory. The upstream resource or allocator of a pool runs on the thread that allocates.
using oneapi::tbb::cache_aligned_allocator;
using oneapi::tbb::cache_aligned_resource;
using oneapi::tbb::scalable_allocator;
using oneapi::tbb::scalable_memory_resource;
using oneapi::tbb::tbb_allocator;
#if defined(TBB_PREVIEW_MEMORY_POOL) && TBB_PREVIEW_MEMORY_POOL
using oneapi::tbb::fixed_pool;
using oneapi::tbb::memory_pool;
using oneapi::tbb::memory_pool_allocator;
#endif
#if defined(TBB_PREVIEW_NUMA_ALLOCATION) && TBB_PREVIEW_NUMA_ALLOCATION && \
    __has_include(<oneapi/tbb/numa_allocation.h>)
using oneapi::tbb::allocate_numa_interleaved;
using oneapi::tbb::deallocate_numa_interleaved;
#endif

// The scheduler: settings, and what it tells of the machine. Observers are told when threads join
// and leave an arena, not when tasks begin and end: there is no task then whose context they could
// have. An assertion handler runs where the assertion fails, as the process ends.
using oneapi::tbb::attach;
#if TBB_INTERFACE_VERSION >= 12090 || \
    defined(__TBB_PREVIEW_TASK_ARENA_CONSTRAINTS_EXTENSION_PRESENT)
using oneapi::tbb::core_type_id;
#endif
using oneapi::tbb::finalize;
using oneapi::tbb::global_control;
using oneapi::tbb::numa_node_id;
using oneapi::tbb::task_scheduler_handle;
using oneapi::tbb::task_scheduler_observer;
using oneapi::tbb::tick_count;
using oneapi::tbb::unsafe_wait;
#if TBB_INTERFACE_VERSION >= 12170
namespace ext = ::oneapi::tbb::ext;
#endif
namespace info = ::oneapi::tbb::info;
namespace profiling = ::oneapi::tbb::profiling;

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_UNCHANGED_H_
