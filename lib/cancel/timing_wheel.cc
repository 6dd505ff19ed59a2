// SPDX-License-Identifier: Apache-2.0
//
// How entries move down the levels of a wheel, and come out.

#include "taskctx/internal/cancel/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace taskctx {
inline namespace v1 {
namespace internal {

void WheelList::close() noexcept {
  if (end_.next == nullptr) {
    end_ = {&end_, &end_};
  }
}

void WheelList::push_back(WheelEntry& entry) noexcept {
  close();
  entry.next = &end_;
  entry.previous = end_.previous;
  end_.previous->next = &entry;
  end_.previous = &entry;
}

WheelEntry& WheelList::pop_front() noexcept {
  auto& entry = static_cast<WheelEntry&>(*end_.next);
  remove(entry);
  return entry;
}

void WheelList::append(WheelList& other) noexcept {
  if (other.is_empty()) {
    return;
  }
  close();
  end_.previous->next = other.end_.next;
  other.end_.next->previous = end_.previous;
  end_.previous = other.end_.previous;
  end_.previous->next = &end_;
  other.end_ = {};
}

std::uint64_t WheelList::least_time(std::uint64_t otherwise) const noexcept {
  constexpr int kFew = 16;
  std::uint64_t least = TimingWheel::kNever;
  int looks = 0;
  for (const WheelLinks* entry = end_.next; entry != &end_; entry = entry->next) {
    if (++looks > kFew) {
      return otherwise;
    }
    least = std::min(least, static_cast<const WheelEntry*>(entry)->time);
  }
  return least;
}

std::size_t TimingWheel::level_of(std::uint64_t difference) noexcept {
  return static_cast<std::size_t>(std::bit_width(difference) - 1) / kBits;
}

void TimingWheel::add(WheelEntry& entry) noexcept {
  if (entry.time <= position_) {
    ready_.push_back(entry);
    return;
  }
  const std::size_t level = level_of(entry.time ^ position_);
  const std::size_t slot = slot_of(entry.time, level);
  slots_[level][slot].push_back(entry);
  occupied_[level] |= std::uint64_t{1} << slot;
}

// On each level, slots that the position has passed have no bit: it never passes the first one.
bool TimingWheel::find_first(First& first) noexcept {
  for (std::size_t level = 0; level < kLevels; ++level) {
    while (occupied_[level] != 0) {
      const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
      if (!slots_[level][slot].is_empty()) {
        const std::size_t below = kBits * level;  // Bits that differ within the slot.
        const std::size_t inside = below + kBits;
        const std::uint64_t outside = inside < 64 ? position_ >> inside << inside : 0;
        first = {level, slot, outside | (std::uint64_t{slot} << below)};
        return true;
      }
      occupied_[level] &= occupied_[level] - 1;  // All that it had were removed.
    }
  }
  return false;
}

bool TimingWheel::step(std::uint64_t time, WheelEntry*& popped) noexcept {
  if (!moving_.is_empty()) {
    add(moving_.pop_front());
    return true;
  }
  if (!ready_.is_empty()) {
    popped = &ready_.pop_front();
    return true;
  }
  First first;
  if (!find_first(first) || first.begin > time) {
    position_ = time;
    return false;
  }
  position_ = first.begin;
  occupied_[first.level] &= occupied_[first.level] - 1;
  (first.level <= static_cast<std::size_t>(coarse_) ? ready_ : moving_)
      .append(slots_[first.level][first.slot]);
  return true;
}

std::uint64_t TimingWheel::next() noexcept {
  First first;
  return find_first(first) ? slots_[first.level][first.slot].least_time(first.begin) : kNever;
}

// The entries below the level of the highest bits that change had those bits in common. So all of
// them belong in one slot there. Those on that level and above it are where they belong.
void TimingWheel::rewind(std::uint64_t time) noexcept {
  if (time >= position_) {
    return;
  }
  moving_.append(ready_);
  const std::size_t level = level_of(time ^ position_);
  const std::size_t slot = slot_of(position_, level);
  for (std::size_t below = 0; below < level; ++below) {
    for (; occupied_[below] != 0; occupied_[below] &= occupied_[below] - 1) {
      slots_[level][slot].append(
          slots_[below][static_cast<std::size_t>(std::countr_zero(occupied_[below]))]);
    }
  }
  occupied_[level] |= std::uint64_t{1} << slot;
  position_ = time;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
