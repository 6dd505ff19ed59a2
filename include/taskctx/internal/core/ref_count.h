// SPDX-License-Identifier: Apache-2.0
//
// RefCount: a count of references that many threads may change at once.
//
//   const bool is_spread = count.add();                            // whoever makes a reference
//   if (is_spread ? count.drop_spread() : count.drop()) destroy();  // whoever drops that one
//
// A count that several threads change is a cache line that goes from core to core, and the more
// cores there are, the longer each of them waits. So a count that threads are seen to change in
// turn becomes spread: each thread counts in a line of its own, in its part. The sum of the parts
// is known only to who adds them up. So references are of two kinds. Plain ones are counted here.
// As long as there is one, nobody needs the sum. The last plain one that goes closes the parts,
// adds them up, and all that are left are counted here from then on. So what is counted ends with
// its last reference, at once, whatever other threads do or don't do.
//
// The parts of all counts are in one table, a row for each thread: so they cost no memory that
// grows with the objects, and what one thread counts lies in lines that only it writes to.

#ifndef TASKCTX_INTERNAL_CORE_REF_COUNT_H_
#define TASKCTX_INTERNAL_CORE_REF_COUNT_H_

#include <atomic>
#include <cstdint>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class RefCount {
 public:
  // Begins with this number of plain references.
  constexpr explicit RefCount(std::uint32_t references) noexcept : refs_(references) {}
  RefCount(const RefCount&) = delete;
  RefCount& operator=(const RefCount&) = delete;

  // Makes a reference, of either kind. Returns true if it is a spread one. The caller has one
  // itself, or somebody has one for as long as this call. Costs a locked addition; in a line that
  // other threads write to as well only until the count is spread.
  [[nodiscard]] bool add() noexcept {
    const Added added = try_add();
    return added != Added::no ? added == Added::spread : add_slowly();
  }
  // Does the usual part of that: what is left is for add_slowly().
  enum class Added { no, plain, spread };
  [[nodiscard]] Added try_add() noexcept {
    const std::uint32_t state = state_.load(std::memory_order_seq_cst);  // See close().
    if ((state & kOpen) != 0) [[unlikely]] {
      return add_to_parts(state, 1) ? Added::spread : Added::no;
    }
    if (!is_mine(state)) [[unlikely]] {
      return Added::no;
    }
    add_plain();
    return Added::plain;
  }
  [[nodiscard]] bool add_slowly() noexcept;
  // Makes a plain one: for owners that can't tell one kind from the other.
  void add_plain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }

  // Drop a reference of one kind. Return true if no reference is left: then the caller calls end(),
  // and destroys the object. What this owner did with it is released to the one that destroys it,
  // or writes in it: to the acquire here, of the last owner, and in is_one().
  [[nodiscard]] bool drop() noexcept {
    if (is_one()) {
      return true;
    }
    return is_mine(state_.load(std::memory_order_relaxed))
               ? refs_.fetch_sub(1, std::memory_order_acq_rel) == 1
               : drop_slowly();
  }
  [[nodiscard]] bool drop_spread() noexcept {
    return !add_to_parts(state_.load(std::memory_order_seq_cst), -1) && drop_spread_slowly();
  }
  // Drop a plain one of a count of which nobody has ever called add(): likewise; and if it is not
  // the last one, which is said by the result.
  [[nodiscard]] bool drop_plain() noexcept {
    return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  [[nodiscard]] bool drop_unless_last() noexcept {
    std::uint32_t refs = refs_.load(std::memory_order_relaxed);
    while (refs > 1) {
      if (refs_.compare_exchange_weak(refs, refs - 1, std::memory_order_acq_rel)) {
        return true;
      }
    }
    return false;
  }

  // Tells whether the caller's reference, a plain one, is the only one. Then nobody else can make
  // another, and what others did who have dropped theirs happened before.
  [[nodiscard]] bool is_one() const noexcept { return refs_.load(std::memory_order_acquire) == 1; }

  // Gives back what belongs to the count. To be called before the object's memory is used again.
  void end() noexcept {
    if ((state_.load(std::memory_order_relaxed) & kOpen) != 0) [[unlikely]] {
      give_back_parts();
    }
  }

  // Of what needs to be done once, before there is a second reference: if add() was not called
  // since the beginning, or since set_fresh(), which is for the owner of the only reference.
  // begin_first() returns true on one thread, which calls end_first() in the end; an add() of
  // another thread waits for that. In a forked child it returns true as well if a thread that is
  // not there has begun: what that has done is there, all of it or a part.
  void set_fresh() noexcept {
    end();
    state_.store(kFresh, std::memory_order_relaxed);
  }
  // For a new count of which nothing needs to be done: makes the first add() as fast as the others.
  void set_used() noexcept {
    const std::uint32_t tag = thread_tag();
    state_.store(tag != kNoThreadTag ? tag : kUnknown, std::memory_order_relaxed);
  }
  [[nodiscard]] bool begin_first() noexcept {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    return (state == kFresh || is_left(state)) &&
           state_.compare_exchange_strong(state, kFirst | process_number(),
                                          std::memory_order_relaxed);
  }
  void end_first() noexcept {
    state_.store(kUnknown, std::memory_order_release);  // Pairs with the acquire in add_slowly().
  }

  // Tells whether such a thread has begun, and nobody since.
  [[nodiscard]] bool is_left() const noexcept {
    return is_left(state_.load(std::memory_order_relaxed));
  }

  // Tells whether this belongs to a static object, which is never counted down to nothing.
  [[nodiscard]] bool is_static() const noexcept {
    return refs_.load(std::memory_order_relaxed) >= kStatic / 2;
  }
  // The first number of references of such an object.
  static constexpr std::uint32_t kStatic = 1U << 31;

  // Tells whether it is spread.
  [[nodiscard]] bool is_spread() const noexcept {
    return (state_.load(std::memory_order_relaxed) & (kOpen | kClosed)) == kOpen;
  }

 private:
  // What state_ may be:
  //
  //   kFresh                       nobody has called add() yet
  //   kFirst | process             a thread is between begin_first() and end_first(), in the process
  //                                with that number
  //   heat | tag                   not spread: the thread that was here last, or kUnknown; and how
  //                                often it was another one than before
  //   kOpen | number               spread: the number of its parts
  //   kOpen | kClosed | number     not spread any more: what is in the parts does not count
  static constexpr std::uint32_t kFresh = 0;
  static constexpr std::uint32_t kUnknown = 2;
  static constexpr std::uint32_t kTag = kThreadTags - 1;
  static constexpr std::uint32_t kHeat = kThreadTags;  // One turn of it.
  static constexpr std::uint32_t kHot = 16;            // From so many turns on it gets spread.
  static constexpr std::uint32_t kFirst = 1U << 29;
  static_assert(kHot * kHeat < kFirst);
  static constexpr std::uint32_t kClosed = 1U << 30;
  static constexpr std::uint32_t kOpen = 1U << 31;

  static bool is_closed(std::int64_t part) noexcept { return part > kClosedPart / 2; }

  // Tells whether this thread was the last one that has changed the count, and it is not spread.
  static bool is_mine(std::uint32_t state) noexcept {
    return ((state ^ thread_tag()) & (kTag | kFirst | kClosed | kOpen)) == 0;
  }
  static bool is_first(std::uint32_t state) noexcept { return (state & kFirst) != 0; }
  static bool is_left(std::uint32_t state) noexcept {
    return is_first(state) && state != (kFirst | process_number());
  }
  // Adds 1 to this thread's part, or -1 for a reference that goes. Returns false if that part does
  // not count: this thread has none yet, or the parts are closed.
  static bool add_to_parts(std::uint32_t state, int number) noexcept {
    // The release publishes what an owner did who drops its reference: pairs with close().
    return (state & kClosed) == 0 &&
           !is_closed(thread_parts()[state & kTag].fetch_add(number, std::memory_order_release));
  }
  bool drop_spread_slowly() noexcept;
  bool drop_slowly() noexcept;
  bool drop_open(std::uint32_t state) noexcept;
  void note_thread(std::uint32_t& state, std::uint32_t tag) noexcept;
  bool try_open(std::uint32_t& state) noexcept;
  bool close(std::uint32_t number) noexcept;
  void give_back_parts() noexcept;

  std::atomic<std::uint32_t> refs_;  // Plain ones; and one for the parts, while they are open.
  std::atomic<std::uint32_t> state_{kFresh};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_REF_COUNT_H_
