// SPDX-License-Identifier: Apache-2.0
//
// The table of parts, and how a count gets its parts and gives them back.
//
// No order of events loses a reference:
//
// - A part is given back only by end(), when nobody has a reference. So who adds to a part or takes
//   off from it, for which there must be a reference, never meets the part of another count.
// - close() puts a mark into each part as it reads it. Who changes a part and finds the mark counts
//   in refs_ instead, as does who comes later.
// - While the parts are read, refs_ is higher by kClosing: so nobody takes a reference for the last
//   one.

#include "taskctx/internal/core/ref_count.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/copies.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// How many counts can be spread at a time; the others go on as they are.
constexpr std::size_t kCounts = kPartsOfThread;
// Threads beyond that share rows.
constexpr std::size_t kRows = 128;

// Lies in memory that the system gives when it is touched: a page for each thread that needs it.
struct Table {
  struct alignas(4096) Row {
    std::array<Part, kCounts> parts;
  };

  std::array<Row, kRows> rows;
  std::array<std::atomic<bool>, kRows> is_used;  // By a thread that may change parts.

  // The free numbers are a stack, linked through `next`; they begin with 1, 0 is its end. The upper
  // half of `first` counts what was pushed, so that no number is taken for another.
  std::atomic<std::uint64_t> first;
  std::array<std::atomic<std::uint32_t>, kCounts> next;
  std::atomic<std::uint32_t> fresh;  // How many numbers were never given.
};
constinit Table own_table{};

Table& table() noexcept { return first_of_copies(process_wide().ref_counts, own_table); }

template <std::size_t... kNumbers>
constexpr std::array<Part, kCounts> all_closed(std::index_sequence<kNumbers...> /*numbers*/) {
  return {((void)kNumbers, Part(kClosedPart))...};
}

// Returns this thread's tag, and gives it one if need be.
std::uint32_t known_tag() noexcept {
  std::uint32_t tag = thread_tag();
  if (tag == kNoThreadTag) [[unlikely]] {
    // Relaxed: a number, no more.
    const std::uint32_t number =
        process_wide().next_thread_tag.fetch_add(1, std::memory_order_relaxed);
    tag = kFirstThreadTag + number % (kNoThreadTag - kFirstThreadTag);
    const std::size_t row = tag % kRows;
    table().is_used[row].store(true, std::memory_order_seq_cst);  // See close().
    set_thread_tag(tag, table().rows[row].parts.data());
  }
  return tag;
}

// Returns a number whose parts are 0, or 0 if there is none left.
std::uint32_t take_number() noexcept {
  Table& all = table();
  // Pairs with the release in give_number(): the parts are 0.
  std::uint64_t first = all.first.load(std::memory_order_acquire);
  while (static_cast<std::uint32_t>(first) != 0) {
    const auto number = static_cast<std::uint32_t>(first);
    const std::uint64_t rest =
        (first & ~std::uint64_t{0xffffffff}) + all.next[number].load(std::memory_order_relaxed);
    if (all.first.compare_exchange_weak(first, rest, std::memory_order_acquire)) {
      return number;
    }
  }
  std::uint32_t fresh = all.fresh.load(std::memory_order_relaxed);
  while (fresh + 1 < kCounts) {
    if (all.fresh.compare_exchange_weak(fresh, fresh + 1, std::memory_order_relaxed)) {
      return fresh + 1;
    }
  }
  return 0;
}

void give_number(std::uint32_t number) noexcept {
  Table& all = table();
  for (std::size_t row = 0; row < kRows; ++row) {
    if (all.is_used[row].load(std::memory_order_relaxed)) {
      all.rows[row].parts[number].store(0, std::memory_order_relaxed);
    }
  }
  std::uint64_t first = all.first.load(std::memory_order_relaxed);
  std::uint64_t pushed = 0;
  do {
    all.next[number].store(static_cast<std::uint32_t>(first), std::memory_order_relaxed);
    pushed = (((first >> 32) + 1) << 32) + number;
    // The release publishes that the parts are 0: pairs with take_number().
  } while (!all.first.compare_exchange_weak(first, pushed, std::memory_order_release,
                                            std::memory_order_relaxed));
}

// What refs_ is higher by while the parts are read: more than there can be references.
constexpr std::uint32_t kClosing = 1U << 29;

}  // namespace

constinit std::array<Part, kCounts> closed_parts = all_closed(std::make_index_sequence<kCounts>());

// Makes this thread the last one that was here, if it is not, and nobody comes in between. Opens
// the parts if threads have taken turns often enough.
void RefCount::note_thread(std::uint32_t& state, std::uint32_t tag) noexcept {
  std::uint32_t heat = is_first(state) ? 0 : state & ~kTag;  // Nobody will end that.
  if (state != kFresh && (state & kTag) != kUnknown && (state & kTag) != tag) {
    heat += kHeat;
  }
  if (heat >= kHot * kHeat) {
    if (try_open(state)) {
      return;
    }
    heat = 0;
  }
  // The acquire gets what try_open() and end_first() have released, if they came in between.
  if (state_.compare_exchange_strong(state, heat | tag, std::memory_order_acquire)) {
    state = heat | tag;
  }
}

// The caller has a reference, or somebody has one meanwhile, and it is a plain one: before the
// first one opens the parts there are no others. So refs_ does not go down to the one that is added
// here.
bool RefCount::try_open(std::uint32_t& state) noexcept {
  const std::uint32_t number = take_number();
  if (number == 0) {
    return false;
  }
  refs_.fetch_add(1, std::memory_order_relaxed);
  // The release publishes the parts: pairs with the acquires of state_. seq_cst: see close().
  if (state_.compare_exchange_strong(state, kOpen | number, std::memory_order_seq_cst,
                                     std::memory_order_acquire)) {
    state = kOpen | number;
  } else {
    refs_.fetch_sub(1, std::memory_order_relaxed);
    give_number(number);
  }
  return true;  // `state` is another one now, in any case.
}

bool RefCount::add_slowly() noexcept {
  const std::uint32_t tag = known_tag();
  const auto is_begun = [](std::uint32_t state) { return is_first(state) && !is_left(state); };
  std::uint32_t state = 0;
  do {
    state = state_.load(std::memory_order_seq_cst);  // Acquires the parts, or what was done first.
    if (is_begun(state)) {
      std::this_thread::yield();
    } else if ((state & kOpen) == 0) {
      note_thread(state, tag);
    }
  } while (is_begun(state));
  if ((state & kOpen) != 0 && add_to_parts(state, 1)) {
    return true;
  }
  add_plain();
  return false;
}

bool RefCount::drop_slowly() noexcept {
  std::uint32_t state = state_.load(std::memory_order_acquire);
  if ((state & kOpen) == 0 && state != kFresh && !is_first(state)) {
    note_thread(state, known_tag());
  }
  if ((state & (kOpen | kClosed)) == kOpen) {
    return drop_open(state);
  }
  return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

// The last plain reference closes the parts before it goes: nobody else can end the object then.
bool RefCount::drop_open(std::uint32_t state) noexcept {
  std::uint32_t refs = refs_.load(std::memory_order_relaxed);
  while (refs > 2) {
    if (refs_.compare_exchange_weak(refs, refs - 1, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      return false;
    }
  }
  refs_.fetch_add(kClosing, std::memory_order_relaxed);
  if (state_.compare_exchange_strong(state, state | kClosed, std::memory_order_seq_cst,
                                     std::memory_order_acquire)) {
    return close(state & kTag);
  }
  // Another thread has closed them. Nobody has missed our reference meanwhile.
  return refs_.fetch_sub(kClosing + 1, std::memory_order_acq_rel) == kClosing + 1;
}

// Moves what the parts have counted to refs_, and drops two references, the caller's and that of
// the parts. Returns true if none is left.
//
// A thread that changes a part has set is_used before, and has seen state_ open after that. All
// that and what follows is seq_cst, that is, in one order: state_ was closed later, and so we see
// is_used.
bool RefCount::close(std::uint32_t number) noexcept {
  Table& all = table();
  std::int64_t sum = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    if (all.is_used[row].load(std::memory_order_seq_cst)) {
      // Acquires what those did who have dropped their references: pairs with add_to_parts().
      sum += all.rows[row].parts[number].exchange(kClosedPart, std::memory_order_acq_rel);
    }
  }
  const std::uint32_t change = static_cast<std::uint32_t>(sum) - kClosing - 2;
  return refs_.fetch_add(change, std::memory_order_acq_rel) + change == 0;
}

bool RefCount::drop_spread_slowly() noexcept {
  (void)known_tag();
  return !add_to_parts(state_.load(std::memory_order_seq_cst), -1) &&
         refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void RefCount::give_back_parts() noexcept {
  give_number(state_.load(std::memory_order_relaxed) & kTag);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
