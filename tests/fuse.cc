// SPDX-License-Identifier: Apache-2.0

#include "tests/fuse.h"

#include <dlfcn.h>
#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

constinit thread_local taskctx_test::Fuse taskctx_test::allocations;
constinit thread_local bool taskctx_test::threads_may_fail = false;

namespace {
std::atomic<long> live{0};

bool is_in_onetbb(const void* place) {
  Dl_info library;
  return dladdr(place, &library) != 0 &&
         std::string_view(library.dli_fname).find("libtbb") != std::string_view::npos;
}

void* allocate(std::size_t size, bool may_fail) {
  const bool fails = may_fail && taskctx_test::allocations.fails();
  void* memory = fails ? nullptr : std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  ++live;
  return memory;
}
}  // namespace

long taskctx_test::live_allocations() { return live; }

// All but those for over-aligned types end here.
void* operator new(std::size_t size) { return allocate(size, /*may_fail=*/true); }
// oneTBB calls this one to start a thread.
void* operator new[](std::size_t size) {
  return allocate(size,
                  taskctx_test::threads_may_fail || !is_in_onetbb(__builtin_return_address(0)));
}
// Whoever uses the memory still shall not find what was there.
void operator delete(void* memory) noexcept {
  if (memory != nullptr) {
    --live;
    std::memset(memory, 0xdd, malloc_usable_size(memory));
    std::free(memory);
  }
}
void operator delete(void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }
