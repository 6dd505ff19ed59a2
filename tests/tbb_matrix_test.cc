// SPDX-License-Identifier: Apache-2.0
//
// Each door of oneTBB, on 1, 2, 4 and 8 threads: its bodies see their own request, keep their
// writes to themselves, and leave the caller with its own context, also by exception and where a
// thread that waits runs other requests meanwhile. A thread_local goes wrong in the same run.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "tests/stealing.h"
#include "tests/support.h"
#include "tests/tbb_doors.h"
#include "tests/thread_request.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

class EveryDoor : public testing::TestWithParam<std::tuple<Door, int>> {
 protected:
  static const Door& door() { return std::get<0>(GetParam()); }
  static int threads() { return std::get<1>(GetParam()); }

  // How many threads there are where the bodies run. What nobody waits for may run when the caller
  // has left the arena.
  static int gathered() { return door().waits ? threads() : std::max(1, threads() - 1); }

  // Runs many requests at once, more than there are threads, and each through `serve(id)`.
  template <typename Serve>
  void run_requests(const Serve& serve) {
    const Watchdog watchdog(door().name);
    {
      StealingArena arena(threads());
      arena->execute([&] {
        ctbb::task_group requests;
        for (int id = 1; id <= 2 * threads(); ++id) {
          requests.run([&, id] {
            const Scope scope{request, id};
            thread_request = id;
            serve(id);
            // Nobody else's, nor what a body has written.
            wrong_ += static_cast<int>(request.get(0) != id);
            local_wrong_ += static_cast<int>(thread_request != id);
          });
        }
        requests.wait();
      });
      pending_.wait();
    }
    EXPECT_EQ(wrong_, 0);
    EXPECT_EQ(request.find(), nullptr);
    thread_request = 0;
  }

  // Looks at the request, and writes another.
  void see_and_write(int id) {
    wrong_ += static_cast<int>(request.get(0) != id);
    local_wrong_ += static_cast<int>(thread_request != id);
    request.set(-id);
    thread_request = -id;
    wrong_ += static_cast<int>(request.get(0) != -id);
    ++bodies_;
  }

  Pending pending_;
  std::atomic<int> wrong_{0};
  std::atomic<int> local_wrong_{0};
  std::atomic<int> bodies_{0};
};

// T1, T2, T3, T5, F-F1, F-D3, F-D11
TEST_P(EveryDoor, BodiesSeeTheirOwnRequestAndKeepTheirWritesToThemselves) {
  AllThreads all(gathered());
  constexpr int kCalls = 32;
  run_requests([&](int id) {
    door().open(Visit{[&, id] {
                        all.take_part();
                        see_and_write(id);
                      },
                      kCalls, pending_});
  });
  EXPECT_GE(bodies_, (door().is_many ? kCalls / 8 : 1) * 2 * threads());
  EXPECT_GE(all.count(), static_cast<std::size_t>(gathered()));
  EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// T9, F-C7
TEST_P(EveryDoor, AnExceptionReachesTheWaiterWithWhatTheThrowingBodySaw) {
  if (!door().waits) {
    GTEST_SKIP() << "nobody waits";
  }
  struct Failure {
    int request;
  };
  std::atomic<int> caught{0};
  run_requests([&](int id) {
    try {
      door().open(Visit{[&, id] {
                          see_and_write(id);
                          throw Failure{request.get()};
                        },
                        32, pending_});
    } catch (const Failure& failure) {
      ++caught;
      wrong_ += static_cast<int>(failure.request != -id);
    }
  });
  EXPECT_EQ(caught, 2 * threads());
  EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
}

// T1, T2, F-D11: each body waits for leaves of its own; one leaf, at least, is stolen, and its
// owner's thread runs whatever there is meanwhile.
TEST_P(EveryDoor, ABodyThatWaitsHasItsOwnContextAfterwards) {
  std::atomic<bool> is_first{true};
  std::atomic<int> stolen{0};
  run_requests([&](int id) {
    door().open(Visit{[&, id] {
                        see_and_write(id);
                        const std::thread::id home = std::this_thread::get_id();
                        const bool must_be_stolen = is_first.exchange(false) && gathered() > 1;
                        Latch elsewhere;
                        ctbb::parallel_for(
                            0, 8,
                            [&](int) {
                              if (std::this_thread::get_id() != home) {
                                ++stolen;
                                elsewhere.open();
                              } else if (must_be_stolen) {
                                elsewhere.wait();
                              }
                              wrong_ += static_cast<int>(request.get(0) != -id);
                              local_wrong_ += static_cast<int>(thread_request != -id);
                              request.set(0);
                              thread_request = 0;
                            },
                            ctbb::simple_partitioner());
                        wrong_ += static_cast<int>(request.get(0) != -id);
                        local_wrong_ += static_cast<int>(thread_request != -id);
                      },
                      8, pending_});
  });
  EXPECT_GE(stolen, gathered() > 1 ? 1 : 0);
  EXPECT_GT(local_wrong_, 0) << "the thread_local did not go wrong: the test proves nothing";
}

INSTANTIATE_TEST_SUITE_P(Threads, EveryDoor,
                         testing::Combine(testing::ValuesIn(taskctx_test::kDoors),
                                          testing::Values(1, 2, 4, 8)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_on_" +
                                  std::to_string(std::get<1>(test.param));
                         });

}  // namespace
