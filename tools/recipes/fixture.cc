// SPDX-License-Identifier: Apache-2.0
//
// An application context that a fixture prepares, and that tests use.
//
//   taskctx::gtest::IsolatedContext context_;  // each test has a context of its own
//   taskctx::gtest::apply(app_context);        // takes over what the application has set
//
// The application sets its variables in a Context, so a test sees none of them before apply().

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/testing.h"

// Stands for a client of the real thing.
class RedisClient {
 public:
  explicit RedisClient(std::string uri) : uri_(std::move(uri)) {
    std::cout << "connect to " << uri_ << '\n';
  }
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;
  ~RedisClient() { std::cout << "disconnect from " << uri_ << '\n'; }

 private:
  std::string uri_;
};

inline taskctx::ContextVar<std::shared_ptr<RedisClient>> redis_client{"redis_client"};

// Starts the application. The client is closed when the last context that has it ends.
taskctx::Context create_app_context(const std::string& redis_uri) {
  taskctx::Context context;
  context.run([&] { redis_client.set(std::make_shared<RedisClient>(redis_uri)); });
  return context;
}

class AppTest : public testing::Test {
 protected:
  [[nodiscard]] const auto& client() const { return *app_context.find(redis_client); }

  taskctx::gtest::IsolatedContext context_;
  const taskctx::Context app_context = create_app_context("redis://localhost");
};

TEST_F(AppTest, WithoutContext) {
  EXPECT_THAT(taskctx::copy_context(), Not(taskctx::gtest::Binds(redis_client)));
  EXPECT_NE(client(), nullptr);  // The fixture still has it.
  std::cout << "without context: " << (redis_client.find() != nullptr ? "set" : "not set") << '\n';
}

TEST_F(AppTest, WithinContext) {
  taskctx::gtest::apply(app_context);
  EXPECT_THAT(redis_client, taskctx::gtest::HasValue(client()));
  std::cout << "within context: " << (redis_client.find() != nullptr ? "set" : "not set") << '\n';
}
