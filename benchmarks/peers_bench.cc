// SPDX-License-Identifier: Apache-2.0
//
// taskctx beside what other libraries have for a value of a task or of a thread, in one process:
// OpenTelemetry's context, Boost.Fiber's fiber_specific_ptr, boost::thread_specific_ptr, and Qt's
// QThreadStorage.
//
//   tools/bench_report.sh --peers   # builds it with those that are installed, and shows a table
//
// Ours and OpenTelemetry's can be captured. With the others a program carries values by hand: it
// copies each of them, sets each of them in the task, and puts each of them back.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "benchmarks/operations.h"
#include "taskctx/job_pool.h"

// tools/bench_report.sh says which ones are there. Boost has its async() with a pool only if asked,
// before the first of its headers.
#define BOOST_THREAD_VERSION 4
#define BOOST_THREAD_PROVIDES_EXECUTORS
#ifdef TASKCTX_WITH_OPENTELEMETRY
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/version.h>
#endif
#ifdef TASKCTX_WITH_BOOST_FIBER
#include <boost/fiber/fss.hpp>
#include <boost/fiber/future/async.hpp>
#include <boost/fiber/future/future.hpp>
#include <boost/version.hpp>
#endif
#ifdef TASKCTX_WITH_BOOST_THREAD
#include <boost/thread/executors/basic_thread_pool.hpp>
#include <boost/thread/future.hpp>
#include <boost/thread/tss.hpp>
#include <boost/version.hpp>
#endif
#ifdef TASKCTX_WITH_QT
#include <QtConcurrent/QtConcurrentRun>
#include <QtCore/QThreadPool>
#include <QtCore/QThreadStorage>
#endif

namespace bench {
namespace {

constexpr std::size_t kSet = 8;  // Variables.
constexpr int kThreads = 2;      // Of each pool.

// A row of a peer's variables. `Peer` has:
//
//   Variable               one of them, of an int
//   get(variable)          the int, which is there
//   make(variable)         the same, made where this thread, or fiber, has none yet
//   Pool, submit(pool, f)  runs f(), and returns what get() waits for
template <typename Peer>
class ByHand {
 public:
  static constexpr const char* kName = Peer::kName;
  using Pool = typename Peer::Pool;

  explicit ByHand(std::size_t size) : values_(size), middle_(size / 2) {
    for (std::size_t i = 0; i < size; ++i) {
      Peer::make(values_[i]) = value_of(i, size);
    }
  }

  [[nodiscard, gnu::always_inline]] int read() const { return read(middle_); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const { return Peer::get(values_[i]); }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    int& place = Peer::get(values_[i]);
    const int old = std::exchange(place, value);
    body();
    place = old;
  }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    std::vector<int> captured;
    captured.reserve(values_.size());
    for (auto& value : values_) {
      captured.push_back(Peer::get(value));
    }
    return [this, body, captured = std::move(captured)]() mutable {
      const auto swap_all = [&] {
        for (std::size_t i = 0; i < captured.size(); ++i) {
          std::swap(Peer::make(values_[i]), captured[i]);
        }
      };
      swap_all();
      body();
      swap_all();
    };
  }
  // Runs the body in the pool, with what is set here, and waits for it.
  template <typename Body>
  void run_in(Pool& pool, Body body) const {
    Peer::submit(pool, bind(body)).get();
  }

 private:
  mutable std::deque<typename Peer::Variable> values_;
  const std::size_t middle_;
};

class TaskctxWithPool : public Taskctx {
 public:
  struct Pool {
    taskctx::JobPool threads{{.concurrency = kThreads}};
  };

  using Taskctx::Taskctx;

  template <typename Body>
  void run_in(Pool& pool, Body body) const {
    pool.threads.submit(body).get();
  }
};

#ifdef TASKCTX_WITH_OPENTELEMETRY
// Values are found by name in a list of them; a context that is attached stays until its token
// ends. Has no pool.
class OpenTelemetry {
 public:
  static constexpr const char* kName = "opentelemetry";

  explicit OpenTelemetry(std::size_t size) : middle_(size / 2) {
    Context context;
    for (std::size_t i = 0; i < size; ++i) {
      names_.push_back("variable " + std::to_string(i));
      context = context.SetValue(names_[i], std::int64_t{value_of(i, size)});
    }
    attached_ = Runtime::Attach(context);
  }

  [[nodiscard, gnu::always_inline]] int read() const { return read(middle_); }
  [[nodiscard, gnu::always_inline]] int read(std::size_t i) const {
    const auto value = Runtime::GetCurrent().GetValue(names_[i]);
    return static_cast<int>(opentelemetry::nostd::get<std::int64_t>(value));
  }
  template <typename Body>
  void set_scoped(std::size_t i, int value, Body body) const {
    const auto token =
        Runtime::Attach(Runtime::GetCurrent().SetValue(names_[i], std::int64_t{value}));
    body();
  }
  [[nodiscard]] auto capture() const { return Runtime::GetCurrent(); }
  template <typename Body>
  [[nodiscard]] auto bind(Body body) const {
    return [body, captured = capture()]() mutable {
      const auto token = Runtime::Attach(captured);
      body();
    };
  }

 private:
  using Context = opentelemetry::context::Context;
  using Runtime = opentelemetry::context::RuntimeContext;

  std::vector<std::string> names_;
  const std::size_t middle_;
  opentelemetry::nostd::unique_ptr<opentelemetry::context::Token> attached_;
};
#endif

#ifdef TASKCTX_WITH_BOOST_FIBER
struct BoostFiber {
  static constexpr const char* kName = "boost_fiber";
  using Variable = boost::fibers::fiber_specific_ptr<int>;
  static int& get(Variable& variable) { return *variable; }
  static int& make(Variable& variable) {
    if (variable.get() == nullptr) {
      variable.reset(new int(0));
    }
    return *variable;
  }
  struct Pool {};  // A fiber runs on the thread that started it.
  template <typename F>
  static auto submit(Pool& /*pool*/, F function) {
    return boost::fibers::async(std::move(function));
  }
};
#endif

#ifdef TASKCTX_WITH_BOOST_THREAD
struct BoostThread {
  static constexpr const char* kName = "boost_thread";
  using Variable = boost::thread_specific_ptr<int>;
  static int& get(Variable& variable) { return *variable; }
  static int& make(Variable& variable) {
    if (variable.get() == nullptr) {
      variable.reset(new int(0));
    }
    return *variable;
  }
  struct Pool {
    boost::executors::basic_thread_pool threads{kThreads};
  };
  template <typename F>
  static auto submit(Pool& pool, F function) {
    return boost::async(pool.threads, std::move(function));
  }
};
#endif

#ifdef TASKCTX_WITH_QT
struct QtThread {
  static constexpr const char* kName = "qt";
  using Variable = QThreadStorage<int>;
  static int& get(Variable& variable) { return variable.localData(); }
  static int& make(Variable& variable) { return variable.localData(); }
  struct Pool {
    Pool() { threads.setMaxThreadCount(kThreads); }
    QThreadPool threads;
  };
  struct Waiting {
    void get() { future.waitForFinished(); }
    QFuture<void> future;
  };
  template <typename F>
  static Waiting submit(Pool& pool, F function) {
    return {QtConcurrent::run(&pool.threads, std::move(function))};
  }
};
#endif

template <typename Contender>
void get(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check(state, contender.read(), 0)) {
    measure<8>(state, [&] { keep(contender.read()); });
  }
}

// One job after the other, from a thread that is none of the pool's.
template <typename Contender>
void round_trip(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  typename Contender::Pool pool;  // Ends first: its threads have values of the contender's.
  long sum = 0;
  measure(state, [&] { contender.run_in(pool, [&] { sum += 1 + contender.read(); }); });
  check(state, sum, state.iterations());
}

// The same in a job.
template <typename Contender>
void round_trip_in_job(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  typename Contender::Pool pool;
  long sum = 0;
  contender.run_in(pool, [&] {
    measure(state, [&] { contender.run_in(pool, [&] { sum += 1 + contender.read(); }); });
  });
  check(state, sum, state.iterations());
}

template <typename Contender>
void add_accesses_of() {
  const std::string name = Contender::kName;
  add("peers/get/" + name, kSet, &get<Contender>);
  add("peers/scope/" + name, kSet, &scope<Contender>);
}

template <typename Contender>
void add_captures_of() {
  add(std::string("peers/capture_release/") + Contender::kName, kSet, &capture_release<Contender>);
}

template <typename Contender>
void add_hops_of() {
  add(std::string("peers/hop/") + Contender::kName, kSet, &hop<Contender>);
}

template <typename Contender>
void add_round_trips_of() {
  const std::string name = Contender::kName;
  add("peers/round_trip/" + name, kSet, &round_trip<Contender>)->UseRealTime();
  add("peers/round_trip_in_job/" + name, kSet, &round_trip_in_job<Contender>)->UseRealTime();
}

// All but a capture, which most have not.
template <typename Contender>
void add_all_of() {
  add_accesses_of<Contender>();
  add_hops_of<Contender>();
  add_round_trips_of<Contender>();
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;  // NOLINT(google-build-using-namespace): of this very file.
  std::string libraries;
  add("peers/atomic_add", 1, [](benchmark::State& state, std::size_t /*size*/) {
    std::atomic<long> count = 0;
    measure(state, [&] { count.fetch_add(1, std::memory_order_relaxed); });
    check(state, count.load(), state.iterations());
  });
  add_all_of<TaskctxWithPool>();
  add_captures_of<TaskctxWithPool>();
  add_accesses_of<ThreadLocal>();
#ifdef TASKCTX_WITH_OPENTELEMETRY
  add_accesses_of<OpenTelemetry>();
  add_captures_of<OpenTelemetry>();
  add_hops_of<OpenTelemetry>();
  libraries += "OpenTelemetry " OPENTELEMETRY_VERSION ", ";
#endif
#ifdef TASKCTX_WITH_BOOST_FIBER
  add_all_of<ByHand<BoostFiber>>();
  libraries += "Boost.Fiber " BOOST_LIB_VERSION ", ";
#endif
#ifdef TASKCTX_WITH_BOOST_THREAD
  add_all_of<ByHand<BoostThread>>();
  libraries += "Boost.Thread " BOOST_LIB_VERSION ", ";
#endif
#ifdef TASKCTX_WITH_QT
  add_all_of<ByHand<QtThread>>();
  libraries += "Qt " QT_VERSION_STR ", ";
#endif
  benchmark::AddCustomContext("peers", libraries);
  return run(argc, argv);
}
