// SPDX-License-Identifier: Apache-2.0
//
// What all threads have done to which cache lines, access by access: the tables behind counting.h.
//
//   count(&word, sizeof word, Access::locked, __builtin_return_address(0));  // if in a lap
//
// An access belongs to a lap of its thread, or is not counted. A line is shared if more than one
// thread has written to it in laps. A transfer is an access for which the line would have to come
// from another core's cache: a write where another thread has read or written since, a read where
// another thread has written since.

#ifndef TASKCTX_BENCHMARKS_ACCESS_LOG_H_
#define TASKCTX_BENCHMARKS_ACCESS_LOG_H_

#include <cstddef>

namespace counting {

enum class Access { locked, atomic_store, store, load };

// Counts an access of the calling thread, at this place in the code.
void count(const volatile void* address, std::size_t size, Access access, const void* code);

// Returns a number of the calling thread that others don't have until the next clear().
int thread_index();
// Counts what the calling thread does as `operation`; as nothing if that is nullptr.
void begin_lap(const char* operation);
// Says how many laps of `operation` were done.
void note_laps(const char* operation, int number);

}  // namespace counting

#endif  // TASKCTX_BENCHMARKS_ACCESS_LOG_H_
