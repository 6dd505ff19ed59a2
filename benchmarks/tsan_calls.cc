// SPDX-License-Identifier: Apache-2.0
//
// What -fsanitize=thread lets programs call, in the place of ThreadSanitizer's own functions; and
// what the linker puts in the place of the C library's (--wrap).

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

#include "benchmarks/access_log.h"

namespace {

using counting::Access;
using counting::count;

// A store that is sequentially consistent is an exchange on x86.
Access access_of_store(int order) {
  return order == __ATOMIC_SEQ_CST ? Access::locked : Access::atomic_store;
}

}  // namespace

// Lines of its own for each allocation.
void* operator new(std::size_t size) {
  constexpr std::size_t kLine = 64;
  void* const memory = std::aligned_alloc(kLine, (size + kLine) / kLine * kLine);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

#define CALLER __builtin_return_address(0)

// The names that compilers call. NOLINTBEGIN
extern "C" {

#define FETCH(bits, type, name)                                                 \
  type __tsan_atomic##bits##_fetch_##name(volatile type* at, type value, int) { \
    count(at, sizeof *at, Access::locked, CALLER);                              \
    return __atomic_fetch_##name(at, value, __ATOMIC_SEQ_CST);                  \
  }
#define COMPARE(bits, type, strength)                                                              \
  bool __tsan_atomic##bits##_compare_exchange_##strength(volatile type* at, type* old, type value, \
                                                         int, int) {                               \
    count(at, sizeof *at, Access::locked, CALLER);                                                 \
    return __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }
#define ATOMIC(bits, type)                                                                      \
  type __tsan_atomic##bits##_load(const volatile type* at, int) {                               \
    count(at, sizeof *at, Access::load, CALLER);                                                \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                               \
  }                                                                                             \
  void __tsan_atomic##bits##_store(volatile type* at, type value, int order) {                  \
    count(at, sizeof *at, access_of_store(order), CALLER);                                      \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                              \
  }                                                                                             \
  type __tsan_atomic##bits##_exchange(volatile type* at, type value, int) {                     \
    count(at, sizeof *at, Access::locked, CALLER);                                              \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                    \
  }                                                                                             \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* at, type old, type value, int, \
                                                  int) {                                        \
    count(at, sizeof *at, Access::locked, CALLER);                                              \
    __atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);    \
    return old;                                                                                 \
  }                                                                                             \
  COMPARE(bits, type, strong)                                                                   \
  COMPARE(bits, type, weak)                                                                     \
  FETCH(bits, type, add)                                                                        \
  FETCH(bits, type, sub)                                                                        \
  FETCH(bits, type, and)                                                                        \
  FETCH(bits, type, or)                                                                         \
  FETCH(bits, type, xor)
ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

// A full fence is an operation on the thread's own stack, with a lock prefix.
void __tsan_atomic_thread_fence(int order) {
  if (order == __ATOMIC_SEQ_CST) {
    count(__builtin_frame_address(0), 1, Access::locked, CALLER);
  }
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

#define PLAIN(size)                                                                              \
  void __tsan_read##size(void* at) { count(at, size, Access::load, CALLER); }                    \
  void __tsan_write##size(void* at) { count(at, size, Access::store, CALLER); }                  \
  void __tsan_read_write##size(void* at) { count(at, size, Access::store, CALLER); }             \
  void __tsan_volatile_read##size(void* at) { count(at, size, Access::load, CALLER); }           \
  void __tsan_volatile_write##size(void* at) { count(at, size, Access::store, CALLER); }         \
  void __tsan_unaligned_read##size(void* at) { count(at, size, Access::load, CALLER); }          \
  void __tsan_unaligned_write##size(void* at) { count(at, size, Access::store, CALLER); }        \
  void __tsan_unaligned_read_write##size(void* at) { count(at, size, Access::store, CALLER); }   \
  void __tsan_unaligned_volatile_read##size(void* at) { count(at, size, Access::load, CALLER); } \
  void __tsan_unaligned_volatile_write##size(void* at) { count(at, size, Access::store, CALLER); }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
void __tsan_read_range(void* at, std::size_t size) {
  if (size != 0) {
    count(at, size, Access::load, CALLER);
  }
}
void __tsan_write_range(void* at, std::size_t size) {
  if (size != 0) {
    count(at, size, Access::store, CALLER);
  }
}
void __tsan_vptr_read(void** at) { count(at, sizeof *at, Access::load, CALLER); }
void __tsan_vptr_update(void** at, void*) { count(at, sizeof *at, Access::store, CALLER); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
// clang calls these.
void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  __tsan_write_range(to, size);
  return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  __tsan_write_range(to, size);
  return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, std::size_t size) {
  __tsan_write_range(to, size);
  return std::memset(to, value, size);
}

// The linker puts these in the place of the C library's (--wrap). One locked operation each, and
// two stores of the owner.
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t* mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  count(mutex, sizeof *mutex, Access::locked, CALLER);
  return __real_pthread_mutex_lock(mutex);
}
int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
  count(mutex, sizeof *mutex, Access::locked, CALLER);
  return __real_pthread_mutex_trylock(mutex);
}
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  count(mutex, sizeof *mutex, Access::locked, CALLER);
  return __real_pthread_mutex_unlock(mutex);
}

// The coarse clock stands still: or else a shell would give its thread back whenever it ticks.
int __real_clock_gettime(clockid_t clock, timespec* time);
int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  if (clock == CLOCK_MONOTONIC_COARSE) {
    *time = {};
    return 0;
  }
  return __real_clock_gettime(clock, time);
}

}  // extern "C"
// NOLINTEND
