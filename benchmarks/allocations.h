// SPDX-License-Identifier: Apache-2.0
//
// Counts what operator new is asked for, in programs that link this.

#ifndef TASKCTX_BENCHMARKS_ALLOCATIONS_H_
#define TASKCTX_BENCHMARKS_ALLOCATIONS_H_

#include <cstddef>

namespace bench {

// Returns the bytes that operator new was asked for so far, by any thread; over-aligned types
// aside.
std::size_t allocated_bytes();

// Returns how often.
std::size_t allocations();

}  // namespace bench

#endif  // TASKCTX_BENCHMARKS_ALLOCATIONS_H_
