// SPDX-License-Identifier: Apache-2.0
//
// TimingWheel: entries that come out in the order of their times. To add or to remove one costs a
// few loads and stores, however many there are, and no memory.
//
//   wheel.add(entry);
//   while (wheel.step(now, popped)) {
//     if (popped != nullptr) fire(*popped);
//   }
//
// The wheel stands at a position. It has 11 levels of 64 slots; those of the lowest are 1 ns wide,
// others 64 times as wide as those below. An entry is on the level of the highest six bits in which
// its time differs from the position, in the slot that those bits of its time name. So each entry
// on a level comes before all those on higher levels. When the position comes to a slot, its
// entries move down.

#ifndef TASKCTX_INTERNAL_CANCEL_TIMING_WHEEL_H_
#define TASKCTX_INTERNAL_CANCEL_TIMING_WHEEL_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct WheelLinks {
  WheelLinks* next = nullptr;
  WheelLinks* previous = nullptr;
};

// Base class of what is in a wheel. Its time is changed only while it is in none.
struct WheelEntry : WheelLinks {
  // Any moment that an int64_t names, in nanoseconds, counted from the first.
  std::uint64_t time = 0;
};

// A circle of entries, with this as its end. All zero is an empty one, too.
class WheelList {
 public:
  WheelList() = default;
  WheelList(const WheelList&) = delete;
  WheelList& operator=(const WheelList&) = delete;

  [[nodiscard]] bool is_empty() const noexcept {
    return end_.next == nullptr || end_.next == &end_;
  }
  void push_back(WheelEntry& entry) noexcept;
  WheelEntry& pop_front() noexcept;
  // Takes all that `other` has.
  void append(WheelList& other) noexcept;
  static void remove(WheelEntry& entry) noexcept {
    entry.previous->next = entry.next;
    entry.next->previous = entry.previous;
  }
  // Returns the least time of an entry, or `otherwise` if there are too many to look at.
  [[nodiscard]] std::uint64_t least_time(std::uint64_t otherwise) const noexcept;

 private:
  void close() noexcept;

  WheelLinks end_;
};

class TimingWheel {
 public:
  // One that need not be exact: entries come out early, by less than 64^`coarse` ns, and those of
  // such a time in any order.
  explicit TimingWheel(int coarse = 0) noexcept : coarse_(coarse) {}

  // Entries at or before it come out as soon as step() is called.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

  void add(WheelEntry& entry) noexcept;
  static void remove(WheelEntry& entry) noexcept { WheelList::remove(entry); }

  // Does a little of what is to be done to bring the position to `time`, which is not before it:
  // moves one entry, or takes one out, which is `popped` then. Returns false if all is done.
  bool step(std::uint64_t time, WheelEntry*& popped) noexcept;

  // Returns when to call step() again, once that has returned false: at the time of the first
  // entry, or somewhat earlier.
  [[nodiscard]] std::uint64_t next() noexcept;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // Brings the position back to `time`, if that is before it.
  void rewind(std::uint64_t time) noexcept;

 private:
  static constexpr int kBits = 6;
  static constexpr std::size_t kSlots = std::size_t{1} << kBits;
  static constexpr std::size_t kLevels = (64 + kBits - 1) / kBits;

  // The slot that the position comes to next.
  struct First {
    std::size_t level;
    std::size_t slot;
    std::uint64_t begin;
  };

  static std::size_t level_of(std::uint64_t difference) noexcept;
  static std::size_t slot_of(std::uint64_t time, std::size_t level) noexcept {
    return (time >> (kBits * level)) % kSlots;
  }
  // Returns false if there is none.
  bool find_first(First& first) noexcept;

  std::uint64_t position_ = 0;
  const int coarse_;
  WheelList ready_;   // To come out.
  WheelList moving_;  // To be added again.
  // By level, a bit for each slot that may have entries.
  std::array<std::uint64_t, kLevels> occupied_{};
  std::array<std::array<WheelList, kSlots>, kLevels> slots_{};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CANCEL_TIMING_WHEEL_H_
