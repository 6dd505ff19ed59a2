// SPDX-License-Identifier: Apache-2.0
//
// G1 and G2: reads. Three loops, because a read's cost is three numbers:
//
//   get_int           independent reads, as many as the processor manages at once: throughput
//   get_int_sum       each read is added to a sum, as a program would
//   get_int_latency   the address of each read depends on the value of the one before, as after a
//                     chain of pointers: the time from the question to the answer
//
// get_int_rotate and get_int_latency read any of the variables, the others one in the middle.

#include <cstddef>
#include <memory>
#include <string>

#include "benchmarks/baselines.h"
#include "benchmarks/bench.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"

namespace bench {
namespace {

constexpr std::size_t kUnroll = 8;

long sum_of_values(std::size_t size) {
  long sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    sum += value_of(i, size);
  }
  return sum;
}

template <typename Contender>
bool check_reads(benchmark::State& state, const Contender& contender, std::size_t size) {
  long sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    sum += contender.read(i);
  }
  return check(state, sum, sum_of_values(size)) && check(state, contender.read(), 0);
}

template <typename Contender>
void get_int(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check_reads(state, contender, size)) {
    measure<kUnroll>(state, [&] { keep(contender.read()); });
  }
}

template <typename Contender>
void get_int_sum(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check_reads(state, contender, size)) {
    int sum = 0;
    measure<kUnroll>(state, [&] {
      sum += contender.read();
      sum = opaque(sum);
    });
    check(state, sum, 0);
  }
}

template <typename Contender>
void get_int_latency(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check_reads(state, contender, size)) {
    std::size_t at = size / 2;  // The value there is 0.
    measure<kUnroll>(state, [&] { at += static_cast<std::size_t>(contender.read(at)); });
    check(state, static_cast<long>(at), static_cast<long>(size / 2));
  }
}

template <typename Contender>
void get_int_rotate(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check_reads(state, contender, size)) {
    std::size_t at = 0;
    measure<kUnroll>(state, [&] {
      keep(contender.read(at));
      at = at + 1 == size ? 0 : at + 1;
    });
  }
}

template <typename... Contenders>
void add_int_gets() {
  for (const std::size_t size : kSizes) {
    (add(std::string("G1/get_int/") + Contenders::kName, size, &get_int<Contenders>), ...);
    (add(std::string("G1/get_int_sum/") + Contenders::kName, size, &get_int_sum<Contenders>), ...);
    (add(std::string("G1/get_int_latency/") + Contenders::kName, size,
         &get_int_latency<Contenders>),
     ...);
    (add(std::string("G1/get_int_rotate/") + Contenders::kName, size, &get_int_rotate<Contenders>),
     ...);
  }
}

// All of them short, so that nothing but the way to the string is measured.
constexpr const char* kText = "request";

class TaskctxString {
 public:
  static constexpr const char* kName = "taskctx";

  explicit TaskctxString(std::size_t size) : variables_(size), middle_(variables_[size / 2]) {
    context_.enter();
    for (std::size_t i = 0; i < size; ++i) {
      variables_[i].set(kText);
    }
  }
  ~TaskctxString() { context_.leave(); }

  [[nodiscard, gnu::always_inline]] const std::string& read() const { return middle_.get(); }

 protected:
  Variables<std::string> variables_;
  const taskctx::ContextVar<std::string>& middle_;
  taskctx::Context context_;
};

class TaskctxFind : public TaskctxString {
 public:
  static constexpr const char* kName = "taskctx_find";
  using TaskctxString::TaskctxString;
  [[nodiscard, gnu::always_inline]] const std::string& read() const { return *middle_.find(); }
};

class ThreadLocalString {
 public:
  static constexpr const char* kName = "thread_local";
  explicit ThreadLocalString(std::size_t /*size*/) { thread_local_string = kText; }
  [[nodiscard, gnu::always_inline]] const std::string& read() const { return thread_local_string; }
};

class ParameterString {
 public:
  static constexpr const char* kName = "parameter";
  explicit ParameterString(std::size_t /*size*/) { keep(value_.get()); }
  [[nodiscard, gnu::always_inline]] const std::string& read() const { return *value_; }

 private:
  std::unique_ptr<const std::string> value_ = std::make_unique<std::string>(kText);
};

template <typename Contender>
void get_string(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check(state, contender.read() == kText, 1)) {
    measure<kUnroll>(state, [&] { keep(contender.read().size()); });
  }
}

template <typename Contender>
void get_string_sum(benchmark::State& state, std::size_t size) {
  const Contender contender(size);
  if (check(state, contender.read() == kText, 1)) {
    std::size_t sum = 0;
    measure<kUnroll>(state, [&] {
      sum += contender.read().size();
      sum = opaque(sum);
    });
    check(state, static_cast<long>(sum % std::string(kText).size()), 0);
  }
}

template <typename... Contenders>
void add_string_gets() {
  for (const std::size_t size : kSizes) {
    (add(std::string("G2/get_string/") + Contenders::kName, size, &get_string<Contenders>), ...);
    (add(std::string("G2/get_string_sum/") + Contenders::kName, size, &get_string_sum<Contenders>),
     ...);
  }
}

}  // namespace

void add_gets() {
  add_int_gets<Taskctx, ThreadLocal, ThreadLocalWrapper, Parameter, SharedMap, MapCopy, Ets>();
  add_string_gets<TaskctxString, TaskctxFind, ThreadLocalString, ParameterString>();
}

}  // namespace bench
