// SPDX-License-Identifier: Apache-2.0
//
// What a job throws that nobody waits for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskctx/job.h"
#include "taskctx/job_options.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/pools.h"
#include "tests/stealing.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  }
}

// What the exception handler of a pool was given.
class Caught {
 public:
  taskctx::ExceptionHandler handler() {
    return [this](const std::exception_ptr& error) {
      const std::lock_guard lock(mutex_);
      messages_.push_back(message_of(error) + " in " + request_id.get("no context"));
      caught_.open();
    };
  }
  std::vector<std::string> wait() {
    caught_.wait();
    return messages();
  }
  std::vector<std::string> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
  Latch caught_;
};

// J3, T9: the handler runs in the context of the job that threw.
TEST(ExceptionHandler, GetsWhatAPostedJobThrows) {
  Caught caught;
  JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
  {
    const Scope scope{request_id, "r-1"};
    pool.post([] { throw std::runtime_error("posted"); });
  }
  EXPECT_THAT(caught.wait(), testing::ElementsAre("posted in r-1"));
}

// J3, T9
TEST(ExceptionHandler, GetsWhatADroppedJobThrowsWhetherDroppedBeforeOrAfter) {
  for (const bool dropped_first : {true, false}) {
    Caught caught;
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    Latch dropped;
    {
      const Scope scope{request_id, "r-1"};
      Job<void> job = pool.submit([&] {
        if (dropped_first) {
          dropped.wait();
        }
        throw std::runtime_error("dropped");
      });
      if (!dropped_first) {
        job.wait();
        EXPECT_TRUE(caught.messages().empty()) << "somebody may still want it";
      }
    }
    dropped.open();
    EXPECT_THAT(caught.wait(), testing::ElementsAre("dropped in r-1"));
  }
}

// J3
TEST(ExceptionHandler, DoesNotGetWhatCameOutOfGet) {
  Caught caught;
  {
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    Job<void> job = pool.submit([] { throw std::runtime_error("taken"); });
    EXPECT_THROW(job.get(), std::runtime_error);
  }
  EXPECT_TRUE(caught.messages().empty());
}

// J3
TEST(ExceptionHandler, IsStillThereForAHandleThatOutlivesThePool) {
  Caught caught;
  Job<void> job;
  {
    JobPool pool{{.concurrency = 2, .exception_handler = caught.handler()}};
    job = pool.submit([] { throw std::runtime_error("late"); });
  }
  job = Job<void>();
  EXPECT_THAT(caught.messages(), testing::ElementsAre("late in no context"));
}

// J3
TEST(ExceptionHandlerDeathTest, ByDefaultTheMessageIsWrittenAndTheProgramEnds) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        JobPool pool{{.concurrency = 1}};
        pool.post([] { throw std::runtime_error("nobody waits"); });
      },
      "taskctx: a job that nobody waits for threw: nobody waits");
}

}  // namespace
