// SPDX-License-Identifier: Apache-2.0
//
// Deadlines: what it costs to set one and to drop it while a million others are open, beside a
// std::multimap under a mutex, and how late one fires on a machine that does nothing else, beside a
// thread that waits on a condition variable.
//
//   deadline/set_and_drop/<delays>_<which one is dropped>/<contender>/<how many are open>
//   deadline/late/<contender>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/bench.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/timer.h"

namespace bench {
namespace {

using taskctx::Deadline;
using taskctx::internal::Timer;
using taskctx::internal::TimerEntry;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kOpen = 1'000'000;
constexpr auto kSoonest = std::chrono::minutes(10);  // None fires.

enum class Delays { same, increasing, decreasing, random };

// When each of a series of deadlines is due. They are set 100 ns after each other.
std::vector<Clock::duration> delays(Delays which) {
  std::mt19937_64 random(42);
  std::vector<Clock::duration> result(2 * kOpen);
  std::int64_t set = 0;
  for (Clock::duration& each : result) {
    set += 100;
    std::int64_t delay = 0;
    if (which == Delays::increasing) {
      delay = 10 * set;
    } else if (which == Delays::decreasing) {  // Each is due before all others.
      delay = -10 * set;
    } else if (which == Delays::random) {
      delay = static_cast<std::int64_t>(random() % 60'000'000'000);
    }
    each = kSoonest + std::chrono::nanoseconds(set + delay);
  }
  return result;
}

// The places of those that are dropped, one after the other.
std::vector<std::uint32_t> drops(bool at_random) {
  std::vector<std::uint32_t> result(kOpen);
  std::iota(result.begin(), result.end(), 0U);
  if (at_random) {
    std::ranges::shuffle(result, std::mt19937_64(42));
  }
  return result;
}

class Ours {
 public:
  ~Ours() {
    for (std::optional<Open>& each : open_) {
      (void)Timer::get().remove(*each);
    }
  }
  void set(std::size_t place, Clock::time_point due) {
    Timer::get().add(open_[place].emplace(due));
  }
  void drop(std::size_t place) { (void)Timer::get().remove(*open_[place]); }

 private:
  struct Open : TimerEntry {
    explicit Open(Deadline due) : TimerEntry(due, [](TimerEntry& /*self*/) noexcept {}) {
      Timer::get().start();
    }
  };
  std::vector<std::optional<Open>> open_{kOpen};
};

class Multimap {
 public:
  void set(std::size_t place, Clock::time_point due) {
    const std::lock_guard lock(mutex_);
    open_[place] = entries_.emplace(due, place);
  }
  void drop(std::size_t place) {
    const std::lock_guard lock(mutex_);
    entries_.erase(open_[place]);
  }

 private:
  using Entries = std::multimap<Clock::time_point, std::size_t>;
  std::mutex mutex_;
  Entries entries_;
  std::vector<Entries::iterator> open_{kOpen};
};

template <typename Contender>
void set_and_drop(benchmark::State& state, Delays which, bool at_random) {
  const std::vector<Clock::duration> due = delays(which);
  const std::vector<std::uint32_t> order = drops(at_random);
  const Clock::time_point start = Clock::now();
  Contender contender;
  for (std::size_t i = 0; i < kOpen; ++i) {
    contender.set(i, start + due[i]);
  }
  std::size_t next = 0;
  Clock::duration later{0};  // Time goes on when the series begins anew.
  while (state.KeepRunning()) {
    const std::size_t place = order[next];
    contender.drop(place);
    contender.set(place, start + later + due[kOpen + next]);
    if (++next == kOpen) {
      next = 0;
      later += due[2 * kOpen - 1] - due[kOpen - 1];
    }
  }
}

// Measures deadlines one by one, each some milliseconds after the last one. `wait_until(due)`
// returns when it has fired.
template <typename Wait>
void late(benchmark::State& state, Wait wait_until) {
  std::mt19937_64 random(42);
  std::vector<double> late;
  while (state.KeepRunning()) {
    const Clock::time_point due =
        Clock::now() + std::chrono::nanoseconds(1'000'000 + random() % 2'000'000);
    const Clock::time_point fired = wait_until(due);
    late.push_back(std::chrono::duration<double, std::nano>(fired - due).count());
    state.SetIterationTime(late.back() * 1e-9);
  }
  std::ranges::sort(late);
  for (const auto& [name, part] : {std::pair("p50", 0.5), {"p99", 0.99}, {"max", 1.0}}) {
    state.counters[name] =
        late[static_cast<std::size_t>(part * static_cast<double>(late.size() - 1))];
  }
}

void late_ours(benchmark::State& state) {
  struct Alarm : TimerEntry {
    explicit Alarm(Deadline due)
        : TimerEntry(due, [](TimerEntry& self) noexcept {
            auto& alarm = static_cast<Alarm&>(self);
            alarm.fired = Clock::now();
            alarm.has_fired = true;
            alarm.has_fired.notify_one();
          }) {}
    Clock::time_point fired;
    std::atomic<bool> has_fired{false};
  };
  Timer::get().start();
  late(state, [](Clock::time_point due) {
    Alarm alarm(due);
    Timer::get().add(alarm);
    alarm.has_fired.wait(false);
    Timer::get().settle(alarm);
    return alarm.fired;
  });
}

void late_condition_variable(benchmark::State& state) {
  late(state, [](Clock::time_point due) {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_lock lock(mutex);
    while (changed.wait_until(lock, due) != std::cv_status::timeout) {
    }
    return Clock::now();
  });
}

}  // namespace

void add_deadlines() {
  for (const auto& [delays, which] : {std::pair("same", Delays::same),
                                      {"increasing", Delays::increasing},
                                      {"decreasing", Delays::decreasing},
                                      {"random", Delays::random}}) {
    for (const bool at_random : {false, true}) {
      const std::string name =
          std::string("deadline/set_and_drop/") + delays + (at_random ? "_any/" : "_oldest/");
      add(name + "taskctx", kOpen, [=](benchmark::State& state, std::size_t /*open*/) {
        set_and_drop<Ours>(state, which, at_random);
      });
      add(name + "multimap", kOpen, [=](benchmark::State& state, std::size_t /*open*/) {
        set_and_drop<Multimap>(state, which, at_random);
      });
    }
  }
  add("deadline/late/taskctx", &late_ours)->UseManualTime()->Iterations(1000);
  add("deadline/late/condition_variable", &late_condition_variable)
      ->UseManualTime()
      ->Iterations(1000);
}

}  // namespace bench
