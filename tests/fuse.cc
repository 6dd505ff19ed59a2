// SPDX-License-Identifier: Apache-2.0

#include "tests/fuse.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

constinit thread_local taskctx_test::Fuse taskctx_test::allocations;

namespace {
std::atomic<long> live{0};
}  // namespace

long taskctx_test::live_allocations() { return live; }

// All but those for over-aligned types end here.
void* operator new(std::size_t size) {
  void* memory = taskctx_test::allocations.fails() ? nullptr : std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  ++live;
  return memory;
}
void operator delete(void* memory) noexcept {
  live -= memory != nullptr ? 1 : 0;
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }
