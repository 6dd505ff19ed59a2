// SPDX-License-Identifier: Apache-2.0
//
// A fixture for the tests of PEP 567: each runs in an empty context of its own.

#ifndef TASKCTX_TESTS_PEP567_H_
#define TASKCTX_TESTS_PEP567_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "taskctx/context.h"

namespace taskctx_test {

// Runs each test in an empty context of its own, and checks that it is current again at the end.
class Pep567 : public testing::Test {
 protected:
  void SetUp() override { own_.enter(); }
  void TearDown() override { EXPECT_NO_THROW(own_.leave()); }

 private:
  taskctx::Context own_;
};

inline std::vector<std::string> names(const taskctx::Context& context) {
  std::vector<std::string> result;
  for (const auto& entry : context) {
    result.emplace_back(entry.name());
  }
  return result;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_PEP567_H_
