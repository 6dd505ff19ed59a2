// SPDX-License-Identifier: Apache-2.0
//
// What context variables are used for in practice, as in the recipes of tools/recipes: a
// transaction, a request's middleware, an override and a decorator.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"
#include "taskctx/testing.h"
#include "tests/stealing.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

namespace ctbb = taskctx::tbb;

using namespace taskctx::gtest;
using testing::ElementsAre;

// A database's client that notes what it is told. Leaves of one transaction share it.
class Connection {
 public:
  void execute(const std::string& sql) {
    const std::lock_guard lock(mutex_);
    log_.push_back(sql);
  }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> log_;
};

const ContextVar<Connection*> connection("connection");
thread_local Connection* thread_connection = nullptr;  // What people use instead.

class Transaction {
 public:
  explicit Transaction(Connection& on)
      : connection_(on),
        scope_(connection, &on),
        thread_outer_(std::exchange(thread_connection, &on)) {
    connection_.execute("begin");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    connection_.execute(committed_ ? "commit" : "rollback");
    thread_connection = thread_outer_;
  }

  void commit() { committed_ = true; }

 private:
  Connection& connection_;
  Scope<Connection*> scope_;
  Connection* thread_outer_;
  bool committed_ = false;
};

void run(const std::string& sql) { connection.get()->execute(sql); }

// S1
TEST(TransactionPattern, CommitsAndRestoresWhatWasThere) {
  Connection database;
  {
    Transaction transaction(database);
    run("select");
    transaction.commit();
  }
  EXPECT_THAT(database.log(), ElementsAre("begin", "select", "commit"));
  EXPECT_EQ(connection.find(), nullptr);
}

// S1
TEST(TransactionPattern, RollsBackAndRestoresWhenAnExceptionPasses) {
  Connection database;
  const auto fail = [&] {
    Transaction transaction(database);
    run("delete");
    throw std::runtime_error("disk full");
  };
  EXPECT_THROW(fail(), std::runtime_error);
  EXPECT_THAT(database.log(), ElementsAre("begin", "delete", "rollback"));
  EXPECT_EQ(connection.find(), nullptr);
}

// S1
TEST(TransactionPattern, NestedOnesDontSeeOneAnother) {
  Connection outer_database;
  Connection inner_database;
  {
    Transaction outer(outer_database);
    run("1");
    {
      Transaction inner(inner_database);
      run("2");
      inner.commit();
    }
    run("3");
  }
  EXPECT_THAT(outer_database.log(), ElementsAre("begin", "1", "3", "rollback"));
  EXPECT_THAT(inner_database.log(), ElementsAre("begin", "2", "commit"));
}

// A loop in a job, of which other threads steal some leaves: what is read there by thread is wrong.
class StolenLoop {
 public:
  static constexpr int kLeaves = 32;

  explicit StolenLoop(int threads) : threads_(threads), all_(threads) {}

  // Calls `body` in kLeaves leaves. All threads take part in such loops of all jobs together; a job
  // that insists keeps its own thread until another one has stolen a leaf from it.
  template <typename F>
  void run(bool insists, const F& body) {
    const std::thread::id home = std::this_thread::get_id();
    Latch stolen;
    const auto leaf = [&](int /*index*/) {
      all_.take_part();
      if (std::this_thread::get_id() != home) {
        stolen.open();
      } else if (threads_ > 1 && insists) {
        stolen.wait();
      }
      body();
    };
    ctbb::parallel_for(0, kLeaves, leaf, ctbb::simple_partitioner{});
  }

 private:
  const int threads_;
  AllThreads all_;
};

class PatternsOnAPool : public testing::TestWithParam<int> {
 protected:
  static constexpr int kJobs = 16;
};

// S1, F-L3: the statements run in leaves on any thread, and find their own transaction.
TEST_P(PatternsOnAPool, ParallelTransactionsDontSeeOneAnother) {
  const int threads = GetParam();
  const Watchdog watchdog("parallel transactions");
  const LeakCheck leaks;
  std::vector<Connection> databases(kJobs);
  std::atomic<int> thread_wrong{0};
  StolenLoop loop(threads);
  {
    JobPool pool{{.concurrency = threads}};
    for (Connection& database : databases) {
      pool.post([&] {
        Transaction transaction(database);
        loop.run(&database == databases.data(), [&] {
          run("update");
          thread_wrong += static_cast<int>(thread_connection != &database);
        });
        transaction.commit();
      });
    }
  }
  std::vector<std::string> expected(StolenLoop::kLeaves + 2, "update");
  expected.front() = "begin";
  expected.back() = "commit";
  for (const Connection& database : databases) {
    EXPECT_EQ(database.log(), expected);
  }
  if (threads > 1) {
    EXPECT_GT(thread_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
}

const ContextVar<int> request_id("request_id", 0);
thread_local int thread_request_id = 0;

// The middleware: wraps a handler, which is handed the id only to compare it with what it finds.
template <typename F>
auto with_request_id(F handler) {
  return [handler](int id) {
    const int thread_outer = std::exchange(thread_request_id, id);
    const Scope scope{request_id, id};
    handler(id);
    thread_request_id = thread_outer;
  };
}

// S2, F-L3
TEST_P(PatternsOnAPool, ManyHandlersAtOnceLogTheirOwnRequest) {
  const int threads = GetParam();
  const Watchdog watchdog("handlers");
  const LeakCheck leaks;
  std::atomic<int> lines{0};
  std::atomic<int> wrong{0};
  std::atomic<int> thread_wrong{0};
  StolenLoop loop(threads);
  const auto handle = with_request_id([&](int id) {
    loop.run(id == 1, [&] {
      ++lines;
      wrong += static_cast<int>(request_id.get() != id);
      thread_wrong += static_cast<int>(thread_request_id != id);
    });
  });
  std::vector<Job<int>> jobs;
  JobPool pool{{.concurrency = threads}};
  for (int id = 1; id <= kJobs; ++id) {
    jobs.push_back(pool.submit([&handle, id] {
      handle(id);
      return request_id.get();
    }));
  }
  for (Job<int>& job : jobs) {
    EXPECT_EQ(job.get(), 0) << "each handler puts the id back";
  }
  EXPECT_EQ(lines, kJobs * StolenLoop::kLeaves);
  EXPECT_EQ(wrong, 0);
  if (threads > 1) {
    EXPECT_GT(thread_wrong, 0) << "the thread_local did not go wrong: the test proves nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, PatternsOnAPool, testing::Values(1, 2, 4, 8));

const ContextVar<std::string> current_user("current_user", "guest");

template <typename F>
auto with_admin_privileges(F action) {
  const Scope scope{current_user, "admin"};
  return action();
}

// The decorator: makes a handler of requests out of one that asks for the current user.
template <typename F>
auto require_auth(F handler) {
  return [handler](const std::string& user) {
    if (user.empty()) {
      throw std::invalid_argument("nobody");
    }
    const Scope scope{current_user, user};
    return handler();
  };
}

// S6
TEST(AuthPattern, AnOverrideHoldsForTheCallAndIsRestoredAlsoByAnException) {
  const Scope scope{current_user, "ann"};
  EXPECT_EQ(with_admin_privileges([] { return current_user.get(); }), "admin");
  EXPECT_EQ(current_user.get(), "ann");
  EXPECT_THROW(with_admin_privileges([] { throw std::runtime_error(current_user.get()); }),
               std::runtime_error);
  EXPECT_EQ(current_user.get(), "ann");
}

// S6
TEST(AuthPattern, ADecoratedHandlerRunsAsTheRequestsUser) {
  std::vector<std::string> seen;
  const auto handle = require_auth([&] {
    seen.push_back(current_user.get());
    with_admin_privileges([&] { seen.push_back(current_user.get()); });
    seen.push_back(current_user.get());
  });
  handle("ann");
  EXPECT_THAT(seen, ElementsAre("ann", "admin", "ann"));
  EXPECT_THROW(handle(""), std::invalid_argument);
  EXPECT_EQ(seen.size(), 3U) << "the handler was not called";
  const auto fail = require_auth([] { throw std::runtime_error(current_user.get()); });
  EXPECT_THROW(fail("bob"), std::runtime_error);
  EXPECT_EQ(current_user.get(), "guest");
}

// S6: an override is for what it surrounds and for the jobs submitted there, however late they run.
TEST(AuthPattern, AnOverrideIsForTheJobsThatAreSubmittedInIt) {
  const Watchdog watchdog("jobs around an override");
  Latch overridden;
  Latch restored;
  JobPool pool{{.concurrency = 2}};
  Job<std::string> before = pool.submit([&] {
    overridden.wait();
    return current_user.get();
  });
  Job<std::string> inside = with_admin_privileges([&] {
    overridden.open();
    EXPECT_EQ(before.get(), "guest");
    return pool.submit([&] {
      restored.wait();
      return current_user.get();
    });
  });
  EXPECT_EQ(current_user.get(), "guest");
  restored.open();
  EXPECT_EQ(inside.get(), "admin");
}

}  // namespace
