// SPDX-License-Identifier: Apache-2.0

#include "benchmarks/allocations.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> bytes{0};
std::atomic<std::size_t> count{0};

}  // namespace

std::size_t bench::allocated_bytes() { return bytes; }
std::size_t bench::allocations() { return count; }

// The others of the family end here.
void* operator new(std::size_t size) {
  bytes.fetch_add(size, std::memory_order_relaxed);
  count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
