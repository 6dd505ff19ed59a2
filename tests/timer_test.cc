// SPDX-License-Identifier: Apache-2.0
//
// The timer against a model, a sorted list, while times and clocks go every way; and in a forked
// process.

#include "taskctx/internal/cancel/timer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/cancel/cancel_forking.h"
#include "taskctx/deadline.h"
#include "taskctx/testing.h"
#include "tests/any_variable.h"
#include "tests/forking.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;
using std::chrono::nanoseconds;
using taskctx::internal::Timer;
using taskctx::internal::TimerEntry;

using Limits = std::numeric_limits<std::int64_t>;

Deadline deadline_of(Deadline::Clock clock, std::int64_t ns) {
  return clock == Deadline::Clock::wall
             ? Deadline(std::chrono::sys_time<nanoseconds>(nanoseconds(ns)))
             : Deadline(std::chrono::steady_clock::time_point(nanoseconds(ns)));
}

// What has fired, in this order.
class Fired {
 public:
  struct Event {
    std::size_t entry;
    Deadline due;
  };
  void add(std::size_t entry, Deadline due) {
    const std::lock_guard lock(mutex_);
    events_.push_back({entry, due});
  }
  std::vector<Event> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
};

class Alarm final : public TimerEntry {
 public:
  Alarm(Fired& fired, std::size_t number, Deadline due)
      : TimerEntry(due, &fire), fired_(fired), number_(number) {
    Timer::get().add(*this);
  }
  ~Alarm() { Timer::get().settle(*this); }

 private:
  static void fire(TimerEntry& self) noexcept {
    auto& alarm = static_cast<Alarm&>(self);
    alarm.fired_.add(alarm.number_, alarm.due());
  }
  Fired& fired_;
  const std::size_t number_;
};

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) { Timer::get().start(); }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      do_something();
      catch_up();
    }
    clock_.advance(absl::InfiniteDuration());
    clock_.set(absl::FromUnixNanos(Limits::max() - 1));
    catch_up();
    for (const auto& line : open_) {
      for (const auto& [due, number] : line) {
        EXPECT_EQ(due, Limits::max()) << "it comes at all, and has not fired";
      }
    }
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void do_something() {
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        return set_one_at_some_time();
      case 3:
        return set_many();
      case 4:
      case 5:
        return drop_one();
      case 6:
        return clock_.advance(absl::Nanoseconds(some_distance()));
      default:
        return turn_the_wall_clock();
    }
  }

  // Every size is as likely, up to some hours.
  std::int64_t some_distance() { return static_cast<std::int64_t>(random_() >> (20 + below(44))); }
  Deadline::Clock some_clock() {
    return below(2) == 0 ? Deadline::Clock::wall : Deadline::Clock::monotonic;
  }
  std::int64_t now(Deadline::Clock clock) {
    return clock == Deadline::Clock::wall
               ? absl::ToUnixNanos(clock_.now())
               : nanoseconds(clock_.steady_now().time_since_epoch()).count();
  }
  std::int64_t some_time(Deadline::Clock clock) {
    const auto& line = open_[static_cast<std::size_t>(clock)];
    switch (below(8)) {
      case 0:
        return now(clock) - some_distance();
      case 1:
        return below(2) == 0 ? Limits::max() - static_cast<std::int64_t>(below(2))
                             : Limits::min() + static_cast<std::int64_t>(below(2));
      case 2:
        return line.empty() ? now(clock) : line.begin()->first;  // The same as another's.
      default:
        return now(clock) + some_distance();
    }
  }

  void set_one_at_some_time() {
    const Deadline::Clock clock = some_clock();
    set_one(clock, some_time(clock));
  }
  void set_one(Deadline::Clock clock, std::int64_t due) {
    const std::size_t number = below(alarms_.size());
    if (alarms_[number]) {
      return;
    }
    open_[static_cast<std::size_t>(clock)].emplace(due, number);
    alarms_[number].emplace(fired_, number, deadline_of(clock, due));
  }
  // Close to each other, and all far away: they move down together.
  void set_many() {
    const Deadline::Clock clock = some_clock();
    const std::int64_t first = now(clock) + some_distance();
    const std::int64_t width = 1 + some_distance();
    for (std::uint64_t i = below(500); i > 0; --i) {
      set_one(clock, first + static_cast<std::int64_t>(random_() >> 1) % width);
    }
  }
  void drop_one() {
    const std::size_t number = below(alarms_.size());
    if (!alarms_[number]) {
      return;
    }
    EXPECT_TRUE(Timer::get().remove(*alarms_[number]));
    EXPECT_FALSE(Timer::get().remove(*alarms_[number]));
    const Deadline due = alarms_[number]->due();
    forget(number, due);
  }
  void turn_the_wall_clock() {
    const std::int64_t distance = below(2) == 0 ? some_distance() : -some_distance();
    clock_.set(clock_.now() + absl::Nanoseconds(distance));
  }

  void forget(std::size_t number, Deadline due) {
    auto& line = open_[static_cast<std::size_t>(due.clock())];
    auto [begin, end] = line.equal_range(due.nanoseconds());
    while (begin != end && begin->second != number) {
      ++begin;
    }
    ASSERT_NE(begin, end) << "it has fired, and was not set";
    line.erase(begin);
    alarms_[number].reset();
  }

  // Compares what has fired with what should have.
  void catch_up() {
    clock_.advance(absl::ZeroDuration());
    std::array<std::int64_t, 2> last{Limits::min(), Limits::min()};
    for (const auto& [number, due] : fired_.take()) {
      const std::int64_t ns = due.nanoseconds();
      EXPECT_LE(ns, now(due.clock())) << "too early";
      std::int64_t& before = last[static_cast<std::size_t>(due.clock())];
      EXPECT_LE(before, ns) << "in the wrong order";
      before = ns;
      forget(number, due);
    }
    for (const Deadline::Clock clock : {Deadline::Clock::wall, Deadline::Clock::monotonic}) {
      const auto& line = open_[static_cast<std::size_t>(clock)];
      if (!line.empty() && line.begin()->first != Limits::max()) {
        EXPECT_GT(line.begin()->first, now(clock)) << "has not fired";
      }
    }
  }

  ManualClock clock_;
  std::mt19937_64 random_;
  Fired fired_;
  std::array<std::multimap<std::int64_t, std::size_t>, 2> open_;  // By clock.
  std::vector<std::optional<Alarm>> alarms_{3000};
};

// J79
TEST(TimerModel, WhatIsOpenFiresOnceInOrderAndWhatWasDroppedDoesNot) {
  const Watchdog watchdog("the timer");
  const unsigned seed = test_seed();
  for (unsigned i = 0; i < 10 && !HasFailure(); ++i) {
    Model(seed + i).run(1000);
  }
}

// J79: in a forked process nothing fires that was set before, and what is set there does.
TEST(Timer, GoesOnInAForkedProcessWithNothingOfItsParents) {
  const Watchdog watchdog("fork");
  ASSERT_TRUE(internal::handle_cancel_forks());
  Timer::get().start();
  Fired fired;
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) {
      std::this_thread::yield();
      const Alarm now(fired, 0, Deadline());
      const Alarm soon(fired, 0, Deadline::after(absl::Microseconds(20)));
      const Alarm later(fired, 0, Deadline::after(absl::Hours(1)));
    }
  });
  std::optional<Alarm> parents(std::in_place, fired, 1, Deadline::after(absl::Milliseconds(200)));
  fork_often([&] {
    alarm(10);
    Fired mine;  // The parent's lock may be another thread's, which is not here.
    if (Timer::get().remove(*parents)) {
      return 1;
    }
    if (kThreadSanitizer) {  // It wants no new thread here.
      return 0;
    }
    Timer::get().start();
    const Alarm own(mine, 2, Deadline::after(absl::Milliseconds(1)));
    while (true) {
      for (const Fired::Event& event : mine.take()) {
        return event.entry == 2 ? 0 : 2;
      }
      std::this_thread::yield();
    }
  });
  is_over = true;
  other.join();
  parents.reset();
}

}  // namespace
