// SPDX-License-Identifier: Apache-2.0
//
// The tables: one entry for each line, and for each place in the code that accesses it.

#include "benchmarks/access_log.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "benchmarks/counting.h"

namespace counting {
namespace {

constexpr std::uintptr_t kLine = 64;
constexpr std::size_t kAccesses = 4;

// What was done at one place of the code to one line, in laps of one operation.
struct Site {
  std::uintptr_t line;  // 0: free.
  const void* code;
  const char* operation;
  std::uint32_t counts[kAccesses];
  std::uint32_t transfers;
};

// Who has a line in its cache.
struct Line {
  std::uintptr_t line;    // 0: free.
  std::uint64_t holders;  // Bits.
  std::uint64_t writers;  // In laps.
};

// Open hash tables of a fixed size. Not from malloc, and no code that others may have compiled.
constexpr std::size_t kSites = std::size_t{1} << 17;
constexpr std::size_t kLines = std::size_t{1} << 18;
Site sites[kSites];
Line lines[kLines];
std::size_t used_sites = 0;
std::size_t used_lines = 0;
struct Laps {
  const char* operation;
  int number;
} all_laps[32];

int lock_word = 0;
int round = 0;  // The number of clear()s. Threads are numbered anew in each.
int next_thread = 0;
thread_local int this_round = -1;
thread_local int this_thread = 0;
thread_local const char* current_operation = nullptr;

class Lock {
 public:
  Lock() {
    while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE) != 0) {
    }
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE); }
};

[[noreturn]] void full() {
  std::fputs("access_log.cc: a table is full\n", stderr);
  std::abort();
}

std::size_t mixed(std::uintptr_t a, std::uintptr_t b) {
  std::uint64_t hash = (a ^ (b * 0x9e3779b97f4a7c15U)) * 0xbf58476d1ce4e5b9U;
  return static_cast<std::size_t>(hash ^ (hash >> 29U));
}

Line& line_at(std::uintptr_t line) {
  for (std::size_t i = mixed(line, 0);; ++i) {
    Line& found = lines[i % kLines];
    if (found.line == line) {
      return found;
    }
    if (found.line == 0) {
      if (++used_lines > kLines / 2) {
        full();
      }
      found = {line, 0, 0};
      return found;
    }
  }
}

Site& site_at(std::uintptr_t line, const void* code) {
  const auto words = reinterpret_cast<std::uintptr_t>(code) ^
                     (reinterpret_cast<std::uintptr_t>(current_operation) << 16U);
  for (std::size_t i = mixed(line, words);; ++i) {
    Site& found = sites[i % kSites];
    if (found.line == line && found.code == code && found.operation == current_operation) {
      return found;
    }
    if (found.line == 0) {
      if (++used_sites > kSites / 2) {
        full();
      }
      found = {line, code, current_operation, {}, 0};
      return found;
    }
  }
}

void count_line(std::uintptr_t number, Access access, const void* code) {
  const std::uint64_t me = std::uint64_t{1} << static_cast<unsigned>(thread_index());
  const bool writes = access != Access::load;
  Line& line = line_at(number);
  const bool is_here = (line.holders & me) != 0 && (!writes || line.holders == me);
  const bool moves = !is_here && (line.holders & ~me) != 0;
  line.holders = writes ? me : line.holders | me;
  if (current_operation == nullptr) {
    return;
  }
  line.writers |= writes ? me : 0;
  Site& site = site_at(number, code);
  ++site.counts[static_cast<std::size_t>(access)];
  site.transfers += moves ? 1 : 0;
}

}  // namespace

int thread_index() {
  const int now = __atomic_load_n(&round, __ATOMIC_RELAXED);
  if (this_round != now) {
    this_round = now;
    this_thread = __atomic_fetch_add(&next_thread, 1, __ATOMIC_RELAXED);
    if (this_thread >= 64) {
      std::fputs("access_log.cc: too many threads\n", stderr);
      std::abort();
    }
  }
  return this_thread;
}

void count(const volatile void* address, std::size_t size, Access access, const void* code) {
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  const Lock lock;
  for (std::uintptr_t at = first / kLine; at <= (first + size - 1) / kLine; ++at) {
    count_line(at + 1, access, code);
  }
}

void begin_lap(const char* operation) { current_operation = operation; }

void note_laps(const char* operation, int number) {
  const Lock lock;
  for (Laps& laps : all_laps) {
    if (operation != nullptr && laps.operation == nullptr) {
      laps = {operation, number};
      return;
    }
  }
}

void clear() {
  const Lock lock;
  std::memset(static_cast<void*>(sites), 0, sizeof sites);
  std::memset(static_cast<void*>(lines), 0, sizeof lines);
  std::memset(static_cast<void*>(all_laps), 0, sizeof all_laps);
  used_sites = 0;
  used_lines = 0;
  __atomic_store_n(&next_thread, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&round, round + 1, __ATOMIC_RELAXED);
}

void report() {
  const char* before = "{";
  for (const Laps& laps : all_laps) {
    if (laps.operation == nullptr) {
      break;
    }
    std::printf(R"(%s"%s": {"laps": %d, "sites": [)", before, laps.operation, laps.number);
    before = "";
    for (const Site& site : sites) {
      if (site.line == 0 || site.operation != laps.operation) {
        continue;
      }
      const bool is_shared = __builtin_popcountll(line_at(site.line).writers) > 1;
      Dl_info place{};
      dladdr(site.code, &place);
      std::printf(R"(%s[%zu, "%s", %td, %d, %u, %u, %u, %u, %u])", before, site.line,
                  place.dli_fname,
                  static_cast<const char*>(site.code) - static_cast<const char*>(place.dli_fbase),
                  is_shared ? 1 : 0, site.counts[0], site.counts[1], site.counts[2], site.counts[3],
                  site.transfers);
      before = ", ";
    }
    std::fputs("]}", stdout);
    before = ", ";
  }
  std::puts("}");
  clear();
}

}  // namespace counting
