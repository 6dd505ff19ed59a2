// SPDX-License-Identifier: Apache-2.0

#include "benchmarks/bench.h"

#include <atomic>
#include <cstdlib>
#include <functional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#include "taskctx/version.h"

namespace bench {
namespace {

std::atomic<bool> has_failed{false};

// Is there while benchmarks run: libstdc++'s shared_ptr counts without atomics in a program of one
// thread, which no user of the library has.
class ParkedThread {
 public:
  ~ParkedThread() { leave_.release(); }

 private:
  std::binary_semaphore leave_{0};
  std::jthread thread_{[this] { leave_.acquire(); }};
};

}  // namespace

bool check(benchmark::State& state, long answer, long expected) {
  if (answer != expected) {
    has_failed = true;
    state.SkipWithError(
        ("answer is " + std::to_string(answer) + ", not " + std::to_string(expected)).c_str());
  }
  return answer == expected;
}

benchmark::internal::Benchmark* add(const std::string& name,
                                    std::function<void(benchmark::State&)> function) {
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): the library owns it.
  return benchmark::RegisterBenchmark(name.c_str(), std::move(function));
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return EXIT_FAILURE;
  }
  const ParkedThread parked;
  benchmark::AddCustomContext("taskctx", std::string(taskctx::version()));
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace bench
